/** An informer of the official JavaScript client, whose server goes away, comes back, and forgets what it has missed. */
import { CoreV1Api, ListWatch, makeInformer, type V1ConfigMap } from '@kubernetes/client-node';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { configMaps } from '../../src/machinery/resources.ts';
import { startCluster, type TestCluster, until } from './cluster.ts';

const historyRevisionsMax = 60;
const test = suite<{ cluster: TestCluster }>('informer');
const namespace = 'default';

test.before.each(async (context) => {
  context.cluster = await startCluster({ historyRevisionsMax });
});
test.after.each(async ({ cluster }) => cluster.close());

/** What an informer has told, checked as it comes: no event twice, none out of order. */
class Ledger {
  /** By name: the version of what is there. */
  readonly known = new Map<string, string>();
  readonly wrong: string[] = [];
  readonly told: string[] = [];

  added({ metadata = {} }: V1ConfigMap): void {
    if (this.known.has(metadata.name ?? '')) this.wrong.push(`${metadata.name} was added twice`);
    this.#note('add', metadata);
  }

  updated({ metadata = {} }: V1ConfigMap): void {
    const before = this.known.get(metadata.name ?? '');
    if (before === undefined) this.wrong.push(`${metadata.name} was changed before it was added`);
    if (Number(before) >= Number(metadata.resourceVersion))
      this.wrong.push(`${metadata.name} went from ${before} to ${metadata.resourceVersion}`);
    this.#note('update', metadata);
  }

  deleted({ metadata = {} }: V1ConfigMap): void {
    if (!this.known.delete(metadata.name ?? '')) this.wrong.push(`${metadata.name} was deleted before it was added`);
    this.told.push(`delete ${metadata.name}`);
  }

  #note(what: string, { name = '', resourceVersion = '' }: { name?: string; resourceVersion?: string }): void {
    this.known.set(name, resourceVersion);
    this.told.push(`${what} ${name}`);
  }
}

function follow(cluster: TestCluster) {
  const core = cluster.config.makeApiClient(CoreV1Api);
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const ledger = new Ledger();
  const informer = makeInformer(cluster.config, path, () => core.listNamespacedConfigMap({ namespace }));
  assert.instance(informer, ListWatch);
  informer.on('add', (object) => ledger.added(object));
  informer.on('update', (object) => ledger.updated(object));
  informer.on('delete', (object) => ledger.deleted(object));
  let stopped = false;
  let errors = 0;
  // As its documentation says: whoever uses it starts it again.
  informer.on('error', () => {
    errors++;
    if (!stopped) setTimeout(() => void informer.start(), 50);
  });
  /** The same objects in the same versions as in the store. */
  const agrees = () => {
    const { records } = cluster.store.list('');
    const there = records
      .filter(({ key }) => key.includes(`/configmaps/${namespace}/`))
      .map(({ key, modRevision }) => `${key.slice(key.lastIndexOf('/') + 1)} ${modRevision}`);
    const known = [...ledger.known].map(([name, version]) => `${name} ${version}`);
    return there.length > 0 && there.sort().join() === known.sort().join();
  };
  return {
    core,
    ledger,
    informer,
    agrees,
    get errors() {
      return errors;
    },
    async stop() {
      stopped = true;
      await informer.stop();
    },
  };
}

test('a server that restarts is followed from where it was', async ({ cluster }) => {
  const follower = follow(cluster);
  const { core, ledger, informer, agrees } = follower;
  await informer.start();
  for (const name of ['a', 'b']) await core.createNamespacedConfigMap({ namespace, body: { metadata: { name } } });
  await until('both are known', agrees);
  for (const round of ['1', '2']) {
    await cluster.stop();
    await cluster.start(async (api) => {
      const client = api.client();
      await client.patch(configMaps, 'a', 'merge', { data: { round } }, { namespace });
      await client.create(configMaps, { metadata: { name: `new-${round}` } }, { namespace });
      if (round === '2') await client.delete(configMaps, 'b', { namespace });
    });
    await until(`the state after restart ${round}`, agrees);
  }
  assert.equal(ledger.wrong, []);
  const own = ledger.told.filter((line) => !line.includes('kube-root-ca'));
  assert.equal(own, ['add a', 'add b', 'update a', 'add new-1', 'update a', 'add new-2', 'delete b']);
  await follower.stop();
});

test('a watch whose beginning is forgotten begins anew, and tells nothing twice', async ({ cluster }) => {
  const follower = follow(cluster);
  const { core, ledger, informer, agrees } = follower;
  await informer.start();
  for (const name of ['keeps', 'changes', 'goes'])
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name } } });
  await until('all are known', agrees);
  const from = cluster.store.revision;
  await cluster.stop();
  await cluster.start(async (api) => {
    const client = api.client();
    await client.delete(configMaps, 'goes', { namespace });
    for (let round = 0; round < 3 * historyRevisionsMax; round++) {
      await client.patch(configMaps, 'changes', 'merge', { data: { round: String(round) } }, { namespace });
    }
  });
  assert.ok(cluster.store.compactedRevision > from, 'the history does not reach back');
  await until('the new state', agrees);
  assert.equal(ledger.wrong, []);
  const own = ledger.told.filter((line) => !line.includes('kube-root-ca'));
  assert.equal(own, ['add keeps', 'add changes', 'add goes', 'delete goes', 'update changes']);
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'later' } } });
  await until('what comes later', agrees);
  await follower.stop();
});

test.run();
