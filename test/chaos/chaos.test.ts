/**
 * Peers are killed, cut off and started again while clients write. Two promises are checked after each blow: no acknowledged
 * write is lost, and what should run runs again.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxImage, writeImageArchive } from '../../scripts/image-archive.ts';
import { configMaps } from '../../src/machinery/resources.ts';
import { StatusError } from '../../src/machinery/status.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { Lab, remains } from '../support/lab.ts';

const test = suite('chaos');
const lab = new Lab();
const everyone = ['1', '2', '3'];

/** Several clients that create ConfigMaps one after the other until they are stopped; knows which were acknowledged. */
class WriteLoad {
  readonly acknowledged = new Map<string, string>();
  readonly #client = lab.client();
  readonly #stop = new AbortController();
  readonly #writers: Promise<void>[];
  readonly #prefix: string;
  #failures = 0;

  constructor(prefix: string, writers = 8) {
    this.#prefix = prefix;
    this.#writers = Array.from({ length: writers }, (_, writer) => this.#write(writer));
  }

  async #write(writer: number): Promise<void> {
    for (let number = 0; !this.#stop.signal.aborted; number++) {
      const name = `${this.#prefix}-${writer}-${number}`;
      const value = `${name}-${Math.imul(number, 2_654_435_761) >>> 0}`;
      try {
        await this.#client.create(
          configMaps,
          { metadata: { name }, data: { value } },
          { namespace: 'default', signal: AbortSignal.timeout(20_000) },
        );
        this.acknowledged.set(name, value);
      } catch (error) {
        // Unacknowledged: may or may not be there. Anything but unavailability would be a defect.
        if (error instanceof StatusError && ![409, 500, 503, 504].includes(error.code)) throw error;
        this.#failures += 1;
      }
    }
  }

  /** Resolves when at least `count` more writes were acknowledged than now. */
  async progress(count: number): Promise<void> {
    const target = this.acknowledged.size + count;
    await lab.eventually(`${count} more writes (${this.acknowledged.size} so far, ${this.#failures} failed)`, async () =>
      this.acknowledged.size >= target ? true : undefined,
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#writers);
    this.#client.close();
  }

  /** Every acknowledged write is there, with its value, as every peer sees it. */
  async verify(): Promise<void> {
    for (const peer of [1, 2, 3]) {
      const text = await lab.ok(['get', 'configmaps', '-n', 'default', '-o', 'json', '--chunk-size=0'], { peer });
      const { items } = JSON.parse(text) as { items: { metadata: { name: string }; data?: { value?: string } }[] };
      const found = new Map(items.map((item) => [item.metadata.name, item.data?.value]));
      const lost = [...this.acknowledged].filter(([name, value]) => found.get(name) !== value).map(([name]) => name);
      assert.equal(lost, [], `peer ${peer} lost acknowledged writes`);
    }
  }
}

async function running(): Promise<Pod[]> {
  const { items } = JSON.parse(await lab.ok(['get', 'pods', '-l', 'app=steady', '-o', 'json'])) as { items: Pod[] };
  return items.filter(
    (pod) =>
      !pod.metadata.deletionTimestamp && pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'),
  );
}

const allRun = (excluding?: number) =>
  lab.eventually('three pods that run', async () => {
    const pods = await running();
    const fine = pods.length === 3 && pods.every((pod) => pod.spec?.nodeName !== `peer-${excluding}`);
    return fine ? true : undefined;
  });

test.before(async () => {
  await lab.up();
  const file = `${lab.dir}/image.tar`;
  writeImageArchive(file, busyboxImage('busybox:1'));
  await lab.kontiki('dev', 'image', 'import', file);
  await lab.ok(['create', 'deployment', 'steady', '--image=busybox:1', '--replicas=3', '--', 'sleep', '100000']);
  await lab.ok(['patch', 'deployment', 'steady', '-p', '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0}}}}']);
  await allRun();
});

test('kill -9 of the leader under load: writes go on, none is lost, its pods run elsewhere', async () => {
  const load = new WriteLoad('kill');
  await load.progress(50);
  const leader = await lab.leader();
  await lab.kontiki('dev', 'kill', String(leader));
  await load.progress(50);
  await allRun(leader);
  const node = await lab.ok(['get', 'node', `peer-${leader}`]);
  assert.match(node, 'NotReady');
  await lab.kontiki('dev', 'start', String(leader));
  await load.progress(20);
  await load.stop();
  await lab.ok(['wait', '--for=condition=Ready', `node/peer-${leader}`, '--timeout=60s']);
  await load.verify();
});

test('a leader that is cut off: the majority goes on, the healed peer catches up', async () => {
  const load = new WriteLoad('cut');
  await load.progress(50);
  const leader = await lab.leader();
  await lab.kontiki('dev', 'cut', String(leader));
  const successor = await lab.eventually('another leader', async () => {
    const peers = await lab.status();
    const other = peers.find((peer) => peer.role === 'leader' && peer.name !== `peer-${leader}`);
    return other?.name;
  });
  assert.is.not(successor, `peer-${leader}`);
  await load.progress(50);
  await lab.kontiki('dev', 'heal');
  await load.progress(20);
  await load.stop();
  await lab.ok(['wait', '--for=condition=Ready', `node/peer-${leader}`, '--timeout=60s']);
  await load.verify();
  await allRun();
});

test('all peers killed at once and started again: no acknowledged write is lost, pods run', async () => {
  const load = new WriteLoad('all');
  await load.progress(50);
  await Promise.all(everyone.map((peer) => lab.kontiki('dev', 'kill', peer)));
  await load.stop();
  await Promise.all(everyone.map((peer) => lab.kontiki('dev', 'start', peer)));
  await lab.leader();
  await load.verify();
  await lab.ok(['wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s']);
  await allRun();
});

test('nothing is left when the battered cluster is taken down', async () => {
  const { id } = lab.state;
  await lab.down();
  assert.equal(remains({ id, dir: lab.dir }), []);
});

test.run();
