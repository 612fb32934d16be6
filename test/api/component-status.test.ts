/** What `kubectl get componentstatuses` is answered. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { listeningApi } from './listening.ts';

const test = suite('component statuses');

test('all parts are healthy while reads are confirmed, and say why when they are not', async () => {
  const world = await listeningApi();
  const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const rows = async (path: string) => {
    const answer = await world.request(path, { headers });
    return [answer.headers.warning, answer.json<{ rows: { cells: string[] }[] }>().rows.map(({ cells }) => cells)];
  };
  const warning = '299 - "v1 ComponentStatus is deprecated in v1.19+"';
  const path = '/api/v1/componentstatuses';
  assert.equal(await rows(path), [
    warning,
    [
      ['controller-manager', 'Healthy', 'ok', ''],
      ['etcd-0', 'Healthy', 'ok', ''],
      ['scheduler', 'Healthy', 'ok', ''],
    ],
  ]);
  assert.equal(await rows(`${path}/scheduler`), [warning, [['scheduler', 'Healthy', 'ok', '']]]);
  assert.is((await world.request(`${path}/other`)).code, 404);
  assert.is((await world.request(`${path}?watch=true`)).code, 405);
  world.store.barrier = () => Promise.reject(new Error('no leader'));
  assert.equal(await rows(`${path}/etcd-0`), [warning, [['etcd-0', 'Unhealthy', 'no leader', '']]]);
  await world.close();
});

test.run();
