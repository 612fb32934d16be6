/** Commands about the machine they run on: the daemon, tokens, what it knows of its cluster. */
import type { Command } from 'commander';
import { createLogger } from '../lib/logger.ts';
import { loadConfig, type NodePaths, pathsOf } from '../node/config.ts';
import { readIdentity, removedMessage } from '../node/identity.ts';
import { resetMachine } from '../node/machine-reset.ts';
import { callDaemon } from './control-client.ts';
import { CliError } from './errors.ts';

export function addMachineCommands(program: Command): void {
  program
    .command('up')
    .description('run the daemon of this machine in the foreground; the first machine founds the cluster')
    .option('--config <file>', 'configuration, see cluster-config/')
    .option('--join <address>', 'host:port of any peer of the cluster; on a member only a hint, when all addresses have changed')
    .option('--token <token>', 'join token for the first start, from: kontiki token create')
    .action(up);

  withConfig(program.command('status').description('show what the daemon of this machine knows')).action(async ({ config }) => {
    print(await status(pathsOf(loadConfig(config).dataDir)));
  });
  withConfig(program.command('kubeconfig').description("print a new administrator's kubeconfig"))
    .option('--server <url>', 'the API as its user will reach it')
    .action(async ({ config, server }) => {
      const answer = await callDaemon<{ kubeconfig: string }>(socketOf(config), 'POST', '/kubeconfig', server ? { server } : {});
      process.stdout.write(answer.kubeconfig);
    });
  const keys = program.command('keys').description('keys of the cluster');
  withConfig(
    keys.command('rotate').description('sign service account tokens with a new key; those of the three before stay good'),
  )
    .option('--secrets', 'instead: encrypt secrets with a new key, rewrite all of them, then forget the older keys')
    .action(async ({ config, secrets }) => {
      print(await callDaemon(socketOf(config), 'POST', secrets ? '/sealing-keys' : '/service-account-keys'));
    });
  withConfig(program.command('reset').description('remove all containers and data of this machine; the daemon must be stopped'))
    .requiredOption('--yes', 'confirm that everything on this machine is to be lost')
    .action(({ config }) => resetMachine(loadConfig(config)));
}

async function up(options: { config?: string; join?: string; token?: string }): Promise<void> {
  if (process.getuid?.() !== 0) throw new CliError('NotRoot', 'the daemon makes namespaces and cgroups: run it as root');
  if (options.token !== undefined && options.join === undefined) {
    throw new CliError('Usage', '--token needs --join: the address of a peer of the cluster');
  }
  const config = loadConfig(options.config);
  const { startDaemon } = await import('../node/machine.ts');
  const logger = createLogger('node', config.log.level);
  const daemon = await startDaemon({
    config,
    ...(options.join ? { join: { address: options.join, ...(options.token ? { token: options.token } : {}) } } : {}),
    onFatal(message) {
      logger.error({ reason: message }, 'the daemon cannot go on and ends; containers go on');
      process.exit(70);
    },
    onRemoved(message) {
      logger.error({ reason: message }, 'the daemon ends; so have the containers');
      process.exit(0);
    },
  });
  const stop = () => {
    daemon.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/** The daemon's own words; of a machine that was removed, and whose daemon has ended, what its data folder says. */
async function status(paths: NodePaths): Promise<unknown> {
  try {
    return await callDaemon(paths.controlSocket, 'GET', '/status');
  } catch (error) {
    const identity = error instanceof CliError && error.code === 'DaemonNotRunning' ? readIdentity(paths) : undefined;
    if (!identity?.removed) throw error;
    return { nodeName: identity.nodeName, removed: true, message: removedMessage(identity.nodeName) };
  }
}

export function withConfig(command: Command): Command {
  return command.option('--config <file>', "the daemon's configuration");
}

export function socketOf(config: string | undefined): string {
  return pathsOf(loadConfig(config).dataDir).controlSocket;
}

export function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
