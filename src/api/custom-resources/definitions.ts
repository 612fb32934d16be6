/**
 * Keeps the table of kinds in step with the definitions in this peer's store. The watch delivers before the write that caused it
 * resolves and before a barrier does, so whoever has seen a definition established is served its objects by every peer.
 */

import type { Logger } from '../../lib/logger.ts';
import { type CustomResourceDefinition, definitionGroup, isEstablished } from '../../machinery/custom/definition.ts';
import type { KindDefinition } from '../../machinery/kind.ts';
import type { StoreReader, Watch } from '../../store/types.ts';
import type { KindTable } from '../kind-table.ts';
import { objectOf } from '../stored-objects.ts';
import type { ConversionClient } from './conversion.ts';
import { customKinds } from './custom-kind.ts';

const prefix = `/registry/${definitionGroup}/customresourcedefinitions/`;

interface Known {
  kinds: KindDefinition[];
  /** What the kinds were made of. A definition that changes nothing but its conditions keeps its kinds. */
  made: string;
}

export class DefinedKinds {
  readonly #store: StoreReader;
  readonly #table: KindTable;
  readonly #conversion: ConversionClient | undefined;
  readonly #logger: Logger;
  /** By key. */
  readonly #known = new Map<string, Known>();
  #watch: Watch | undefined;

  constructor(options: {
    store: StoreReader;
    table: KindTable;
    logger: Logger;
    conversion?: ConversionClient | undefined;
  }) {
    this.#store = options.store;
    this.#table = options.table;
    this.#conversion = options.conversion;
    this.#logger = options.logger;
    this.#follow();
  }

  /** Follows no more changes. */
  close(): void {
    this.#watch?.cancel();
  }

  #follow(): void {
    this.#known.clear();
    const { records, revision } = this.#store.list(prefix);
    for (const record of records) this.#put(record.key, objectOf(record) as CustomResourceDefinition);
    this.#publish();
    this.#watch = this.#store.watch(prefix, revision, {
      onEvents: (events) => {
        let changed = false;
        for (const { type, record } of events) {
          const of = type === 'put' ? (objectOf(record) as CustomResourceDefinition) : undefined;
          changed = (of ? this.#put(record.key, of) : this.#known.delete(record.key)) || changed;
        }
        if (changed) this.#publish();
      },
      onEnd: (reason) => {
        if (reason === 'restored') this.#follow();
      },
    });
  }

  /** False when nothing is different for clients. */
  #put(key: string, definition: CustomResourceDefinition): boolean {
    if (!isEstablished(definition)) return this.#known.delete(key);
    const { spec, status, metadata } = definition;
    const made = JSON.stringify([metadata.uid, spec, status?.acceptedNames]);
    if (this.#known.get(key)?.made === made) return false;
    this.#known.set(key, { kinds: this.#kindsOf(definition), made });
    return true;
  }

  /** None for a definition that this program cannot serve: the others must not go down with it. */
  #kindsOf(definition: CustomResourceDefinition): KindDefinition[] {
    try {
      return customKinds(definition, this.#conversion);
    } catch (error) {
      this.#logger.error({ error, definition: definition.metadata.name }, 'a definition cannot be served');
      return [];
    }
  }

  #publish(): void {
    const keys = [...this.#known.keys()].sort();
    this.#table.setCustom(keys.flatMap((key) => this.#known.get(key)?.kinds ?? []));
  }
}
