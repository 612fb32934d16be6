/** The replicated store of a cluster of one whose log is an array. */
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { ReplicatedStore } from '../../src/node/cluster-store.ts';
import { Store } from '../../src/store/index.ts';

export async function storeOfOne() {
  const local = await Store.open();
  let index = 0;
  const store: ReplicatedStore = new ReplicatedStore({
    store: local,
    consensus: {
      propose: async (data) => {
        index += 1;
        store.apply([{ index, term: 1, kind: 'normal', data }]);
        return { index };
      },
      readIndex: async () => index,
    },
    requestPrefix: 'test',
    clock: systemClock,
    random: systemRandom,
  });
  const put = (key: string, value: Uint8Array) => store.write({ conditions: [], operations: [{ type: 'put', key, value }] });
  return { store, put };
}
