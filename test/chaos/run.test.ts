/** A minute of faults on a real cluster of three; `npm run chaos` does the same for longer, on five, and with other seeds. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runChaos } from './run.ts';

const seed = Number(process.env.CHAOS_SEED ?? 1);
/** A machine that has hardly any time for this may make a run invalid, which says nothing about the cluster. */
const attemptsMax = 3;

test('a minute of faults: every history is linearizable, watches are complete, nothing acknowledged is lost, states are equal', async () => {
  for (let attempt = 1; ; attempt++) {
    const { verdict, problems, counts, faults, folder } = await runChaos({ seed, minutes: 1, peers: 3, say: () => undefined });
    if (verdict === 'passed') return;
    const story = [`seed ${seed}: ${verdict}`, ...problems, ...faults, JSON.stringify(counts), `history and logs: ${folder}`];
    if (verdict === 'failed' || attempt === attemptsMax) assert.unreachable(story.join('\n'));
  }
});

test.run();
