/**
 * Runs the suites one after the other and closes with one line `N passed, N failed`. A suite is a folder of uvu tests in a
 * process of its own, or a check. Arguments choose suites by name; without any, all run.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

interface Suite {
  name: string;
  command: string[];
  /** A suite that hangs is a failure. */
  minutesMax: number;
}

const node = process.execPath;
/** Far above what a quiet machine needs: work takes long on a busy one. */
const minutesMax = 15;
const uvu = (name: string): Suite => ({
  name,
  command: [node, '--disable-warning=ExperimentalWarning', 'node_modules/uvu/bin.js', `test/${name}`, '\\.test\\.ts$'],
  minutesMax,
});

const suites: Suite[] = [
  { name: 'build', command: [node, 'scripts/build.ts'], minutesMax: 3 },
  { name: 'types', command: [node, 'node_modules/typescript/bin/tsc', '-p', '.'], minutesMax: 3 },
  { name: 'lint', command: ['node_modules/@biomejs/cli-linux-x64/biome', 'check', '.'], minutesMax: 2 },
  { name: 'tidy', command: [node, 'scripts/tidy.ts'], minutesMax: 1 },
  ...[
    ...['lib', 'node', 'machinery', 'cel', 'consensus', 'simulation', 'regression', 'gossip', 'store', 'transport'],
    ...['client', 'kinds', 'streams', 'api', 'clients', 'scheduler', 'controllers'],
    ...['host', 'images', 'network', 'agent'],
    ...['lab', 'recovery', 'cluster', 'seeds', 'membership', 'protection', 'chaos'],
  ].map(uvu),
];

interface Outcome {
  passed: number;
  failed: number;
  /** What the suite said of each failed test; empty when all passed. */
  failures: string[];
}

function run({ name, command, minutesMax }: Suite): Promise<Outcome> {
  const [program, ...args] = command as [string, ...string[]];
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    const take = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      // The suite's own process group: its children go with it.
      process.kill(-(child.pid as number), 'SIGKILL');
    }, minutesMax * 60_000);
    child.on('close', (code) => {
      clearTimeout(timer);
      const outcome = read(output, code === 0 && !late);
      if (outcome.failed > 0) {
        process.stdout.write(`${output.trimEnd()}\n`);
        if (outcome.failures.length === 0) outcome.failures.push(output.trimEnd().slice(-tailCharacters));
        if (late) process.stdout.write(`${name} did not end within ${minutesMax} minutes\n`);
      }
      resolve(outcome);
    });
  });
}

/** What terminals take as colours; uvu prints them to pipes too. */
const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/** A failed test, and the lines after it. */
const failure = /^ *FAIL .*(?:\n.*){0,24}/gm;
const tailCharacters = 2_000;

/** A check counts as one test; uvu prints its totals. A suite that failed has at least one failure, whatever it printed. */
function read(coloured: string, succeeded: boolean): Outcome {
  const output = coloured.replace(colours, '');
  const failures = output.match(failure) ?? [];
  const totals = /Total:\s+(\d+)\s+Passed:\s+(\d+)\s+Skipped:\s+(\d+)/.exec(output);
  if (!totals) return succeeded ? { passed: 1, failed: 0, failures } : { passed: 0, failed: 1, failures };
  const [total, passed, skipped] = totals.slice(1).map(Number) as [number, number, number];
  const failed = total - passed - skipped;
  return { passed, failed: succeeded ? failed : Math.max(1, failed), failures };
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(`no suite ${unknown.join(', ')}; there are: ${suites.map((suite) => suite.name).join(', ')}`);
  process.exit(2);
}

const sum: Outcome = { passed: 0, failed: 0, failures: [] };
for (const suite of suites) {
  if (wanted.length > 0 && !wanted.includes(suite.name)) continue;
  if (suite.command.includes('node_modules/uvu/bin.js') && !existsSync(`test/${suite.name}`)) {
    throw new Error(`test/${suite.name} is listed in scripts/test.ts but is not there`);
  }
  const startedMs = performance.now();
  const { passed, failed, failures } = await run(suite);
  sum.passed += passed;
  sum.failed += failed;
  sum.failures.push(...failures.map((text) => `${suite.name}: ${text}`));
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${failed === 0 ? 'ok  ' : 'FAIL'} ${suite.name.padEnd(12)} ${String(passed).padStart(4)} passed ${failed > 0 ? `${failed} failed ` : ''}(${seconds} s)`,
  );
}
// Once more at the end, where whoever reads only the last lines finds it.
for (const text of sum.failures) console.log(`\n${text}`);
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1;
