/** `kontiki image`: the container images of this machine, asked of its agent. */
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { errorCode, errorMessage } from '../lib/errors.ts';
import { loadConfig, pathsOf } from '../node/config.ts';
import { callDaemon, streamFromDaemon } from './control-client.ts';
import { CliError } from './errors.ts';
import { formatImages, type ListedImage, readableBytes } from './image-text.ts';

/** Removing a large image takes a while. */
const removalTimeoutMs = 10 * 60_000;

interface Options {
  config?: string;
  output?: string;
  force?: boolean;
  all?: boolean;
}

interface Removal {
  untagged: string[];
  deleted: string[];
  freedBytes: number;
}

export function addImageCommands(program: Command): void {
  const image = program.command('image').description('container images of this machine');
  const command = (usage: string, description: string) =>
    image.command(usage).description(description).option('--config <file>', "the daemon's configuration");

  command('list', 'show the images, and who uses them').option('-o, --output <format>', 'json').action(list);
  command('import <file>', 'import an OCI or Docker archive')
    .option('-o, --output <format>', 'json')
    .action(async (file: string, options: Options) => {
      const isJson = wantsJson(options);
      const images = await importImage(agentSocketOf(options), file);
      if (isJson) return say(JSON.stringify(images, null, 2));
      for (const { id, references, sizeBytes } of images) {
        say(`imported ${references.join(', ') || 'without a name'} (${id}, ${readableBytes(sizeBytes)})`);
      }
    });
  command('export <name> <file>', 'write an image as an OCI archive').action(exportImage);
  command('remove <name...>', 'remove names, with the last one the image; never one in use')
    .option('--force', 'pinned ones too')
    .action(remove);
  command('prune', 'remove images without a tag that nobody uses')
    .option('--all', 'also those with a tag')
    .action(async (options: Options) => {
      const path = `/images/prune?all=${options.all === true}`;
      report(await callDaemon<Removal>(agentSocketOf(options), 'POST', path, undefined, removalTimeoutMs), true);
    });
  for (const verb of ['pin', 'unpin'] as const) {
    const description = verb === 'pin' ? 'keep an image whatever happens to the disk' : 'let an image go when nobody needs it';
    command(`${verb} <name>`, description).action(async (name: string, options: Options) => {
      await callDaemon(agentSocketOf(options), 'POST', `/images/${verb}?name=${encodeURIComponent(name)}`);
      say(`${verb}ned ${name}`);
    });
  }
}

async function list(options: Options): Promise<void> {
  const isJson = wantsJson(options);
  const images = await callDaemon<ListedImage[]>(agentSocketOf(options), 'GET', '/images');
  if (isJson) say(JSON.stringify(images, null, 2));
  else process.stdout.write(formatImages(images));
}

/** The file is there when it is whole. */
async function exportImage(name: string, file: string, options: Options): Promise<void> {
  const content = await streamFromDaemon(agentSocketOf(options), 'GET', `/images/export?name=${encodeURIComponent(name)}`);
  const partial = `${file}.partial`;
  try {
    await pipeline(content, createWriteStream(partial, { mode: 0o600 }));
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof CliError) throw error;
    throw new CliError('CommandFailed', `${file} cannot be written: ${errorMessage(error)}`, {}, error);
  }
  say(`exported ${name} to ${file} (${readableBytes((await stat(file)).size)})`);
}

/** All that can be removed are; then the first complaint ends the command. */
async function remove(names: string[], options: Options): Promise<void> {
  const socket = agentSocketOf(options);
  const complaints: unknown[] = [];
  for (const name of names) {
    const path = `/images?name=${encodeURIComponent(name)}&force=${options.force === true}`;
    try {
      report(await callDaemon<Removal>(socket, 'DELETE', path, undefined, removalTimeoutMs), false);
    } catch (error) {
      complaints.push(error);
    }
  }
  if (complaints.length > 0) throw new CliError('CommandFailed', complaints.map(errorMessage).join('\n'), {}, complaints[0]);
}

function report({ untagged, deleted, freedBytes }: Removal, always: boolean): void {
  for (const name of untagged) say(`untagged ${name}`);
  for (const id of deleted) say(`deleted ${id}`);
  if (always || deleted.length > 0) say(`freed ${readableBytes(freedBytes)}`);
}

/** Sends an archive to an agent. */
export async function importImage(agentSocket: string, file: string): Promise<ListedImage[]> {
  const { size } = await stat(file).catch((error) => {
    if (errorCode(error) === 'ENOENT') throw new CliError('Usage', `there is no file ${file}`);
    throw error;
  });
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath: agentSocket,
        method: 'POST',
        path: '/images',
        headers: { 'content-length': size, 'content-type': 'application/x-tar' },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = JSON.parse(Buffer.concat(chunks).toString()) as ListedImage[] & { message?: string };
          if (response.statusCode === 200) resolve(answer);
          else reject(new CliError('CommandFailed', `${file} was not imported: ${answer.message ?? response.statusCode}`));
        });
      },
    );
    call.on('error', (error) => reject(new CliError('CommandFailed', `${file} was not imported: ${error.message}`, {}, error)));
    const archive = createReadStream(file);
    archive.on('error', (error) => call.destroy(error));
    archive.pipe(call);
  });
}

function wantsJson({ output }: Options): boolean {
  if (output !== undefined && output !== 'json') throw new CliError('Usage', '-o takes only json');
  return output === 'json';
}

function agentSocketOf({ config }: Options): string {
  return pathsOf(loadConfig(config).dataDir).agentSocket;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
