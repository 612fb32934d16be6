/**
 * Which ids of the machine are the users of which pod, for pods with user ids of their own: 65,536 each, no id in two pods, none
 * that the machine gives to somebody else. A pod keeps its range in its record until everything of it is gone.
 */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import { idsPerNamespace } from '../host/user-namespaces.ts';

/** First id and how many. */
export type IdRange = readonly [firstId: number, count: number];

/** Beyond are numbers that programs take for negative ones. */
const idMax = 2 ** 31;

export class UserRanges {
  readonly #held = new Map<string, number>();
  readonly #foreign: () => Promise<readonly IdRange[]>;

  /** `foreign`: ids that others have; asked each time. */
  constructor(foreign: () => Promise<readonly IdRange[]> = subordinateIds) {
    this.#foreign = foreign;
  }

  /** The first id of the pod's range; the same until `release`. AgentError 'Sandbox' when there is none left. */
  async take(podUid: string): Promise<number> {
    const foreign = await this.#foreign();
    const known = this.#held.get(podUid);
    if (known !== undefined) return known;
    const taken = new Set(this.#held.values());
    for (let first = idsPerNamespace; first + idsPerNamespace <= idMax; first += idsPerNamespace) {
      if (taken.has(first) || foreign.some((range) => meets(range, first))) continue;
      this.#held.set(podUid, first);
      return first;
    }
    throw new AgentError('Sandbox', 'could not find an empty slot to allocate a user namespace');
  }

  /** For pods that already run here: they keep what they have. */
  adopt(podUid: string, firstId: number): void {
    this.#held.set(podUid, firstId);
  }

  release(podUid: string): void {
    this.#held.delete(podUid);
  }
}

function meets([otherFirst, count]: IdRange, first: number): boolean {
  return otherFirst < first + idsPerNamespace && first < otherFirst + count;
}

/** The ids that users of this machine may give to namespaces of their own. */
async function subordinateIds(): Promise<IdRange[]> {
  const texts = await Promise.all(['/etc/subuid', '/etc/subgid'].map(readOptionalText));
  return texts.flatMap(parseSubordinateIds);
}

/** NAME:FIRST:COUNT per line (subuid(5)); other lines say nothing. Pure. */
export function parseSubordinateIds(text: string): IdRange[] {
  return text.split('\n').flatMap((line): IdRange[] => {
    const [, first, count] = /^[^:#]+:(\d+):(\d+)\s*$/.exec(line) ?? [];
    return first === undefined ? [] : [[Number(first), Number(count)]];
  });
}

async function readOptionalText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}
