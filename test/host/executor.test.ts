import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError } from '../../src/agent/errors.ts';
import { createExecutor } from '../../src/agent/host/executor.ts';
import { silentLogger } from '../../src/lib/logger.ts';

type TestExecutor = Awaited<ReturnType<typeof createExecutor>>;

let executor: TestExecutor;
test.before(async () => {
  executor = await createExecutor({ logger: silentLogger });
});
test.after(() => executor.close());

async function failure(promise: Promise<unknown>): Promise<AgentError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, AgentError);
    return error as AgentError;
  }
  throw new Error('expected a failure');
}

/** True once no process has this id, or it is a zombie of somebody else. */
async function ended(pid: number): Promise<boolean> {
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return state === undefined || /\) Z /.test(state);
}

/** Waits for a fact about the outside world that has no event of its own. */
async function until(fact: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await fact())) {
    if (performance.now() > deadline) throw new Error('it never came true');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('run gives output, exit code and signal, whatever they are', async () => {
  const result = await executor.run('sh', ['-c', 'cat; echo oops >&2; exit 3'], { stdin: 'hello' });
  assert.equal(result, { exitCode: 3, signal: undefined, stdout: 'hello', stderr: 'oops\n' });
  const killed = await executor.run('sh', ['-c', 'kill -9 $$']);
  assert.is(killed.signal, 'SIGKILL');
});

test('environment, working directory and binary input reach the command', async () => {
  const out = await executor.check('sh', ['-c', 'echo $GREETING; pwd; od -An -tx1'], {
    env: { GREETING: 'ahoy' },
    cwd: '/usr',
    stdin: new Uint8Array([0, 255, 10]),
  });
  assert.is(out, 'ahoy\n/usr\n 00 ff 0a\n');
});

test('check rejects on a non-zero exit with what the command said', async () => {
  const error = await failure(executor.check('sh', ['-c', 'echo no such thing >&2; exit 7']));
  assert.is(error.code, 'CommandFailed');
  assert.is(error.fields.exitCode, 7);
  assert.match(error.message, 'no such thing');
});

test('a command that does not exist fails as CommandFailed', async () => {
  assert.is((await failure(executor.run('/no/such/command', []))).code, 'CommandFailed');
  assert.is((await failure(executor.run('sh', ['nul\0byte']))).code, 'CommandFailed');
});

test('output is cut at one mebibyte and the command still ends', async () => {
  const { stdout, exitCode } = await executor.run('head', ['-c', '3000000', '/dev/zero']);
  assert.is(stdout.length, 1024 * 1024);
  assert.is(exitCode, 0);
});

test('a time-out ends the whole process group, also one that ignores SIGTERM', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-executor-'));
  try {
    const script = `trap '' TERM; sleep 1000 & echo $! > ${folder}/pid; wait; sleep 1000`;
    const error = await failure(executor.run('sh', ['-c', script], { timeoutMs: 300 }));
    assert.is(error.code, 'CommandFailed');
    assert.match(error.message, 'did not end within 300 ms');
    const pid = Number(await readFile(`${folder}/pid`, 'utf8'));
    await until(() => ended(pid));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('an abort ends the command before the caller hears of it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-executor-'));
  try {
    const abort = new AbortController();
    const running = executor.run('sh', ['-c', `echo $$ > ${folder}/pid; exec sleep 1000`], { signal: abort.signal });
    await until(async () => (await readFile(`${folder}/pid`, 'utf8').catch(() => '')) !== '');
    abort.abort(new Error('changed my mind'));
    await running.then(
      () => assert.unreachable(),
      (error) => assert.is(error.message, 'changed my mind'),
    );
    assert.ok(await ended(Number(await readFile(`${folder}/pid`, 'utf8'))));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a command whose child keeps the output open does not hold the answer', async () => {
  const { stdout } = await executor.run('sh', ['-c', 'setsid sleep 1000 & echo $!']);
  process.kill(Number(stdout), 'SIGKILL');
  assert.match(stdout, /^\d+\n$/);
});

test('many commands share the bound, one too many is refused', async () => {
  const narrow = await createExecutor({ logger: silentLogger, concurrency: 2, queueLength: 3 });
  try {
    const runs = [1, 2, 3, 4, 5].map((n) => narrow.run('sh', ['-c', `sleep 0.2; echo ${n}`]));
    const refused = await failure(narrow.run('true', []));
    assert.is(refused.code, 'ExecutorBusy');
    assert.equal(
      (await Promise.all(runs)).map((result) => result.stdout),
      ['1\n', '2\n', '3\n', '4\n', '5\n'],
    );
  } finally {
    await narrow.close();
  }
});

test('detach gives the first line of the sync pipe, and the process outlives the executor', async () => {
  const own = await createExecutor({ logger: silentLogger });
  const script = 'echo "{\\"data\\":$$}" >&$_OCI_SYNCPIPE; exec sleep 1000';
  const { pid, line } = await own.detach('sh', ['-c', script], { syncPipe: true });
  try {
    assert.is(JSON.parse(line).data, pid);
    await own.close();
    assert.not(await ended(pid));
    const fds = await readFile(`/proc/${pid}/stat`, 'utf8');
    assert.is(Number(fds.split(' ')[5]), pid, 'it leads a session of its own');
  } finally {
    process.kill(pid, 'SIGKILL');
  }
  await until(() => ended(pid));
});

test('detach without a line: empty; of a missing command: CommandFailed', async () => {
  assert.is((await executor.detach('true', [], { syncPipe: true })).line, '');
  assert.is((await executor.detach('true', [], {})).line, '');
  assert.is((await failure(executor.detach('/no/such/command', [], {}))).code, 'CommandFailed');
});

test('the executor ends with its parent and takes running commands along', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kontiki-executor-'));
  const source = new URL('../../src/agent/host/executor.ts', import.meta.url).href;
  const program = `
    const { createExecutor } = await import(${JSON.stringify(source)});
    const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger };
    const executor = await createExecutor({ logger });
    executor.run('sh', ['-c', 'echo $$ > ${folder}/pid; exec sleep 1000']);
    const { writeFileSync } = await import('node:fs');
    writeFileSync('${folder}/executor', String(executor.pid));`;
  const parent = await executor.detach(process.execPath, ['--input-type=module', '-e', program], {});
  try {
    const number = async (name: string) => Number(await readFile(`${folder}/${name}`, 'utf8').catch(() => '0'));
    await until(async () => (await number('pid')) > 0 && (await number('executor')) > 0);
    process.kill(parent.pid, 'SIGKILL');
    await until(async () => (await ended(await number('pid'))) && (await ended(await number('executor'))));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a new executor process is prepared before it runs a command', async () => {
  const prepared: number[] = [];
  const gate = Promise.withResolvers<void>();
  const own = await createExecutor({
    logger: silentLogger,
    prepare: async (pid) => {
      prepared.push(pid);
      if (prepared.length > 1) await gate.promise;
    },
  });
  try {
    assert.equal(prepared, [own.pid]);
    process.kill(own.pid as number, 'SIGKILL');
    await until(async () => prepared.length === 2);
    let done = false;
    const running = own.check('echo', ['now']).then((text) => {
      done = true;
      return text;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.not(done);
    gate.resolve();
    assert.is(await running, 'now\n');
  } finally {
    await own.close();
  }
});

test('when the executor process dies, its commands fail typed and are gone, and the next one works', async () => {
  const own = await createExecutor({ logger: silentLogger });
  try {
    const folder = await mkdtemp(join(tmpdir(), 'kontiki-executor-'));
    const running = failure(own.run('sh', ['-c', `echo $$ > ${folder}/pid; exec sleep 1000`]));
    await until(async () => (await readFile(`${folder}/pid`, 'utf8').catch(() => '')) !== '');
    process.kill(own.pid as number, 'SIGKILL');
    assert.is((await running).code, 'ExecutorLost');
    const pid = Number(await readFile(`${folder}/pid`, 'utf8'));
    await until(() => ended(pid));
    assert.is(await own.check('echo', ['again']), 'again\n');
    await rm(folder, { recursive: true });
  } finally {
    await own.close();
  }
});

test.run();
