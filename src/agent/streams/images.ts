/** What the agent's socket offers about images: list, import, export, removal, pins. Errors in the words a user of the command reads. */
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { badRequest, failure } from '../../machinery/status.ts';
import { AgentError } from '../errors.ts';
import type { Image, ImageRemoval, ImageStore } from '../types.ts';

export interface ImageRoutesOptions {
  dataDir: string;
  images: ImageStore;
  onImagesChanged: () => void;
}

/** The answer's JSON; undefined when the answer has been sent. StatusError. */
export async function serveImages(
  { dataDir, images, onImagesChanged }: ImageRoutesOptions,
  request: IncomingMessage,
  response: ServerResponse,
  action: string | undefined,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<unknown> {
  const name = () => {
    const given = query.get('name');
    if (!given) throw badRequest('the name of an image is missing');
    return given;
  };
  const changed = <T>(result: T): T => {
    onImagesChanged();
    return result;
  };
  switch (`${request.method} ${action ?? ''}`.trim()) {
    case 'GET':
      return listImages(images);
    case 'POST':
      return changed(await refused(() => importImages(dataDir, images, request, signal)));
    case 'DELETE':
      return changed(await refused(() => removeImage(images, name(), query.get('force') === 'true')));
    case 'POST prune':
      return changed(await images.prune({ all: query.get('all') === 'true' }));
    case 'POST pin':
    case 'POST unpin':
      await refused(() => images.setPinned(name(), action === 'pin'));
      return {};
    case 'GET export':
      await refused(() =>
        images.exportArchive(name(), signal, async ({ sizeBytes, content }) => {
          response.writeHead(200, { 'content-type': 'application/x-tar', 'content-length': sizeBytes });
          await pipeline(Readable.from(content, { objectMode: false, highWaterMark: 512 * 1024 }), response, { signal });
        }),
      );
      return undefined;
    default:
      throw failure(404, 'NotFound', `the agent has no ${request.method} /images/${action ?? ''}`);
  }
}

async function listImages(images: ImageStore) {
  const uses = new Map(images.uses().map((use) => [use.id, use]));
  return (await images.list()).map((image) => {
    const { usedBy = [], pinned = false, usedAtMs = 0, addedAtMs = 0 } = uses.get(image.id) ?? {};
    return { ...image, usedBy, pinned, usedAtMs, addedAtMs };
  });
}

/** The archive goes to a file first: what an image store reads it reads twice. */
async function importImages(
  dataDir: string,
  images: ImageStore,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Image[]> {
  const folder = join(dataDir, 'incoming');
  const file = join(folder, `${randomUUID()}.tar`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    await pipeline(request, createWriteStream(file, { mode: 0o600 }), { signal });
    return await images.importArchive(file, signal);
  } finally {
    await rm(file, { force: true });
  }
}

async function removeImage(images: ImageStore, name: string, force: boolean): Promise<ImageRemoval> {
  const removal = await images.remove(name, { force });
  if (removal.untagged.length + removal.deleted.length > 0) return removal;
  throw images.missing(name);
}

/** The store's refusals as a Status. */
async function refused<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    if (error.code === 'ImageNotFound') throw failure(404, 'NotFound', error.message);
    if (error.code === 'ImageInUse' || error.code === 'ImagePinned') throw failure(409, 'Conflict', error.message);
    if (error.code === 'ImageImport' || error.code === 'InvalidImageName') throw badRequest(error.message);
    throw error;
  }
}
