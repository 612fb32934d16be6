/** Lifecycle hooks: postStart right after the start, preStop before the stop signal. exec, httpGet and sleep. */
import { delay } from '../../lib/clock.ts';
import type { Container } from '../../machinery/types.ts';
import { execOnce } from '../runtime/exec.ts';
import { httpProbe } from './probe-checks.ts';
import type { PodServices } from './services.ts';

export interface HookContext {
  target: { id: string; bundle: string };
  address: string | undefined;
  signal: AbortSignal;
}

type Handler = NonNullable<NonNullable<Container['lifecycle']>['postStart']>;

/** Hooks are bounded by the grace period; this bounds those that have none. */
const hookTimeoutMs = 600_000;

/** Undefined when there is no hook or it succeeded; else why it failed. Rejects only with the signal's reason. */
export function runPostStart(services: PodServices, container: Container, context: HookContext): Promise<string | undefined> {
  return runHook('PostStartHook', services, container, container.lifecycle?.postStart, context);
}

export function runPreStop(services: PodServices, container: Container, context: HookContext): Promise<string | undefined> {
  return runHook('PreStopHook', services, container, container.lifecycle?.preStop, context);
}

async function runHook(
  name: string,
  services: PodServices,
  container: Container,
  handler: Handler | undefined,
  { target, address, signal }: HookContext,
): Promise<string | undefined> {
  if (!handler) return undefined;
  if (handler.exec) {
    const options = { timeoutMs: hookTimeoutMs, signal };
    const outcome = await execOnce(services.runtime, services.executor, target, handler.exec.command ?? [], options);
    return outcome.exitCode === 0
      ? undefined
      : `${name} failed: command exited with ${outcome.exitCode}: ${outcome.output.trim()}`;
  }
  if (handler.httpGet) {
    const result = await httpProbe(handler.httpGet, container, address, hookTimeoutMs, signal);
    return result.ok ? undefined : `${name} failed: ${result.message}`;
  }
  const seconds = (handler as { sleep?: { seconds: number } }).sleep?.seconds;
  if (seconds !== undefined) {
    await delay(services.clock, seconds * 1_000, signal);
    return undefined;
  }
  return `${name} failed: the handler of container ${container.name} is not supported`;
}
