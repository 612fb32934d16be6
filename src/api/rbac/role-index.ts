/**
 * Roles and bindings in memory, found by what a request asks: which bindings name this user? Fed by a watch of this peer's
 * store, which delivers before the write that caused it resolves; so a decision never reads the store, and right after a
 * write through this peer it is already the new one.
 */
import type { PolicyRule, RoleBinding, RoleRef, Subject } from '../../machinery/types.ts';
import type { StoreReader, StoreRecord, Watch } from '../../store/types.ts';
import { rbacGroup } from '../kinds/rbac-validation.ts';
import { objectOf } from '../stored-objects.ts';
import type { User } from '../types.ts';

const prefix = `/registry/${rbacGroup}/`;
/** Bindings that hold in every namespace and beyond. */
const everywhere = '';

/** A binding, one of its subjects that the user is, and what its role allows. */
export interface Grant {
  binding: RoleBinding;
  subject: Subject;
  rules: readonly PolicyRule[];
}

interface Bound {
  binding: RoleBinding;
  subject: Subject;
}

export class RoleIndex {
  readonly #store: StoreReader;
  /** By the part of the key after the prefix: `roles/NAMESPACE/NAME` or `clusterroles/NAME`. */
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  /** Scope → user or group → key of the binding. */
  readonly #bound = new Map<string, Map<string, Map<string, Bound>>>();

  #watch: Watch | undefined;

  constructor(store: StoreReader) {
    this.#store = store;
    this.#follow();
  }

  /** Follows no more changes. */
  close(): void {
    this.#watch?.cancel();
  }

  /** What the user has by bindings of the cluster, then by those of the namespace. */
  *grants(user: User, namespace: string | undefined): Generator<Grant> {
    const identities = [`User:${user.name}`, ...user.groups.map((group) => `Group:${group}`)];
    for (const scope of namespace ? [everywhere, namespace] : [everywhere]) {
      const bySubject = this.#bound.get(scope);
      if (!bySubject) continue;
      for (const identity of identities) {
        for (const { binding, subject } of bySubject.get(identity)?.values() ?? []) {
          const rules = this.rulesOf(binding.roleRef, scope);
          if (rules) yield { binding, subject, rules };
        }
      }
    }
  }

  /** All rules that hold for the user in the namespace (and beyond it), without asking whether they do so for a path. */
  rules(user: User, namespace: string | undefined): PolicyRule[] {
    return [...this.grants(user, namespace)].flatMap(({ rules }) => rules);
  }

  /** The rules of a role as a binding in `namespace` refers to it. Undefined when there is no such role. */
  rulesOf({ kind, name }: Pick<RoleRef, 'kind' | 'name'>, namespace: string | undefined): readonly PolicyRule[] | undefined {
    return this.#roles.get(kind === 'ClusterRole' ? `clusterroles/${name}` : `roles/${namespace}/${name}`);
  }

  #follow(): void {
    this.#roles.clear();
    this.#bound.clear();
    const { records, revision } = this.#store.list(prefix);
    for (const record of records) this.#put(record);
    this.#watch = this.#store.watch(prefix, revision, {
      onEvents: (events) => {
        for (const { type, record, previous } of events) {
          if (previous) this.#remove(previous);
          if (type === 'put') this.#put(record);
          else this.#remove(record);
        }
      },
      onEnd: (reason) => {
        if (reason === 'restored') this.#follow();
      },
    });
  }

  #put(record: StoreRecord): void {
    const key = record.key.slice(prefix.length);
    const object = objectOf(record);
    if (!key.includes('bindings/')) {
      this.#roles.set(key, (object as { rules?: PolicyRule[] }).rules ?? []);
      return;
    }
    for (const [scope, identity, bound] of entriesOf(object as RoleBinding)) {
      const bySubject = this.#bound.get(scope) ?? new Map<string, Map<string, Bound>>();
      this.#bound.set(scope, bySubject);
      const bindings = bySubject.get(identity) ?? new Map<string, Bound>();
      bySubject.set(identity, bindings);
      bindings.set(key, bound);
    }
  }

  #remove(record: StoreRecord): void {
    const key = record.key.slice(prefix.length);
    if (!key.includes('bindings/')) {
      this.#roles.delete(key);
      return;
    }
    for (const [scope, identity] of entriesOf(objectOf(record) as RoleBinding)) {
      const bySubject = this.#bound.get(scope);
      const bindings = bySubject?.get(identity);
      bindings?.delete(key);
      if (bindings?.size === 0) bySubject?.delete(identity);
      if (bySubject?.size === 0) this.#bound.delete(scope);
    }
  }
}

/** Under which scope and identity a binding is found, for each of its subjects. */
function entriesOf(binding: RoleBinding): [scope: string, identity: string, bound: Bound][] {
  const scope = binding.metadata.namespace ?? everywhere;
  return (binding.subjects ?? []).flatMap((subject): [string, string, Bound][] => {
    const { kind, name } = subject;
    if (kind === 'User' || kind === 'Group') return [[scope, `${kind}:${name}`, { binding, subject }]];
    const namespace = subject.namespace || scope;
    return kind === 'ServiceAccount' && namespace
      ? [[scope, `User:${serviceAccountUserName(namespace, name)}`, { binding, subject }]]
      : [];
  });
}

export function serviceAccountUserName(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}
