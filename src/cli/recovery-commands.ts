/** `kontiki snapshot` and `kontiki recover`: backups, and what to do after a disaster. See docs/RECOVERY.md. */
import { existsSync } from 'node:fs';
import { stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { errorCode, errorMessage } from '../lib/errors.ts';
import { loadConfig, pathsOf } from '../node/config.ts';
import type { VerifiedSnapshot } from '../node/recovery/backup.ts';
import type { LonePeer } from '../node/recovery/lone-peer.ts';
import { streamFromDaemon } from './control-client.ts';
import { CliError } from './errors.ts';
import { aliveLines, inspectionText, lonePeerText, planText, snapshotText } from './recovery-text.ts';

interface SealedCommandOptions {
  clusterKey?: string;
  discardSecrets?: boolean;
}

interface SnapshotOptions extends SealedCommandOptions {
  config?: string;
  output?: string;
  yes?: boolean;
}

interface RecoverCommandOptions extends SealedCommandOptions {
  config?: string;
  from?: string[];
  yes?: boolean;
}

const fromMax = 16;
const onHolders = 'cluster.key in the data folder of a machine that holds the log';

export function addRecoveryCommands(program: Command): void {
  const config = ['--config <file>', "the daemon's configuration"] as const;
  const output = ['-o, --output <format>', 'json'] as const;
  const clusterKey = ['--cluster-key <file>', 'cluster.key from the data folder of any machine of that cluster'] as const;
  const discardSecrets = ['--discard-secrets', 'do without that key: encrypted objects are lost'] as const;
  const snapshot = program.command('snapshot').description('backups of the whole cluster in one file');
  snapshot
    .command('save <file>')
    .description('write a snapshot of the running cluster; it holds the keys of the cluster: keep it safe')
    .option(...config)
    .option(...output)
    .action(save);
  snapshot
    .command('verify <file>')
    .description('check every byte of a snapshot and show what is in it; needs no cluster')
    .option(...output)
    .action(verify);
  snapshot
    .command('restore <file>')
    .description('make a new cluster of this one machine out of a snapshot; others join it afterwards')
    .option(...config)
    .option(...clusterKey)
    .option(...discardSecrets)
    .option('--yes', 'do not ask')
    .action(restore);
  program
    .command('recover')
    .description('after most voters were lost for good: go on alone from the best log at hand; the daemon must be stopped')
    .option(...config)
    .option('--from <folders...>', 'data folders of other peers, for example from their disks')
    .option(...clusterKey)
    .option(...discardSecrets)
    .option('--yes', 'do not ask')
    .action(recoverHere);
}

function say(text: string): void {
  stdout.write(`${text}\n`);
}

function checkOutput(output: string | undefined): void {
  if (output !== undefined && output !== 'json') throw new CliError('Usage', '-o takes only json');
}

async function save(file: string, { config, output }: SnapshotOptions): Promise<void> {
  checkOutput(output);
  const { controlSocket, clusterKey } = pathsOf(loadConfig(config).dataDir);
  const { saveSnapshotFile } = await import('../node/recovery/backup.ts');
  const bytes = await streamFromDaemon(controlSocket, 'POST', '/snapshot');
  show(await saveSnapshotFile(file, bytes), 'saved', output);
  if (output !== 'json')
    say(
      `  secrets   encrypted: keep a copy of ${existsSync(clusterKey) ? clusterKey : onHolders} too, elsewhere; restoring needs it`,
    );
}

async function verify(file: string, { output }: SnapshotOptions): Promise<void> {
  checkOutput(output);
  const { verifySnapshotFile } = await import('../node/recovery/backup.ts');
  try {
    show(await verifySnapshotFile(file), 'whole', output);
  } catch (error) {
    if (output !== 'json') throw error;
    say(JSON.stringify({ file, valid: false, problem: errorCode(error) ?? 'Unknown', message: errorMessage(error) }, null, 2));
    process.exitCode = 1;
  }
}

function show(snapshot: VerifiedSnapshot, what: string, output: string | undefined): void {
  say(output === 'json' ? JSON.stringify({ valid: true, ...snapshot }, null, 2) : snapshotText(snapshot, what));
}

async function restore(file: string, options: SnapshotOptions): Promise<void> {
  const config = loadConfig(options.config);
  const { verifySnapshotFile } = await import('../node/recovery/backup.ts');
  const { checkRestorable, restoreSnapshot } = await import('../node/recovery/restore.ts');
  checkRestorable(config);
  const { answering } = await import('../node/recovery/reachable.ts');
  const verified = await verifySnapshotFile(file);
  say(snapshotText(verified, 'whole'));
  say(`\nA new cluster with this content will be made in ${config.dataDir}, of this machine (${config.nodeName}) alone.`);
  say('Machines that still belong to the old cluster will not be let in. Make sure that they are off: their pods may still run.');
  for (const line of aliveLines(await answering(verified.header.members))) say(line);
  if (!(await confirmed(options.yes, 'Restore it?'))) return say('Nothing was changed.');
  done(await restoreSnapshot(config, file, sealedOptions(options)), options.config);
}

async function recoverHere(options: RecoverCommandOptions): Promise<void> {
  const from = options.from ?? [];
  if (from.length > fromMax) throw new CliError('Usage', `--from takes at most ${fromMax} folders`);
  const config = loadConfig(options.config);
  const { recover } = await import('../node/recovery/recover.ts');
  const outcome = await recover({
    config,
    from,
    sealed: sealedOptions(options),
    onInspected: (inspected) => say(inspectionText(inspected)),
    confirm: (plan, alive) => {
      say([planText(plan, config.nodeName), ...aliveLines(alive)].join('\n'));
      return confirmed(options.yes, 'Go on alone from this log?');
    },
  });
  if (!outcome) return say('Nothing was changed.');
  done(outcome, options.config);
}

const sealedOptions = ({ clusterKey, discardSecrets }: SealedCommandOptions) => ({
  keyFiles: clusterKey === undefined ? [] : [clusterKey],
  discard: discardSecrets === true,
});

function done(outcome: LonePeer, config: string | undefined): void {
  say(lonePeerText(outcome, config));
}

/** Throws CliError 'Usage' when nobody can be asked. */
async function confirmed(yes: boolean | undefined, question: string): Promise<boolean> {
  if (yes) return true;
  if (!stdin.isTTY || !stdout.isTTY) {
    throw new CliError('Usage', 'nothing was changed: this is no terminal to ask on; read the above, then add --yes');
  }
  const terminal = createInterface({ input: stdin, output: stdout });
  try {
    return (await terminal.question(`\n${question} Only "yes" is a yes: `)).trim() === 'yes';
  } finally {
    terminal.close();
  }
}
