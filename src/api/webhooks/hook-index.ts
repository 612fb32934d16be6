/** The configured webhooks of one phase in memory, in the order in which they are asked. Follows this peer's store. */
import type { ValidatingWebhookConfiguration } from '../../machinery/kind-types.ts';
import type { StoreReader, StoreRecord, Watch } from '../../store/types.ts';
import { objectOf } from '../stored-objects.ts';
import type { Hook, Phase, Webhook } from './types.ts';

export class HookIndex {
  readonly #store: StoreReader;
  readonly #prefix: string;
  readonly #configurations = new Map<string, Hook[]>();
  #hooks: Hook[] = [];
  #watch: Watch | undefined;

  constructor(store: StoreReader, phase: Phase) {
    this.#store = store;
    this.#prefix = `/registry/admissionregistration.k8s.io/${phase}webhookconfigurations/`;
    this.#follow();
  }

  /** By the name of the configuration, then as written in it. */
  get hooks(): readonly Hook[] {
    return this.#hooks;
  }

  /** Follows no more changes. */
  close(): void {
    this.#watch?.cancel();
  }

  #follow(): void {
    this.#configurations.clear();
    const { records, revision } = this.#store.list(this.#prefix);
    for (const record of records) this.#configurations.set(record.key, hooksOf(record));
    this.#order();
    this.#watch = this.#store.watch(this.#prefix, revision, {
      onEvents: (events) => {
        for (const { type, record } of events) {
          if (type === 'put') this.#configurations.set(record.key, hooksOf(record));
          else this.#configurations.delete(record.key);
        }
        this.#order();
      },
      onEnd: (reason) => {
        if (reason === 'restored') this.#follow();
      },
    });
  }

  #order(): void {
    const sorted = [...this.#configurations].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#hooks = sorted.flatMap(([, hooks]) => hooks);
  }
}

function hooksOf(record: StoreRecord): Hook[] {
  const { metadata, webhooks = [] } = objectOf(record) as ValidatingWebhookConfiguration;
  return webhooks.map((webhook, index) => ({
    configuration: metadata.name,
    id: `${metadata.name}/${webhook.name}/${index}`,
    webhook: webhook as Webhook,
  }));
}
