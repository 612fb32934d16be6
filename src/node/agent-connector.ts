/** Byte streams to agents: this machine's by its socket, another machine's through the peer thread. */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AgentConnector } from '../api/types.ts';
import { errorMessage } from '../lib/errors.ts';
import { serviceUnavailable } from '../machinery/status.ts';
import type { StoreReader } from '../store/types.ts';
import { decodeRecord, type MemberRecord, memberPrefix } from './cluster-records.ts';

export interface StreamConnectorOptions {
  ownNodeName: string;
  agentSocket: string;
  streamsSocket: string;
  store: StoreReader;
}

export class StreamConnector implements AgentConnector {
  readonly #options: StreamConnectorOptions;

  constructor(options: StreamConnectorOptions) {
    this.#options = options;
  }

  async connect(nodeName: string, signal: AbortSignal): Promise<Duplex> {
    const { ownNodeName, agentSocket, streamsSocket, store } = this.#options;
    if (nodeName === ownNodeName) return open(agentSocket, nodeName, signal);
    const members = store.list(memberPrefix).records.map((record) => decodeRecord<MemberRecord>(record.value));
    const member = members.find((candidate) => candidate.nodeName === nodeName);
    if (!member) throw serviceUnavailable(`node ${nodeName} is not a member of this cluster`);
    const stream = await open(streamsSocket, nodeName, signal);
    stream.write(`${member.id}\n`);
    return stream;
  }
}

function open(path: string, nodeName: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({ path, allowHalfOpen: true, signal });
    const onError = (error: unknown) =>
      reject(serviceUnavailable(`the agent of node ${nodeName} cannot be reached: ${errorMessage(error)}`));
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}
