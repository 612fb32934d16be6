/** The `kontiki` command. Picks the command and reports its failure; what a command does is in its own file. */
import { Command } from 'commander';
import { errorMessage } from '../lib/errors.ts';
import { addDevCommands } from './dev-commands.ts';
import { addImageCommands } from './image-commands.ts';
import { addMachineCommands } from './machine-commands.ts';
import { addMemberCommands } from './member-commands.ts';
import { addRecoveryCommands } from './recovery-commands.ts';

const program = new Command('kontiki')
  .description('A Kubernetes-compatible orchestrator: one daemon for each machine.')
  .version('0.1.0');
addMachineCommands(program);
addImageCommands(program);
addRecoveryCommands(program);
addMemberCommands(program);
addDevCommands(program);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`kontiki: ${errorMessage(error)}\n`);
  if (process.env.KONTIKI_TRACE) console.error(error);
  process.exitCode = 1;
}
