/**
 * A process by number and start time: numbers are used again, the pair is not (proc(5), field 22 of /proc/PID/stat). All
 * signals to containers go through here, so that none hits a stranger after a restart of the machine or the agent.
 */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../lib/errors.ts';

/** Clock ticks since boot at which the process started; undefined when it is gone or only waits to be reaped. */
export async function processStart(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return undefined;
    throw error;
  }
  // The command name may hold spaces and parentheses: the fields start after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  return state === 'Z' || state === 'X' ? undefined : fields[19];
}

export interface ProcessIdentity {
  pid: number;
  start: string;
}

export async function isAlive({ pid, start }: ProcessIdentity): Promise<boolean> {
  return (await processStart(pid)) === start;
}

/** False when the process is gone. */
export async function signalProcess(process_: ProcessIdentity, signal: NodeJS.Signals | number): Promise<boolean> {
  if (!(await isAlive(process_))) return false;
  try {
    process.kill(process_.pid, signal);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}
