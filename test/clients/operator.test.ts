/** An operator over a cluster of three peers whose leader is killed while shelves come, change and go. */
import { ApiException, ApiextensionsV1Api, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Lab } from '../support/lab.ts';
import { definition, Operator, Shelves } from './operator.ts';

const test = suite('operator');
const lab = new Lab();
const namespace = 'default';
const config = new KubeConfig();
let operator: Operator | undefined;

test.before(async () => {
  await lab.up();
  config.loadFromFile(`${lab.dir}/kubeconfig`);
});
test.after(async () => {
  await operator?.stop();
  await lab.down();
});

/** An answer that is lost says nothing: the same again, until there is one. A creation may have been done, a deletion too. */
async function insist<T>(what: string, ask: () => Promise<T>, done: number[] = []): Promise<T | undefined> {
  return (
    await lab.eventually(what, async () => {
      try {
        return { value: await ask() };
      } catch (error) {
        if (error instanceof ApiException && done.includes(error.code)) return { value: undefined };
        throw error;
      }
    })
  ).value;
}

test('a leader that dies in the middle costs it no event, and everything ends as it should', async () => {
  const shelves = new Shelves(config);
  const core = config.makeApiClient(CoreV1Api);
  await insist(
    'the definition',
    () => config.makeApiClient(ApiextensionsV1Api).createCustomResourceDefinition({ body: definition }),
    [409],
  );
  await insist('shelves are served', () => shelves.list());
  const running = new Operator(config);
  operator = running;
  await running.start();
  /** The versions that were acknowledged, and of which the operator must have heard. */
  const written: string[] = [];
  const note = (version: string | undefined) => {
    if (version !== undefined) written.push(version);
  };
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) note(await insist(`shelf ${name}`, () => shelves.create(name, { books: 3, color: 'red' }), [409]));
  const leader = await lab.leader();
  const killed = lab.kontiki('dev', 'kill', String(leader));
  for (let round = 0; round < 6; round++) {
    for (const name of names) {
      note(await insist(`change ${name}`, () => shelves.change(name, { books: (round * 7) % 5, color: `color-${round}` })));
    }
  }
  await killed;
  for (const name of ['e', 'f'])
    note(await insist(`shelf ${name}`, () => shelves.create(name, { books: 2, color: 'blue' }), [409]));
  // Else it may be gone before the operator has seen it, and there is nothing to note.
  await lab.eventually('the finalizer of e', async () => {
    const { items } = await shelves.list();
    return items.find(({ metadata }) => metadata.name === 'e')?.metadata.finalizers?.length ? true : undefined;
  });
  for (const name of ['a', 'e']) await insist(`remove ${name}`, () => shelves.remove(name), [404]);
  await lab.kontiki('dev', 'start', String(leader));
  for (const name of ['b', 'c', 'd', 'f'])
    note(await insist(`last ${name}`, () => shelves.change(name, { books: 4, color: 'green' })));

  const left = await lab.eventually('shelves as they should be', async () => {
    const { items } = await shelves.list();
    const names = items.map(({ metadata }) => metadata.name).join();
    const settled = items.every(
      ({ metadata, status }) => status?.observedGeneration === metadata.generation && status?.books === 4,
    );
    return names === 'b,c,d,f' && settled ? items : undefined;
  });
  const books = await lab.eventually('the books of the shelves that are left', async () => {
    const { items } = await core.listNamespacedConfigMap({ namespace, labelSelector: 'shelf' });
    return items.length === 16 ? items : undefined;
  });
  const owners = new Map(left.map(({ metadata }) => [metadata.name, metadata.uid]));
  for (const { metadata, data } of books) {
    const [owner] = metadata?.ownerReferences ?? [];
    assert.is(data?.color, 'green');
    assert.is(owner?.uid, owners.get(metadata?.labels?.shelf ?? ''), metadata?.name);
  }
  for (const name of ['gone-a', 'gone-e'])
    assert.is((await core.readNamespacedConfigMap({ namespace, name })).metadata?.name, name);

  await lab.eventually('the end of the deleted ones', async () => {
    const gone = running.told.filter(({ type }) => type === 'delete').map(({ name }) => name);
    return gone.sort().join() === 'a,e' ? true : undefined;
  });
  const heard = running.told.filter(({ type }) => type !== 'delete').map(({ version }) => version);
  assert.equal(
    written.filter((version) => !heard.includes(version)),
    [],
    'writes that the operator never heard of',
  );
  assert.is(new Set(heard).size, heard.length, 'something was told twice');
  assert.ok(written.length >= 20, `only ${written.length} writes were acknowledged`);
});

test.run();
