/**
 * Which images stay and which go: who uses them, removal, pruning, pins. One removal at a time, and each asks anew who needs
 * the image right before it goes: a claim (a mount or a pull under way), the root of a container, or a pod.
 */
import type { Clock } from '../../lib/clock.ts';
import { AgentError } from '../errors.ts';
import type { ImageRemoval, ImageUse, ImageUser } from '../types.ts';
import type { ContainerRoots } from './container-roots.ts';
import type { ImageMarks } from './image-marks.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';
import type { LayerStore } from './layer-store.ts';
import { resolveName, suggestName } from './names.ts';
import { imageIdOf } from './reference.ts';

export interface ImageKeepingOptions {
  records: ImageRecords;
  roots: ContainerRoots;
  layers: LayerStore;
  marks: ImageMarks;
  clock: Clock;
}

export class ImageKeeping {
  readonly #options: ImageKeepingOptions;
  readonly #claims = new Map<string, number>();
  #users: () => readonly ImageUser[] = () => [];
  #removing: Promise<unknown> = Promise.resolve();

  constructor(options: ImageKeepingOptions) {
    this.#options = options;
  }

  setUsers(users: () => readonly ImageUser[]): void {
    this.#users = users;
  }

  /** Keeps the image, whether it is there yet or not, until the returned function is called. Counts as a use of it. */
  claim(id: string): () => void {
    this.#claims.set(id, (this.#claims.get(id) ?? 0) + 1);
    this.touch(id);
    return () => {
      const left = (this.#claims.get(id) ?? 1) - 1;
      if (left > 0) this.#claims.set(id, left);
      else this.#claims.delete(id);
    };
  }

  /** A container needs the image now. */
  touch(id: string): void {
    const { records, marks, clock } = this.#options;
    if (records.get(id)) marks.used(id, clock.wallMs());
  }

  uses(): ImageUse[] {
    const { records, layers, marks } = this.#options;
    const users = this.#usersByImage();
    return records.all().map(({ id, diffIds }) => {
      const usedBy = users.get(id) ?? [];
      if (usedBy.length > 0) this.touch(id);
      return {
        id,
        references: records.referencesOf(id),
        digests: records.digestsOf(id),
        sizeBytes: [...new Set(diffIds)].reduce((sum, diffId) => sum + layers.sizeBytes(diffId), 0),
        usedBy,
        pinned: marks.isPinned(this.#namesOf(id)),
        ...marks.times(id),
      };
    });
  }

  async setPinned(reference: string, pinned: boolean): Promise<void> {
    const { records, marks } = this.#options;
    const { name, record } = resolveName(records, reference);
    const isPinned = marks.isPinned([name]);
    // A pin outlives its image's going (the daemon was killed in between, say): taking it away needs no image.
    if (!record && (pinned || !isPinned)) throw this.notFound(reference);
    if (pinned === isPinned) return;
    await marks.setPinned(name, pinned);
  }

  notFound(reference: string): AgentError {
    const { records } = this.#options;
    const names = records.all().flatMap(({ id }) => records.referencesOf(id));
    const near = suggestName(reference, names);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    return new AgentError('ImageNotFound', `image ${reference} is not on this machine${hint}`, { reference });
  }

  remove(reference: string, force: boolean): Promise<ImageRemoval> {
    return this.#serially(async () => {
      const { records, marks } = this.#options;
      const { name, record } = resolveName(records, reference);
      const removal: ImageRemoval = { untagged: [], deleted: [], freedBytes: 0 };
      if (!record) return removal;
      const byId = imageIdOf(reference) !== undefined;
      const others = this.#namesOf(record.id).filter((other) => other !== name && other !== record.id);
      // A name among several is only a name. The digest a pull recorded does not keep an image whose last tag goes.
      const tagsLeft = records.referencesOf(record.id).some((tag) => tag !== name);
      const nameOnly = !byId && (tagsLeft || (name.includes('@') && others.length > 0));
      if (!force && marks.isPinned(nameOnly ? [name] : this.#namesOf(record.id))) {
        throw new AgentError('ImagePinned', `image ${reference} is pinned: unpin it, or remove it with --force`, {
          image: record.id,
        });
      }
      if (nameOnly) {
        await records.removeName(name);
        if (marks.isPinned([name])) await marks.setPinned(name, false);
        return { ...removal, untagged: [name] };
      }
      const usedBy = this.#usersByImage().get(record.id) ?? [];
      if (usedBy.length > 0) {
        throw new AgentError('ImageInUse', `image ${reference} is in use by ${usedBy.join(', ')}`, { image: record.id, usedBy });
      }
      return this.#delete(record);
    });
  }

  prune(all: boolean): Promise<ImageRemoval> {
    return this.#serially(async () => {
      const sum: ImageRemoval = { untagged: [], deleted: [], freedBytes: 0 };
      for (const { id } of this.uses().filter((use) => all || use.references.length === 0)) {
        const removal = await this.#deleteUnused(id);
        sum.untagged.push(...removal.untagged);
        sum.deleted.push(...removal.deleted);
        sum.freedBytes += removal.freedBytes;
      }
      return sum;
    });
  }

  /** Nothing happens when the image has gone, is pinned, or somebody uses it. */
  async #deleteUnused(id: string): Promise<ImageRemoval> {
    const record = this.#options.records.get(id);
    const isFree = !this.#usersByImage().has(id) && !this.#options.marks.isPinned(this.#namesOf(id));
    return record && isFree ? this.#delete(record) : { untagged: [], deleted: [], freedBytes: 0 };
  }

  async #delete({ id }: ImageRecord): Promise<ImageRemoval> {
    const { records, roots, layers, marks } = this.#options;
    const names = this.#namesOf(id);
    await records.remove(id);
    await marks.forget(id, names);
    const used = new Set<string>();
    for (const { diffIds } of records.all()) for (const diffId of diffIds) used.add(diffId);
    for (const { diffIds } of roots.records.values()) for (const diffId of diffIds) used.add(diffId);
    const freedBytes = await layers.removeExcept(used);
    return { untagged: names.filter((name) => name !== id), deleted: [id], freedBytes };
  }

  /** By image id: who needs it. */
  #usersByImage(): Map<string, string[]> {
    const { records, roots } = this.#options;
    const byImage = new Map<string, string[]>();
    const note = (id: string, who: string) => {
      const known = byImage.get(id) ?? [];
      if (!known.includes(who)) byImage.set(id, [...known, who]);
    };
    const users = this.#users();
    const owners = new Map(users.flatMap(({ name, containers }) => containers.map((id) => [id, name] as const)));
    for (const [containerId, { imageId }] of roots.records) {
      note(imageId, owners.get(containerId) ?? `container ${containerId}`);
    }
    for (const { name, images } of users) {
      for (const reference of images) {
        const id = resolveName(records, reference, false).record?.id;
        if (id !== undefined) note(id, name);
      }
    }
    for (const id of this.#claims.keys()) if (!byImage.has(id)) note(id, 'a pull, an export or a start under way');
    return byImage;
  }

  /** The id too: it can be pinned as well. */
  #namesOf(id: string): string[] {
    const { records } = this.#options;
    return [...records.referencesOf(id), ...records.digestsOf(id), id];
  }

  #serially<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#removing.then(change);
    // The next removal does not depend on whether this one worked.
    this.#removing = done.catch(() => {});
    return done;
  }
}
