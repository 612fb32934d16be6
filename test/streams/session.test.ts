import { Duplex } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ClientSession, runSession, type SessionInput } from '../../src/api/streams/session.ts';
import { TerminalSizes } from '../../src/api/streams/terminal-sizes.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import type { Status } from '../../src/machinery/status.ts';
import { channels, encodeFrame } from '../../src/machinery/stream-frames.ts';
import { success } from './support.ts';

/** An agent's connection whose writes are taken one by one, when the test says so. */
class SlowAgent extends Duplex {
  readonly written: Buffer[] = [];
  #take: (() => void) | undefined;

  constructor() {
    super({ writableHighWaterMark: 1 });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.written.push(chunk);
    this.#take = callback;
  }

  release(): void {
    this.#take?.();
  }
}

class FakeClient implements ClientSession {
  input: SessionInput | undefined;
  sent: string[] = [];
  status: Status | undefined;
  /** Resolves the `send` that is under way. */
  flush: (() => void) | undefined;

  start(input: SessionInput): void {
    this.input = input;
  }

  send(channel: number, payload: Buffer): Promise<void> {
    this.sent.push(`${channel} ${payload}`);
    return new Promise((resolve) => {
      this.flush = resolve;
    });
  }

  async finish(status: Status): Promise<void> {
    this.status = status;
  }

  destroy(): void {
    this.input?.gone();
  }
}

const options = { stdin: true, stdout: true, stderr: false, tty: false };

function start() {
  const client = new FakeClient();
  const agent = new SlowAgent();
  const stop = new AbortController();
  const over = runSession(client, agent, { options, logger: silentLogger, signal: stop.signal });
  return { client, agent, stop, over };
}

test('input waits until the agent has taken what it got', async () => {
  const { client, agent, stop, over } = start();
  let waiting = true;
  const full = client.input?.data(channels.stdin, Buffer.from('a'));
  assert.ok(full);
  const done = full.then(() => {
    waiting = false;
  });
  await new Promise(setImmediate);
  assert.ok(waiting);
  agent.release();
  await done;
  assert.equal(agent.written, [encodeFrame(channels.stdin, Buffer.from('a'))]);
  stop.abort(new Error('enough'));
  await over;
});

test('output waits until the client has taken what it got', async () => {
  const { client, agent, over } = start();
  agent.push(encodeFrame(channels.stdout, Buffer.from('one')));
  agent.push(encodeFrame(channels.stdout, Buffer.from('two')));
  await new Promise(setImmediate);
  assert.equal(client.sent, ['1 one']);
  client.flush?.();
  await new Promise(setImmediate);
  assert.equal(client.sent, ['1 one', '1 two']);
  client.flush?.();
  agent.push(encodeFrame(channels.error, Buffer.from(JSON.stringify(success))));
  await over;
  assert.equal(client.status, success);
});

test('channels that were not asked for carry nothing', async () => {
  const { client, agent, over } = start();
  assert.is(client.input?.data(channels.resize, Buffer.from('{"Width":1,"Height":1}')), undefined);
  assert.is(client.input?.data(channels.stdout, Buffer.from('x')), undefined);
  agent.push(encodeFrame(channels.stderr, Buffer.from('x')));
  agent.push(encodeFrame(channels.error, Buffer.from(JSON.stringify(success))));
  await over;
  assert.equal(agent.written, []);
  assert.equal(client.sent, []);
});

test('a stop of the server ends both sides', async () => {
  const { client, agent, stop, over } = start();
  stop.abort(new Error('closing'));
  await over;
  assert.ok(agent.destroyed);
  assert.is(client.status, undefined);
});

test('frames that are too long end the session with an error', async () => {
  const { client, agent, over } = start();
  agent.push(Buffer.from([channels.stdout, 0xff, 0xff, 0xff, 0xff]));
  await over;
  assert.is(client.status?.status, 'Failure');
});

test('sizes are cut out of a stream of JSON, in both spellings, and others dropped', () => {
  const sizes = new TerminalSizes();
  const push = (text: string) => sizes.push(Buffer.from(text));
  assert.equal(push('{"Width":1,"Height":2}\n{"width":3,"hei'), ['{"Width":1,"Height":2}']);
  assert.equal(push('ght":4}{"Width":0,"Height":0}{"Width":99999999,"Height":1}{}'), ['{"Width":3,"Height":4}']);
  assert.equal(push('x'.repeat(5000)), []);
  assert.equal(push('{"Width":5,"Height":6}'), ['{"Width":5,"Height":6}']);
});

test.run();
