import type { Connection, Stream } from '@libp2p/interface';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withOpenStreams } from '../../src/transport/libp2p-node.ts';

/** A connection whose streams come in this state. */
class FakeConnection {
  readonly #status: Stream['status'];

  constructor(status: Stream['status']) {
    this.#status = status;
  }

  get direction() {
    return this.#status === 'open' ? 'outbound' : 'inbound';
  }

  async newStream() {
    return { status: this.#status };
  }
}
const connectionWith = (status: Stream['status']) => withOpenStreams(new FakeConnection(status) as unknown as Connection);

test('a stream that was reset while it was opened is an error, not a stream', async () => {
  const error = await connectionWith('reset')
    .newStream('/x')
    .then(
      () => undefined,
      (reason: Error & { code?: string }) => reason,
    );
  assert.is(error?.code, 'StreamReset');
});

test('an open one is given, and all else is as the connection has it', async () => {
  const connection = connectionWith('open');
  assert.is((await connection.newStream('/x')).status, 'open');
  assert.is(connection.direction, 'outbound');
});

test.run();
