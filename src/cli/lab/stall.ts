/**
 * Stalls the main thread of a daemon, and nothing else of it: its peer thread goes on. Node.js opens its inspector on SIGUSR1,
 * on the loopback of the peer's own network namespace, and by it a thread is told to wait.
 */
import { get } from 'node:http';
import WebSocket from 'ws';
import { delay, systemClock } from '../../lib/clock.ts';
import { CliError } from '../errors.ts';

const inspectorPort = 9229;
const openPatienceMs = 60_000;
const pollMs = 50;
/** Beyond the stall itself: a machine under load is slow to begin. */
const answerPatienceMs = 30_000;

/** To be called in the network namespace of the daemon `pid`. Resolves when the stall is over, or the daemon has died. */
export async function stallMainThread(pid: number, stallMs: number): Promise<void> {
  process.kill(pid, 'SIGUSR1');
  const url = await inspectorUrl(AbortSignal.timeout(openPatienceMs));
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const expression = `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${stallMs})`;
  const patience = systemClock.setTimer(stallMs + answerPatienceMs, () => socket.terminate());
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('open', () => socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } })));
      socket.on('message', () => resolve());
      socket.on('close', () => resolve());
      socket.on('error', (error) =>
        reject(new CliError('CommandFailed', `the inspector broke off: ${error.message}`, {}, error)),
      );
    });
  } finally {
    patience.cancel();
    socket.terminate();
  }
}

/** Throws CliError 'NotReady' when it does not open in time. */
async function inspectorUrl(patience: AbortSignal): Promise<string> {
  while (!patience.aborted) {
    const url = await askInspector();
    if (url !== undefined) return url;
    await delay(systemClock, pollMs);
  }
  throw new CliError('NotReady', `the daemon did not open its inspector within ${openPatienceMs / 1000} s`);
}

/** Undefined while nobody listens. */
function askInspector(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port: inspectorPort, path: '/json/list', timeout: 1_000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve((JSON.parse(text) as { webSocketDebuggerUrl?: string }[])[0]?.webSocketDebuggerUrl));
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
  });
}
