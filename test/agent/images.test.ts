/** `kontiki image` against a running agent, with pods that use images; and what the Node says of them. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CliError } from '../../src/cli/errors.ts';
import { addImageCommands } from '../../src/cli/image-commands.ts';
import { nodes } from '../../src/machinery/resources.ts';
import { dockerArchive, entry, image as imageOf, layer } from '../images/image-fixtures.ts';
import { image, Lab, until } from './support/lab.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
/** A disk that fills up when a test says so, and is found empty after the first removal. */
const disk = { full: false };
let lab: Lab;
let folder: string;

test.before(async () => {
  const imageGarbage = { highPercent: 85, lowPercent: 80, minimumAgeMs: 0, maximumAgeMs: 0 };
  lab = await Lab.open({ imageGarbage }, async () => ({ capacityBytes: 1_000, availableBytes: disk.full ? 100 : 900 }));
  folder = mkdtempSync(join(tmpdir(), 'kontiki-image-command-'));
  mkdirSync(join(folder, 'run'));
  // The agent's socket, where the configuration says that it is.
  symlinkSync(lab.options.agentSocket, join(folder, 'run/agent.sock'));
  writeFileSync(join(folder, 'kontiki.yaml'), `dataDir: ${folder}\n`);
});
test.after(async () => {
  rmSync(folder, { recursive: true });
  await lab.close();
});

const withConfig = (words: string[]) => ['image', ...words, '--config', join(folder, 'kontiki.yaml')];

/** What the command prints; it runs in this process. */
async function kontikiImage(...words: string[]): Promise<string> {
  const program = new Command().exitOverride();
  addImageCommands(program);
  const { write } = process.stdout;
  let out = '';
  process.stdout.write = (part: string | Uint8Array) => {
    out += String(part);
    return true;
  };
  try {
    await program.parseAsync(withConfig(words), { from: 'user' });
    return out;
  } finally {
    process.stdout.write = write;
  }
}

async function refused(...words: string[]): Promise<string> {
  const error = await kontikiImage(...words).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, CliError, words.join(' '));
  return (error as CliError).message;
}

/** As a user has it: a process. */
function asProcess(...words: string[]): Promise<{ code: number | null; complaint: string }> {
  const args = ['--disable-warning=ExperimentalWarning', main, ...withConfig(words)];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      complaint += part;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, complaint }));
  });
}

const namesOnNode = async () =>
  (await lab.api.get(nodes, lab.options.nodeName)).status?.images?.flatMap(({ names }) => names ?? []) ?? [];

test('images are imported, listed with their users, exported, pinned and removed', async () => {
  const small = imageOf([layer(entry('a', 'x'.repeat(2_000)))]);
  const archive = dockerArchive(join(folder, 'small.tar'), [{ image: small, tags: ['small:1', 'small:2'] }]);
  assert.is(
    await kontikiImage('import', archive),
    `imported docker.io/library/small:1, docker.io/library/small:2 (${small.id}, 2 kB)\n`,
  );
  await until('the node shows it', async () => (await namesOnNode()).includes('docker.io/library/small:1'));

  await lab.createPod('web', { containers: [{ name: 'main', image, command: ['sleep', '1000'] }] });
  await lab.running('web');
  assert.equal(await asProcess('remove', image), {
    code: 1,
    complaint: `kontiki: image ${image} is in use by pod default/web\n`,
  });
  assert.is(await refused('remove', 'smal:1'), 'image smal:1 is not on this machine; did you mean small:1?');
  assert.match(await refused('remove', 'Small'), "couldn't parse image name");
  assert.match(await refused('export', 'absent', join(folder, 'x.tar')), 'image absent is not on this machine');
  assert.not(existsSync(join(folder, 'x.tar')));

  await kontikiImage('pin', 'small:2');
  const rows = (await kontikiImage('list')).split('\n').map((line) => line.split(/ {2,}/));
  assert.equal(rows[0], ['REPOSITORY', 'TAG', 'IMAGE ID', 'SIZE', 'PINNED', 'USED BY']);
  assert.equal(rows[1]?.toSpliced(2, 2), ['docker.io/library/kontiki-test', '1', 'no', 'pod default/web']);
  assert.equal(rows[2], ['docker.io/library/small', '1', small.id.slice(7, 19), '2 kB', 'yes', '-']);
  assert.match(await refused('remove', small.id), 'is pinned: unpin it, or remove it with --force');

  const out = join(folder, 'out.tar');
  assert.match(await kontikiImage('export', 'small:1', out), `exported small:1 to ${out}`);
  assert.is(
    await kontikiImage('remove', 'small:1', 'small:2', '--force'),
    `untagged docker.io/library/small:1\nuntagged docker.io/library/small:2\ndeleted ${small.id}\nfreed 2 kB\n`,
  );
  await until('the node no longer shows it', async () => !(await namesOnNode()).includes('docker.io/library/small:1'));
  const [again] = JSON.parse(await kontikiImage('import', out, '-o', 'json')) as { id: string; references: string[] }[];
  assert.equal([again?.id, again?.references], [small.id, ['docker.io/library/small:1']]);
  assert.is(await kontikiImage('prune'), 'freed 0 B\n');
  assert.match(await kontikiImage('prune', '--all'), `deleted ${small.id}\nfreed 2 kB\n`);
  const left = JSON.parse(await kontikiImage('list', '-o', 'json')) as { references: string[]; usedBy: string[] }[];
  assert.equal(
    left.map(({ references, usedBy }) => [references, usedBy]),
    [[[image], ['pod default/web']]],
  );
});

test('a full disk costs unused images, not those of pods, and the Node hears of it', async () => {
  const unused = imageOf([layer(entry('b', 'y'.repeat(50)))]);
  await lab.images.importArchive(
    dockerArchive(join(folder, 'unused.tar'), [{ image: unused, tags: ['unused:1'] }]),
    AbortSignal.timeout(60_000),
  );
  await lab.createPod('crashing', {
    containers: [{ name: 'main', image, imagePullPolicy: 'Never', command: ['false'] }],
  });
  await lab.deletePod('web');
  await lab.podUntil('crashing', 'waits between two runs', ({ containerStatuses }) =>
    containerStatuses?.some(({ state }) => state?.waiting?.reason === 'CrashLoopBackOff'),
  );
  disk.full = true;
  await lab.stopAgent();
  await lab.startAgent();
  await until('the unused image goes', async () => (await lab.images.find('unused:1')) === undefined);
  await until('that is not enough', () => lab.events.some(({ reason }) => reason === 'FreeDiskSpaceFailed'));
  assert.ok(await lab.images.find(image), 'a pod that waits to be restarted still needs its image');
  await until('the node no longer shows it', async () => !(await namesOnNode()).some((name) => name.includes('unused')));
  const event = lab.events.find(({ reason }) => reason === 'FreeDiskSpaceFailed');
  assert.equal(event, {
    pod: lab.options.nodeName,
    type: 'Warning',
    reason: 'FreeDiskSpaceFailed',
    message:
      'Failed to garbage collect required amount of images. Attempted to free 100 bytes, but only found 50 bytes eligible to free.',
  });
});

test('without an agent the command says so', async () => {
  await lab.stopAgent();
  assert.match(await refused('list'), 'no daemon listens on');
});

test.run();
