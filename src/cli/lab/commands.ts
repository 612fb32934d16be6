/** Host commands of the local cluster. The command line is short-lived and small, so it spawns them itself. */
import { spawn } from 'node:child_process';
import { CliError } from '../errors.ts';

const outputBytesMax = 1024 * 1024;

/** Standard output of a command that succeeded. Throws CliError 'CommandFailed' with what it wrote to standard error. */
export function run(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      if (stdout.length < outputBytesMax) stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < outputBytesMax) stderr += chunk;
    });
    child.on('error', (error) => reject(new CliError('CommandFailed', `${command} cannot be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(new CliError('CommandFailed', `${command} ${args.join(' ')} failed (${signal ?? code}): ${stderr.trim()}`));
    });
    child.stdin.on('error', () => undefined); // it may end without reading; its exit code tells
    child.stdin.end(input);
  });
}
