/** Makes a failing run small: shorter, with fewer peers and without the faults that it does not need. Bounded. */
import { type FaultName, faultNames } from './faults.ts';
import { type SimulationOptions, type SimulationResult, simulate } from './simulation.ts';

const replaysMax = 60;

/** The smallest failing run found, as text. */
export async function minimized(options: SimulationOptions): Promise<string> {
  let best = { options, result: await simulate(options) };
  let replays = 0;
  const attempt = async (change: Partial<SimulationOptions>): Promise<boolean> => {
    if (replays++ >= replaysMax) return false;
    const smaller = { ...best.options, ...change };
    const result = await simulate(smaller);
    if (!result.failure || result.tick > best.result.tick + (change.off || change.peers ? 200 : 0)) return false;
    best = { options: smaller, result };
    return true;
  };
  const shorten = async () => {
    // A failure that only the end shows, such as a history that is not linearizable, may also show after fewer ticks.
    if (best.result.tick < best.options.ticks) await attempt({ ticks: best.result.tick });
    else while (best.options.ticks > 50 && (await attempt({ ticks: Math.floor(best.options.ticks / 2) })));
  };
  await shorten();
  for (const peers of [1, 2, 3, 4]) if (peers < (best.options.peers ?? 5) && (await attempt({ peers }))) break;
  for (const name of faultNames) await attempt({ off: [...(best.options.off ?? []), name] });
  await shorten();
  for (const part of [0.75, 0.5, 0.25]) {
    if (await attempt({ calmTicks: Math.floor(Math.min(best.result.tick, best.options.ticks) * part) })) break;
  }
  return described(best.options, await simulate({ ...best.options, keepsLines: true }));
}

function described({ seed, ticks, peers, off = [], calmTicks = 0 }: SimulationOptions, result: SimulationResult): string {
  const needed = faultNames.filter((name: FaultName) => !off.includes(name));
  return [
    `smallest failing run: seed ${seed}, ${ticks} ticks, ${peers ?? '3 to 5'} voters, no faults before tick ${calmTicks}`,
    `faults that it needs: ${needed.join(', ') || 'none'}`,
    ...result.lines,
    `${result.tick}: FAIL ${result.failure?.message}`,
  ].join('\n');
}
