/** Who owns what after updates and applies, and what becomes of the object. */
import './generated.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../src/lib/random.ts';
import { difference, pathsOf } from '../../src/machinery/apply/field-set.ts';
import {
  capped,
  decodeEntries,
  type ManagedEntry,
  makeEntry,
  managerOfAgent,
  updatersMax,
} from '../../src/machinery/apply/managers.ts';
import { extractFields } from '../../src/machinery/apply/merge.ts';
import { ApplyConflict, applyConfiguration, type Forms, trackUpdate } from '../../src/machinery/apply/ownership.ts';
import { shapeOf } from '../../src/machinery/apply/shapes.ts';

type Loose = Record<string, unknown>;

/** One object with its record of owners, as the registry would hold them. */
class Cluster {
  object: Loose | undefined;
  entries: readonly ManagedEntry[] = [];
  now = 0;
  readonly #form;
  readonly #forms: Forms;

  constructor(schemaName = 'apps.v1.Deployment') {
    this.#form = { shape: shapeOf(schemaName) };
    this.#forms = { of: () => this.#form, convert: (object) => object };
  }

  #facts(manager: string, operation: 'Apply' | 'Update', subresource?: string) {
    const inScope = (field: string) => (field === 'status') === (subresource === 'status');
    const now = `2030-01-01T00:00:${String(this.now++).padStart(2, '0')}Z`;
    return {
      forms: this.#forms,
      form: this.#form,
      owner: { manager, operation, apiVersion: 'apps/v1', subresource },
      now,
      inScope,
    };
  }

  update(manager: string, object: Loose, subresource?: string): this {
    this.entries = trackUpdate(this.object, object, this.entries, this.#facts(manager, 'Update', subresource));
    this.object = object;
    return this;
  }

  apply(manager: string, config: Loose, { force = false, subresource = '' } = {}): this {
    const facts = { ...this.#facts(manager, 'Apply', subresource || undefined), force };
    const live = this.object ?? { metadata: {} };
    const { object, entries } = applyConfiguration(live, config, this.entries, facts);
    this.object = object as Loose;
    this.entries = entries;
    return this;
  }

  /** The conflicts of an apply, as `manager path`. */
  conflicts(manager: string, config: Loose): string[] {
    try {
      this.apply(manager, config);
    } catch (error) {
      if (error instanceof ApplyConflict) return error.conflicts.map(({ owner, path }) => `${owner.manager} ${path}`);
      throw error;
    }
    return [];
  }

  owned(manager: string): string[] {
    return this.entries.filter((entry) => entry.manager === manager).flatMap(({ fieldsV1 }) => pathsOf(fieldsV1));
  }

  extract(entry: ManagedEntry): Loose {
    return (extractFields(this.object, entry.fieldsV1, this.#form.shape) ?? {}) as Loose;
  }
}

const spec = (of: Loose) => ({ spec: of });
const pod = (...containers: Loose[]) => spec({ template: { spec: { containers } } });
const containers = 'spec.template.spec.containers';

test('an update takes what it changes, and leaves the rest to its owners', () => {
  const it = new Cluster().update('a', spec({ replicas: 1, paused: true })).update('b', spec({ replicas: 2, paused: true }));
  assert.equal(it.owned('a'), ['.spec.paused']);
  assert.equal(it.owned('b'), ['.spec.replicas']);
  it.update('b', spec({ replicas: 2 }));
  assert.equal(it.owned('a'), [], "what is removed is nobody's");
});

test('a change of nothing leaves the record as it is, with its times', () => {
  const it = new Cluster().update('a', spec({ replicas: 1 }));
  const { entries } = it;
  assert.is(it.update('b', spec({ replicas: 1 })).entries, entries);
  it.apply('c', spec({ replicas: 1 }));
  const shared = it.entries;
  assert.is(it.apply('c', spec({ replicas: 1 })).entries, shared);
});

test('the same value is shared; another value is a conflict, and force takes the field over', () => {
  const it = new Cluster().apply('a', spec({ replicas: 1 })).apply('b', spec({ replicas: 1 }));
  assert.equal([it.owned('a'), it.owned('b')], [['.spec.replicas'], ['.spec.replicas']]);
  const before = it.entries;
  assert.equal(it.conflicts('b', spec({ replicas: 2 })), ['a .spec.replicas']);
  assert.is(it.entries, before);
  it.apply('b', spec({ replicas: 2 }), { force: true });
  assert.equal([it.owned('a'), it.owned('b')], [[], ['.spec.replicas']]);
  assert.equal(it.object!.spec, { replicas: 2 });
});

test('an applier does not conflict with itself, and takes unowned fields without asking', () => {
  const it = new Cluster().apply('a', spec({ replicas: 1 }));
  assert.equal(it.conflicts('a', spec({ replicas: 5, paused: true })), []);
  assert.equal(it.object!.spec, { replicas: 5, paused: true });
});

test('what is no longer applied goes, unless somebody else owns it', () => {
  const it = new Cluster().apply('a', spec({ replicas: 1, paused: true, minReadySeconds: 3 })).apply('b', spec({ paused: true }));
  it.apply('a', spec({ replicas: 1 }));
  assert.equal(it.object!.spec, { replicas: 1, paused: true });
  it.apply('b', spec({}));
  assert.equal(it.object!.spec, { replicas: 1 });
  assert.equal(it.owned('a'), ['.spec.replicas']);
});

test('giving up a field to an updater keeps it: the way to hand replicas to an autoscaler', () => {
  const it = new Cluster()
    .apply('me', spec({ replicas: 1, paused: true }))
    .update('autoscaler', spec({ replicas: 4, paused: true }));
  assert.equal(it.owned('me'), ['.spec.paused']);
  it.apply('me', spec({ paused: true }));
  assert.equal(it.object!.spec, { replicas: 4, paused: true });
});

test('items of keyed lists come, go and are owned one by one, with their defaults', () => {
  const it = new Cluster().apply('a', pod({ name: 'web', image: 'i' })).apply('b', pod({ name: 'side', image: 's' }));
  const live = structuredClone(it.object) as ReturnType<typeof pod> & Loose;
  (live.spec.template as { spec: { containers: Loose[] } }).spec.containers[0]!.imagePullPolicy = 'Always';
  it.object = live;
  assert.equal(it.conflicts('b', pod({ name: 'side', image: 's' }, { name: 'web', image: 'other' })), [
    `a .${containers}[name="web"].image`,
  ]);
  it.apply('a', pod({ name: 'new', image: 'n' }));
  assert.equal(it.object, { metadata: {}, ...pod({ name: 'side', image: 's' }, { name: 'new', image: 'n' }) });
});

test('a default of a key is part of the key', () => {
  const it = new Cluster().apply('a', pod({ name: 'web', ports: [{ containerPort: 80, protocol: 'TCP', name: 'x' }] }));
  it.apply(
    'a',
    pod({
      name: 'web',
      ports: [
        { containerPort: 80, name: 'y' },
        { containerPort: 80, protocol: 'UDP' },
      ],
    }),
  );
  assert.equal(it.object, {
    metadata: {},
    ...pod({
      name: 'web',
      ports: [
        { containerPort: 80, name: 'y' },
        { containerPort: 80, protocol: 'UDP' },
      ],
    }),
  });
});

test('atomic lists and maps have one owner; sets have one for each value', () => {
  const it = new Cluster().apply('a', { metadata: { finalizers: ['x/1'] }, ...pod({ name: 'web', args: ['1'] }) });
  const other = { metadata: { finalizers: ['x/2'] }, ...pod({ name: 'web', args: ['2'] }) };
  assert.equal(it.conflicts('b', other), [`a .${containers}[name="web"].args`]);
  it.apply('b', other, { force: true });
  assert.equal((it.object!.metadata as Loose).finalizers, ['x/1', 'x/2']);
  it.apply('a', pod({ name: 'web' }));
  assert.equal(it.object, { metadata: { finalizers: ['x/2'] }, ...pod({ name: 'web', args: ['2'] }) });
  assert.equal(it.conflicts('c', spec({ selector: { matchLabels: { a: '1' } } })), []);
  assert.equal(it.owned('c'), ['.spec.selector']);
});

test('labels that an applier drops are removed, those of others stay', () => {
  const it = new Cluster()
    .update('x', { metadata: { labels: { x: '1' } } })
    .apply('a', { metadata: { labels: { a: '1', b: '2' } } });
  it.apply('a', { metadata: { labels: { a: '1' } } });
  assert.equal(it.object, { metadata: { labels: { x: '1', a: '1' } } });
  it.apply('a', { metadata: {} });
  assert.equal(it.object, { metadata: { labels: { x: '1' } } });
  assert.equal(it.owned('a'), []);
});

test('status and the rest are owned apart', () => {
  const it = new Cluster().apply('a', { ...spec({ replicas: 1 }), status: { replicas: 9 } });
  assert.equal(it.object, { metadata: {}, ...spec({ replicas: 1 }) });
  const conditions = [{ type: 'Available', status: 'True' }];
  it.apply('a', { ...spec({ replicas: 5 }), status: { conditions } }, { subresource: 'status' });
  assert.equal(it.object, { metadata: {}, ...spec({ replicas: 1 }), status: { conditions } });
  assert.equal(
    it.entries.map(({ subresource = '', fieldsV1 }) => `${subresource} ${pathsOf(fieldsV1)[0]}`),
    [' .spec.replicas', 'status .status.conditions[type="Available"]'],
  );
});

test('metadata that the server writes is owned by nobody', () => {
  const it = new Cluster().update('a', {
    metadata: { name: 'x', uid: 'u', resourceVersion: '1', generation: 1, labels: { a: '1' } },
  });
  assert.equal(it.owned('a'), ['.metadata.labels', '.metadata.labels.a']);
});

test('what was written before there was a record belongs to before-first-apply', () => {
  const it = new Cluster();
  it.object = spec({ replicas: 1, paused: true });
  assert.equal(it.conflicts('a', spec({ replicas: 2 })), ['before-first-apply .spec.replicas']);
  it.apply('a', spec({ replicas: 1 }));
  assert.equal(it.owned('before-first-apply'), ['.spec.paused', '.spec.replicas']);
});

test('the oldest of more than ten updaters are put together', () => {
  const it = new Cluster();
  const labels: Record<string, string> = {};
  for (let count = 0; count < updatersMax + 3; count++) {
    labels[`l${count}`] = '1';
    it.update(`m${String(count).padStart(2, '0')}`, { metadata: { labels: { ...labels } } });
  }
  assert.is(it.entries.length, updatersMax);
  assert.is(it.entries[0]!.manager, 'ancient-changes');
  assert.is(it.owned('ancient-changes').length, 5, 'four labels and the map');
  const apart = Array.from({ length: 12 }, (_, index) => {
    const owner = { manager: `m${index}`, operation: 'Update' as const, apiVersion: `v${index}` };
    return makeEntry(owner, { 'f:a': {} }, '2030-01-01T00:00:00Z');
  });
  assert.is(capped(apart).length, 12, 'versions are not mixed');
});

test('entries that callers send are read, reset or refused', () => {
  const entry = { manager: 'm', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:a': {} } };
  assert.equal(decodeEntries([entry]), [entry]);
  assert.equal(decodeEntries(undefined), []);
  assert.is(decodeEntries([{}]), 'reset');
  for (const bad of [
    1,
    [1],
    [{ ...entry, operation: 'x' }],
    [{ ...entry, apiVersion: '' }],
    [{ ...entry, fieldsV1: { a: 1 } }],
  ]) {
    assert.ok('complaint' in (decodeEntries(bad) as object), JSON.stringify(bad));
  }
  assert.is(managerOfAgent('kubectl1.30/v1.30 (linux)'), 'kubectl1.30');
  assert.is(managerOfAgent(''), 'unknown');
});

/** A configuration of few fields, so that managers meet. */
function randomConfig(random: ReturnType<typeof seededRandom>): Loose {
  const pick = <T>(...values: T[]): T => values[random.int(values.length)] as T;
  const container = (name: string): Loose => ({
    name,
    ...(random.int(2) ? { image: pick('a', 'b') } : {}),
    ...(random.int(2) ? { args: [pick('1', '2')] } : {}),
    ...(random.int(2) ? { ports: [{ containerPort: pick(80, 81), ...(random.int(2) ? { protocol: 'TCP' } : {}) }] } : {}),
  });
  return {
    metadata: {
      ...(random.int(2) ? { labels: { [pick('x', 'y', 'z')]: pick('1', '2') } } : {}),
      ...(random.int(2) ? { finalizers: [pick('a/1', 'a/2')] } : {}),
    },
    spec: {
      ...(random.int(2) ? { replicas: random.int(3) } : {}),
      ...(random.int(2)
        ? { strategy: { type: 'RollingUpdate', ...(random.int(2) ? { rollingUpdate: { maxSurge: random.int(3) } } : {}) } }
        : {}),
      ...(random.int(2)
        ? { template: { spec: { containers: ['p', 'q', 'r'].filter((name) => name === 'p' || random.int(2)).map(container) } } }
        : {}),
    },
  };
}

test('random applies and updates: applying again, or what one owns already, changes nothing', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const it = new Cluster();
    for (let round = 0; round < 12; round++) {
      const manager = `m${random.int(3)}`;
      const config = randomConfig(random);
      if (random.int(4) === 0) {
        it.update(manager, config);
        continue;
      }
      it.apply(manager, config, { force: true });
      const { object, entries } = it;
      it.now = 0;
      assert.is(it.apply(manager, config).object, object, `seed ${seed}: applying again`);
      assert.is(it.entries, entries, `seed ${seed}: applying again`);
      const own = entries.find((entry) => entry.manager === manager && entry.operation === 'Apply');
      if (!own) continue;
      it.apply(manager, it.extract(own));
      assert.equal(it.object, object, `seed ${seed}: applying what is owned`);
      const after = it.entries.find((entry) => entry.manager === manager && entry.operation === 'Apply')!;
      // Keys come along with what is in their items, so they may be owned anew.
      assert.equal(pathsOf(difference(own.fieldsV1, after.fieldsV1)), [], `seed ${seed}`);
      it.object = object;
      it.entries = entries;
    }
  }
});

test.run();
