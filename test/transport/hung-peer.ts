/** Run by silent.test.ts: a member in a process of its own, which tells its id and address, and takes the other's. */
import { silentLogger } from '../../src/lib/logger.ts';
import { generateIdentity } from '../../src/transport/identity.ts';
import { createTransport } from '../../src/transport/transport.ts';

const { privateKey } = await generateIdentity();
const peer = await createTransport({ privateKey, listen: ['/ip4/127.0.0.1/tcp/0'], logger: silentLogger });
peer.setMembers([JSON.parse(process.argv[2]!)]);
process.stdout.write(`${JSON.stringify({ id: peer.id, addresses: peer.addresses() })}\n`);
