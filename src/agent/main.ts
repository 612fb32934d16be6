/**
 * The agent process: `node main.ts '<JSON of AgentOptions>'`, started by the daemon. It ends on SIGTERM or SIGINT, and when its
 * parent has gone (its standard input or IPC channel closes); containers run on in each case. Logs are JSON lines on standard error.
 */
import { mkdir } from 'node:fs/promises';
import { systemClock } from '../lib/clock.ts';
import { createLogger } from '../lib/logger.ts';
import { systemRandom } from '../lib/random.ts';
import { EventRecorder } from '../machinery/events.ts';
import { createHttpClient } from '../machinery/http-client.ts';
import { createAgent } from './agent.ts';
import { createCgroups } from './host/cgroups.ts';
import { createExecutor } from './host/executor.ts';
import { readMachine } from './host/machine.ts';
import { succeedExecutor } from './host/strays.ts';
import { createImageStore } from './images/image-store.ts';
import { createPodNetwork } from './network/pod-network.ts';
import type { AgentOptions } from './types.ts';

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '') as AgentOptions;
  const logger = createLogger('agent', options.logLevel);
  const clock = systemClock;
  const { dataDir, podsMax, capacity, insecureRegistries, registryMirrors = {} } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const cgroups = await createCgroups({ root: options.cgroupRoot });
  // While this process is small: forks copy its memory map.
  const executor = await createExecutor({ logger, prepare: (pid) => succeedExecutor(cgroups, pid) });
  const machine = await readMachine({ dataDir, podsMax, ...(capacity ? { capacity } : {}) });
  const images = await createImageStore({ dataDir, executor, insecureRegistries, registryMirrors, logger, clock });
  const network = createPodNetwork({ dataDir, executor, logger });
  const client = createHttpClient({ socketPath: options.apiSocket, userAgent: 'kontiki-agent' });
  const stopping = new AbortController();
  const events = new EventRecorder({
    client,
    component: 'kubelet',
    host: options.nodeName,
    clock,
    logger,
    signal: stopping.signal,
  });
  const agent = await createAgent({
    options,
    client,
    events,
    executor,
    cgroups,
    images,
    network,
    machine,
    clock,
    random: systemRandom,
    logger,
  });

  const stop = async (why: string) => {
    if (stopping.signal.aborted) return;
    logger.info({ why }, 'agent stops; containers run on');
    stopping.abort(new Error(why));
    await agent.stop();
    client.close();
    await executor.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
  process.on('disconnect', () => void stop('the parent has gone'));
  process.stdin.on('end', () => void stop('the parent has gone'));
  process.stdin.on('error', () => void stop('the parent has gone'));
  process.stdin.resume();
  await agent.start();
}

await main();
