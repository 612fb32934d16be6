/**
 * A small operator as people write them, with nothing but the official JavaScript client: an informer, server-side apply of what a shelf owns,
 * the status subresource, and a finalizer that leaves a note when a shelf goes. Everything that fails is tried again.
 */
import {
  ApiException,
  CoreV1Api,
  CustomObjectsApi,
  type KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  type ListWatch,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ObjectMeta,
} from '@kubernetes/client-node';

export const group = 'books.example.com';
const version = 'v1';
const plural = 'shelves';
const namespace = 'default';
const finalizer = `${group}/note`;
const manager = 'shelf-operator';
const retryMs = 100;

export interface Shelf extends KubernetesObject {
  metadata: V1ObjectMeta & { name: string };
  spec: { books: number; color: string };
  status?: { books?: number; observedGeneration?: number };
}

const integer = { type: 'integer' } as const;

export const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural, kind: 'Shelf' },
    versions: [
      {
        ...{ name: version, served: true, storage: true, subresources: { status: {} } },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: { books: { ...integer, minimum: 0, maximum: 20 }, color: { type: 'string', default: 'brown' } },
              },
              status: { type: 'object', properties: { books: integer, observedGeneration: integer } },
            },
          },
        },
      },
    ],
  },
};

const merge = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
const codeOf = (error: unknown) => (error instanceof ApiException ? error.code : undefined);

/** What users of shelves do. The resourceVersion that was written comes back. */
export class Shelves {
  readonly #api: CustomObjectsApi;

  constructor(config: KubeConfig) {
    this.#api = config.makeApiClient(CustomObjectsApi);
  }

  async create(name: string, spec: Shelf['spec']): Promise<string> {
    const body = { apiVersion: `${group}/${version}`, kind: 'Shelf', metadata: { name }, spec };
    return versionOf(await this.#api.createNamespacedCustomObject({ group, version, namespace, plural, body }));
  }

  async change(name: string, spec: Partial<Shelf['spec']>): Promise<string> {
    return versionOf(
      await this.#api.patchNamespacedCustomObject({ group, version, namespace, plural, name, body: { spec } }, merge),
    );
  }

  async remove(name: string): Promise<void> {
    await this.#api.deleteNamespacedCustomObject({ group, version, namespace, plural, name });
  }

  async list(): Promise<{ items: Shelf[]; metadata?: { resourceVersion?: string } }> {
    return this.#api.listNamespacedCustomObject({ group, version, namespace, plural });
  }
}

const versionOf = (object: Shelf) => object.metadata.resourceVersion ?? '';

/** What the informer has told, as it came. */
export interface Told {
  type: 'add' | 'update' | 'delete';
  name: string;
  version: string;
}

export class Operator {
  readonly told: Told[] = [];
  /** How often the informer had to be started again. */
  restarts = 0;
  readonly #core: CoreV1Api;
  readonly #custom: CustomObjectsApi;
  readonly #objects: KubernetesObjectApi;
  readonly #informer: ListWatch<Shelf>;
  readonly #waiting = new Set<string>();
  #working: Promise<void> | undefined;
  #stopped = false;

  constructor(config: KubeConfig) {
    this.#core = config.makeApiClient(CoreV1Api);
    this.#custom = config.makeApiClient(CustomObjectsApi);
    this.#objects = KubernetesObjectApi.makeApiClient(config);
    const shelves = new Shelves(config);
    const path = `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
    this.#informer = makeInformer<Shelf>(config, path, () => shelves.list() as never) as ListWatch<Shelf>;
    for (const type of ['add', 'update', 'delete'] as const) {
      this.#informer.on(type, (shelf) => {
        const { name } = shelf.metadata;
        this.told.push({ type, name, version: versionOf(shelf) });
        this.#waiting.add(name);
        this.#work();
      });
    }
    this.#informer.on('error', () => {
      this.restarts++;
      if (!this.#stopped) setTimeout(() => void this.#informer.start(), retryMs);
    });
  }

  start(): Promise<void> {
    return this.#informer.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#informer.stop();
    await this.#working;
  }

  #work(): void {
    this.#working ??= this.#drain().finally(() => {
      this.#working = undefined;
    });
  }

  async #drain(): Promise<void> {
    for (const name of this.#waiting) {
      if (this.#stopped) return;
      this.#waiting.delete(name);
      const shelf = this.#informer.get(name, namespace);
      if (!shelf) continue;
      try {
        await this.#reconcile(shelf);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, retryMs));
        this.#waiting.add(name);
      }
    }
  }

  async #reconcile(shelf: Shelf): Promise<void> {
    const { metadata } = shelf;
    const finalizers = metadata.finalizers ?? [];
    if (metadata.deletionTimestamp) {
      if (!finalizers.includes(finalizer)) return;
      await this.#note(metadata.name);
      return this.#setFinalizers(
        shelf,
        finalizers.filter((one) => one !== finalizer),
      );
    }
    if (!finalizers.includes(finalizer)) return this.#setFinalizers(shelf, [...finalizers, finalizer]);
    await this.#stock(shelf);
    const { books, observedGeneration } = shelf.status ?? {};
    if (books === shelf.spec.books && observedGeneration === metadata.generation) return;
    const status = { books: shelf.spec.books, observedGeneration: metadata.generation };
    const { name } = metadata;
    await this.#custom.patchNamespacedCustomObjectStatus({ group, version, namespace, plural, name, body: { status } }, merge);
  }

  /** A ConfigMap for each book, owned by the shelf; none too many. */
  async #stock({ metadata, spec }: Shelf): Promise<void> {
    const { name, uid = '' } = metadata;
    const owner = { apiVersion: `${group}/${version}`, kind: 'Shelf', name, uid, controller: true, blockOwnerDeletion: true };
    const wanted = Array.from({ length: spec.books }, (_, index) => `${name}-book-${index}`);
    for (const book of wanted) {
      const body = {
        ...{ apiVersion: 'v1', kind: 'ConfigMap' },
        metadata: { name: book, namespace, labels: { shelf: name }, ownerReferences: [owner] },
        data: { color: spec.color },
      };
      await this.#objects.patch(body, undefined, undefined, manager, true, PatchStrategy.ServerSideApply);
    }
    const { items } = await this.#core.listNamespacedConfigMap({ namespace, labelSelector: `shelf=${name}` });
    for (const { metadata: book } of items) {
      if (book?.name && !wanted.includes(book.name)) {
        await ignore(404, this.#core.deleteNamespacedConfigMap({ namespace, name: book.name }));
      }
    }
  }

  async #note(name: string): Promise<void> {
    await ignore(409, this.#core.createNamespacedConfigMap({ namespace, body: { metadata: { name: `gone-${name}` } } }));
  }

  /** On the version that was seen: somebody else may have finalizers of their own. */
  async #setFinalizers({ metadata: { name, resourceVersion } }: Shelf, finalizers: string[]): Promise<void> {
    const body = { metadata: { resourceVersion, finalizers } };
    await ignore(404, this.#custom.patchNamespacedCustomObject({ group, version, namespace, plural, name, body }, merge));
  }
}

async function ignore(code: number, asked: Promise<unknown>): Promise<void> {
  try {
    await asked;
  } catch (error) {
    if (codeOf(error) !== code) throw error;
  }
}
