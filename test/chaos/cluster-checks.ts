/** What the peers themselves must agree on: one leader a term, one state, nobody dead that nobody killed. */
import { readFileSync } from 'node:fs';
import { statusOf } from '../../src/cli/lab/lab.ts';
import { isAlive } from '../../src/cli/lab/state.ts';
import type { Lab } from '../support/lab.ts';

interface LogLine {
  level?: string;
  node?: string;
  term?: number;
  msg?: string;
}

const leads = 'this peer leads';
/** Words of the daemon for what must never happen. */
const forbidden = [
  'peers have different states',
  'differs from that of the majority',
  'consensus stopped: this peer takes no further part',
];

/** Lines of a peer's log that are JSON. */
function linesOf(file: string): LogLine[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine);
}

/** By term, who said that it leads; and what nobody may say. `full`: peers whose disk was filled, who may stop for that. */
export function checkLogs(lab: Lab, full: ReadonlySet<number>): { problems: string[]; terms: number } {
  const problems: string[] = [];
  const leaders = new Map<number, string>();
  for (const { number, name, logFile } of lab.state.peers) {
    for (const { term, msg = '', level } of linesOf(logFile)) {
      if (msg === leads && term !== undefined) {
        const other = leaders.get(term);
        if (other !== undefined && other !== name) problems.push(`${other} and ${name} both led term ${term}`);
        leaders.set(term, name);
      }
      const dire = forbidden.some((words) => msg.includes(words)) && !full.has(number);
      if (level === 'error' && dire) problems.push(`${name} says: ${msg}`);
    }
  }
  return { problems, terms: leaders.size };
}

/** Those that should run, and do not. */
export function unexpectedlyDead(lab: Lab): string[] {
  return lab.state.peers.filter((peer) => !isAlive(peer)).map(({ name }) => `${name} has died by itself`);
}

interface PeerState {
  name: string;
  index: number;
  hash: string;
}

/** Resolves when all peers have applied the same entries; gives what differs then. Throws when they do not get there. */
export async function statesDiffer(lab: Lab, patienceMs: number): Promise<string[]> {
  const byIndex = new Map<number, PeerState>();
  return lab.eventually(
    'the same state on all peers',
    async () => {
      const all = await Promise.all(
        lab.state.peers.map(async (peer) => {
          const status = (await statusOf(peer, 10_000)) as { stateHash?: { index: number; hash: string } } | undefined;
          return { name: peer.name, index: status?.stateHash?.index ?? -1, hash: status?.stateHash?.hash ?? '' };
        }),
      );
      const problems = all.flatMap((state) => {
        const other = byIndex.get(state.index);
        byIndex.set(state.index, state);
        return other && state.hash && other.hash && other.hash !== state.hash
          ? [`${other.name} and ${state.name} have different states after entry ${state.index}`]
          : [];
      });
      const same = all.every(({ index, hash }) => hash !== '' && index === all[0]!.index);
      return problems.length > 0 || same ? problems : undefined;
    },
    patienceMs,
  );
}
