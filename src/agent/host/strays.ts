/**
 * Processes that outlived the one they worked for. The executor lives in the monitor cgroup, so all that it starts is found there
 * when it has died: commands, which nobody waits for any more and which must not go on beside those of its successor, and
 * monitors, which are to live on.
 */
import { readFile } from 'node:fs/promises';
import { delay, systemClock } from '../../lib/clock.ts';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import { processStart, signalProcess } from '../runtime/process-identity.ts';
import type { Cgroups } from '../types.ts';

const lookMs = 5;
/** A killed process that waits for a disk may take a while. */
const patienceMs = 10_000;
const monitorName = 'conmon';

/** The process `pid` takes the place of an executor: what that one ran is over when this resolves. */
export async function succeedExecutor(cgroups: Cgroups, pid: number): Promise<void> {
  await endProcesses(async () => {
    const found = await cgroups.monitors();
    const names = await Promise.all(found.map((one) => read(one, 'comm')));
    return found.filter((one, at) => one !== pid && names[at]!.trim() !== monitorName);
  });
  await cgroups.addMonitor(pid);
}

/** Kills what `find` gives until it gives nothing that lives. AgentError 'CommandFailed' after ten seconds. */
export async function endProcesses(find: () => Promise<number[]>): Promise<void> {
  const patience = AbortSignal.timeout(patienceMs);
  for (;;) {
    const living: number[] = [];
    for (const pid of await find()) {
      const start = await processStart(pid);
      if (start !== undefined && (await signalProcess({ pid, start }, 'SIGKILL'))) living.push(pid);
    }
    if (living.length === 0) return;
    if (patience.aborted) throw new AgentError('CommandFailed', `processes do not end: ${living.join(', ')}`, { living });
    await delay(systemClock, lookMs);
  }
}

/** The arguments of a process; none when it is gone. */
export async function argumentsOf(pid: number): Promise<string[]> {
  return (await read(pid, 'cmdline')).split('\0').filter(Boolean);
}

async function read(pid: number, file: string): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch((error) => {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return '';
    throw error;
  });
}
