/** Commands about the cluster's members and the tokens with which machines join. All work on any machine of the cluster. */
import type { Command } from 'commander';
import type { MemberView } from '../node/member-administration.ts';
import type { TokenView } from '../node/tokens.ts';
import { callDaemon } from './control-client.ts';
import { CliError } from './errors.ts';
import { print, socketOf, withConfig } from './machine-commands.ts';

/** The daemon gives up sooner, and says why. */
const changeTimeoutMs = 60_000;

interface ConfigOption {
  config?: string;
}

export function addMemberCommands(program: Command): void {
  withOutput(withConfig(program.command('members').description('show the machines of the cluster'))).action(
    async ({ config, output }: ConfigOption & { output?: string }) => {
      const members = await callDaemon<MemberView[]>(socketOf(config), 'GET', '/members');
      show(output, members, ['NAME', 'ROLE', 'VERDICT', 'LAG', 'STARTS', 'WANTED', 'ADDRESSES', 'ID'], (member) => [
        member.name,
        member.role,
        member.verdict,
        String(member.lag ?? '-'),
        String(member.incarnation ?? '-'),
        member.wanted,
        member.addresses.join(','),
        member.id,
      ]);
    },
  );

  const member = program.command('member').description('add, remove, promote and demote machines, or let the leader choose');
  withConfig(member.command('add').description('print the command with which another machine joins')).action(
    async ({ config }: ConfigOption) => {
      const { address, token } = await callDaemon<{ address: string; token: string }>(socketOf(config), 'POST', '/members/add');
      process.stdout.write(`kontiki up --join ${address} --token ${token}\n`);
    },
  );
  const force = 'although the loss of any one more machine would stop every write then';
  withConfig(member.command('remove <name>').description('take a machine out of the cluster; its pods move'))
    .option('--force', force)
    .action((name: string, options: ConfigOption & { force?: boolean }) => change('remove', name, options));
  withConfig(member.command('promote <name>').description('let a machine vote')).action((name: string, options: ConfigOption) =>
    change('promote', name, options),
  );
  withConfig(member.command('demote <name>').description('let a machine follow without a vote'))
    .option('--force', force)
    .action((name: string, options: ConfigOption & { force?: boolean }) => change('demote', name, options));
  withConfig(member.command('auto <name>').description('take back a promote or demote: the leader chooses who votes')).action(
    (name: string, options: ConfigOption) => change('auto', name, options),
  );

  const token = program.command('token').description('join tokens');
  withConfig(token.command('create').description('print a token with which one or more machines can join'))
    .option('--ttl <minutes>', 'how long it is good', '60')
    .action(async ({ config, ttl }: ConfigOption & { ttl: string }) => {
      const minutes = Number(ttl);
      if (!(minutes > 0 && minutes <= 525_600)) throw new CliError('Usage', '--ttl must be a number of minutes from 1 to 525600');
      const answer = await callDaemon<{ token: string }>(socketOf(config), 'POST', '/tokens', { ttlMs: minutes * 60_000 });
      process.stdout.write(`${answer.token}\n`);
    });
  withOutput(withConfig(token.command('list').description('show the tokens; their secrets are not kept'))).action(
    async ({ config, output }: ConfigOption & { output?: string }) => {
      const tokens = await callDaemon<TokenView[]>(socketOf(config), 'GET', '/tokens');
      show(output, tokens, ['ID', 'EXPIRES', 'STATE'], ({ id, expiresMs, expired }) => [
        id,
        new Date(expiresMs).toISOString(),
        expired ? 'expired' : 'good',
      ]);
    },
  );
  withConfig(token.command('revoke <id>').description('make a token worthless')).action(
    async (id: string, { config }: ConfigOption) => {
      await callDaemon(socketOf(config), 'POST', '/tokens/revoke', { id });
      process.stdout.write(`${id} is revoked\n`);
    },
  );
}

async function change(what: string, name: string, { config, force }: ConfigOption & { force?: boolean }): Promise<void> {
  const body = { name, force: force === true };
  const answer = await callDaemon<{ message: string }>(socketOf(config), 'POST', `/members/${what}`, body, changeTimeoutMs);
  process.stdout.write(`${answer.message}\n`);
}

function withOutput(command: Command): Command {
  return command.option('-o, --output <format>', 'json');
}

function show<T>(output: string | undefined, items: T[], header: string[], row: (item: T) => string[]): void {
  if (output === 'json') {
    print(items);
    return;
  }
  if (output !== undefined) throw new CliError('Usage', '-o takes only json');
  const rows = [header, ...items.map(row)];
  const widths = header.map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? '').length)));
  for (const cells of rows) {
    const line = cells.map((cell, column) => cell.padEnd((widths[column] ?? 0) + 3)).join('');
    process.stdout.write(`${line.trimEnd()}\n`);
  }
}
