import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FailureDetector } from '../../src/gossip/failure-detector.ts';
import { heartbeat, SimulatedCluster } from './cluster.ts';

/** A detector that has seen enough heartbeats to know that none get lost. */
function experienced(): FailureDetector {
  const detector = new FailureDetector({ self: 'a' });
  for (let sequence = 1; sequence <= 600; sequence++) detector.receive(heartbeat('z', sequence), 0);
  detector.expect([], 0);
  return detector;
}

/** Ticks every 250 ms from `fromMs` to `toMs`; returns 'time peer verdict' for each change. */
function ticks(detector: FailureDetector, fromMs: number, toMs: number): string[] {
  const changes: string[] = [];
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += 250) {
    for (const { peer, to } of detector.tick(nowMs)) changes.push(`${nowMs} ${peer} ${to}`);
  }
  return changes;
}

test('silence makes suspect, then dead, when there is no other observer', () => {
  const detector = experienced();
  detector.expect(['a', 'b'], 0);
  detector.receive(heartbeat('b', 1), 0);
  assert.equal(ticks(detector, 0, 5000), ['1750 b suspect', '2750 b dead']);
});

test('a fresh heartbeat refutes at once, a stale one does not', () => {
  const detector = experienced();
  detector.expect(['b'], 0);
  detector.receive(heartbeat('b', 5), 0);
  ticks(detector, 0, 3000);
  assert.is(detector.verdict('b'), 'dead');
  assert.equal(detector.receive(heartbeat('b', 5), 3010), { taken: false, changes: [] });
  assert.equal(detector.receive(heartbeat('b', 4), 3020), { taken: false, changes: [] });
  const { changes } = detector.receive(heartbeat('b', 6), 3030);
  assert.equal(changes, [{ peer: 'b', from: 'dead', to: 'alive', silenceMs: 0, accusers: [] }]);
});

test('a restarted peer begins at sequence 1 again and is alive', () => {
  const detector = experienced();
  detector.receive(heartbeat('b', 500, { incarnation: 10 }), 0);
  ticks(detector, 0, 3000);
  assert.is(detector.verdict('b'), 'dead');
  assert.ok(detector.receive(heartbeat('b', 1, { incarnation: 11 }), 3100).taken);
  assert.is(detector.verdict('b'), 'alive');
  assert.not.ok(detector.receive(heartbeat('b', 501, { incarnation: 10 }), 3200).taken, 'of the run before');
});

test('a peer is not dead while another hears it', () => {
  const detector = experienced();
  detector.receive(heartbeat('b', 1), 0);
  const changes: string[] = [];
  for (let second = 0; second < 30; second++) {
    detector.receive(heartbeat('c', second + 1, { heardMs: { b: 300 } }), second * 1000);
    changes.push(...ticks(detector, second * 1000, second * 1000 + 750));
  }
  assert.equal(changes, []);
});

test('without a majority of the other observers a silent peer stays suspect', () => {
  const detector = experienced();
  detector.receive(heartbeat('b', 1), 0);
  const beat = (second: number, heard: Record<string, number>) => {
    for (const [observer, ms] of Object.entries(heard)) {
      detector.receive(heartbeat(observer, second + 1, { heardMs: { b: ms } }), second * 1000);
    }
  };
  for (let second = 0; second < 6; second++) {
    // c, d and e report the same old hearing; only c calls it silence.
    const silence = second * 1000;
    beat(second, { c: silence, d: Math.min(silence, 1400), e: Math.min(silence, 1400) });
    ticks(detector, second * 1000, second * 1000 + 750);
    assert.is.not(detector.verdict('b'), 'dead');
  }
});

test('a majority that finds it silent makes it dead, and is named', () => {
  const detector = experienced();
  detector.receive(heartbeat('b', 1), 0);
  for (let second = 0; second < 5; second++) {
    for (const observer of ['c', 'd', 'e']) {
      const ms = second * 1000;
      detector.receive(heartbeat(observer, second + 1, { heardMs: { b: ms } }), ms);
    }
    ticks(detector, second * 1000, second * 1000 + 750);
  }
  assert.is(detector.verdict('b'), 'dead');
  const view = detector.members().find(({ heartbeat: { peer } }) => peer === 'b');
  assert.equal(view?.accusers, ['c', 'd', 'e']);
  assert.is(view?.lastHeardMs, 0);
});

test('a dead peer is alive again when another has heard it since, although it is silent here', () => {
  const detector = experienced();
  detector.receive(heartbeat('b', 1), 0);
  detector.receive(heartbeat('c', 1, { heardMs: { b: 9000 } }), 0);
  for (let second = 1; second < 6; second++) {
    detector.receive(heartbeat('c', second + 1, { heardMs: { b: 9000 } }), second * 1000);
    ticks(detector, second * 1000, second * 1000 + 750);
  }
  assert.is(detector.verdict('b'), 'dead');
  detector.receive(heartbeat('c', 7, { heardMs: { b: 100 } }), 6000);
  assert.equal(ticks(detector, 6000, 6000), ['6000 b alive']);
});

test('a peer that was never heard is found dead too, from when it was expected', () => {
  const detector = experienced();
  detector.expect(['a', 'b'], 10_000);
  assert.equal(ticks(detector, 10_000, 14_000), ['11750 b suspect', '12750 b dead']);
  detector.expect(['a'], 15_000);
  assert.equal(ticks(detector, 15_000, 20_000), []);
  assert.is(detector.verdict('b'), 'alive', 'forgotten');
});

test('a peer that was itself paused does not blame the others', () => {
  const detector = experienced();
  detector.expect(['b'], 0);
  let sequence = 0;
  for (let nowMs = 0; nowMs <= 10_000; nowMs += 250) {
    if (nowMs % 1000 === 0) detector.receive(heartbeat('b', ++sequence), nowMs);
    assert.equal(detector.tick(nowMs), []);
  }
  // Thirty seconds of nothing, then a tick comes before the messages that have waited.
  assert.equal(detector.tick(40_000), []);
  detector.receive(heartbeat('b', sequence + 30), 40_010);
  for (let nowMs = 40_250; nowMs <= 60_000; nowMs += 250) {
    if (nowMs % 1000 === 0) detector.receive(heartbeat('b', ++sequence + 30), nowMs);
    assert.equal(detector.tick(nowMs), []);
  }
});

test('a slow peer takes longer to suspect, until it has recovered', () => {
  const detector = experienced();
  detector.expect(['b'], 0);
  detector.receive(heartbeat('b', 1), 0);
  for (const nowMs of [0, 1000, 2000, 3000]) assert.equal(detector.tick(nowMs), [], 'late ticks, so 3000 ms prove nothing');
  let sequence = 1;
  for (let nowMs = 3250; nowMs <= 15_000; nowMs += 250) {
    if (nowMs % 1000 === 0) detector.receive(heartbeat('b', ++sequence), nowMs);
    assert.equal(detector.tick(nowMs), []);
  }
  assert.equal(ticks(detector, 15_250, 18_000), ['16750 b suspect', '17750 b dead']);
});

test('before it knows the network, a detector takes its time', () => {
  const detector = new FailureDetector({ self: 'a' });
  detector.expect(['b'], 0);
  detector.receive(heartbeat('b', 1), 0);
  assert.equal(ticks(detector, 0, 9000), []);
  ticks(detector, 9250, 15_000);
  assert.is(detector.verdict('b'), 'dead');
});

test('own heartbeats are not judged', () => {
  const detector = experienced();
  detector.expect(['a'], 0);
  assert.not.ok(detector.receive(heartbeat('a', 1), 0).taken);
  assert.equal(ticks(detector, 0, 10_000), []);
  assert.equal(detector.heardMs(10_000), {});
});

for (const size of [2, 3, 5, 15]) {
  test(`${size} peers with 30 % of all heartbeats lost never call a living one dead`, () => {
    for (const seed of [1, 2, 3]) {
      const cluster = new SimulatedCluster({ seed, size, loss: () => 0.3 });
      cluster.run(size > 10 ? 120_000 : 600_000);
      const dead = cluster.changes.filter(({ to }) => to === 'dead');
      assert.equal(dead, [], `seed ${seed}`);
    }
  });
}

// As the daemon runs it.
const heartbeatMs = 500;

for (const size of [2, 3, 5, 15]) {
  test(`two heartbeats a second, ${size} peers: 30 % loss calls no living one dead`, () => {
    for (const seed of [1, 2, 3]) {
      const cluster = new SimulatedCluster({ seed, size, loss: () => 0.3, heartbeatMs });
      cluster.run(size > 10 ? 120_000 : 900_000);
      assert.equal(
        cluster.changes.filter(({ to }) => to === 'dead'),
        [],
        `seed ${seed}`,
      );
    }
  });
}

test('two heartbeats a second: a detector that started ten seconds ago finds the dead within three seconds', () => {
  for (const size of [3, 5, 15]) {
    const cluster = new SimulatedCluster({ seed: size, size, loss: () => 0, heartbeatMs });
    cluster.run(60_000);
    cluster.forget('p0');
    cluster.run(10_000);
    cluster.kill('p1');
    cluster.run(3_000);
    assert.is(cluster.verdict('p0', 'p1'), 'dead', `${size} peers`);
  }
});

/** What happens at the end of a span of time is still in it. */
const lastStepMs = 50;

for (const size of [3, 5, 15]) {
  const others = Array.from({ length: size }, (_, i) => `p${i}`).filter((name) => name !== 'p1');
  const known = (cluster: SimulatedCluster, verdict: string, when: string) => {
    for (const name of others) assert.is(cluster.verdict(name, 'p1'), verdict, `${size} peers, ${name}, ${when}`);
  };

  test(`two heartbeats a second, ${size} peers: all know the dead within 3 s and the paused within 4 s, and nobody else is blamed`, () => {
    for (const seed of [1, 2, 3]) {
      const cluster = new SimulatedCluster({ seed, size, loss: () => 0, heartbeatMs });
      cluster.run(60_000);
      for (let round = 0; round < 4; round++) {
        cluster.kill('p1');
        cluster.run(3_000 + lastStepMs);
        known(cluster, 'dead', 'killed');
        cluster.restart('p1');
        cluster.run(2_000);
        known(cluster, 'alive', 'started again');
        cluster.run(15_000);
        cluster.kill('p1');
        cluster.run(4_000 + lastStepMs);
        known(cluster, 'dead', 'paused');
        cluster.revive('p1');
        cluster.run(2_000);
        known(cluster, 'alive', 'resumed');
        cluster.run(15_000);
      }
      const blamed = cluster.changes.filter(({ to, peer }) => to === 'dead' && peer !== 'p1');
      assert.equal(blamed, [], `seed ${seed}`);
    }
  });

  test(`two heartbeats a second, ${size} peers: with 30 % loss one that starts again and again calls nobody dead, nor is called so`, () => {
    for (const seed of [1, 2, 3]) {
      const cluster = new SimulatedCluster({ seed, size, loss: () => 0.3, heartbeatMs });
      cluster.run(20_000);
      for (let round = 0; round < (size > 10 ? 4 : 20); round++) {
        cluster.restart(`p${round % size}`);
        cluster.run(15_000);
      }
      const dead = cluster.changes.filter(({ to }) => to === 'dead');
      assert.equal(dead, [], `seed ${seed}`);
    }
  });
}

test('two heartbeats a second: a peer that was paused itself does not take what it missed for loss', () => {
  const detector = new FailureDetector({ self: 'a', heartbeatIntervalMs: heartbeatMs });
  detector.expect(['a', 'b', 'c'], 0);
  let sequence = 0;
  const live = (fromMs: number, toMs: number) => {
    for (let nowMs = fromMs; nowMs <= toMs; nowMs += 250) {
      sequence++;
      if (nowMs % 500 === 0) for (const peer of ['b', 'c']) detector.receive(heartbeat(peer, sequence), nowMs);
      if (nowMs % 500 === 250) sequence--;
      detector.tick(nowMs);
    }
  };
  live(0, 30_000);
  // Six seconds of pause; what waited in the socket was only a part. It is read before the first tick.
  sequence += 12;
  for (const peer of ['b', 'c']) detector.receive(heartbeat(peer, sequence), 36_010);
  live(36_250, 43_000);
  for (let nowMs = 43_250; nowMs <= 46_000; nowMs += 250) {
    if (nowMs % 500 === 0) detector.receive(heartbeat('c', ++sequence, { heardMs: { b: nowMs - 43_000 } }), nowMs);
    detector.tick(nowMs);
  }
  assert.is(detector.verdict('b'), 'dead');
  assert.is(detector.verdict('c'), 'alive');
});

test('without loss nobody is ever suspected', () => {
  const cluster = new SimulatedCluster({ seed: 4, size: 7, loss: () => 0 });
  cluster.run(300_000);
  assert.equal(cluster.changes, []);
});

test('a dead peer is found by all others within five seconds, and again after it came back', () => {
  for (const size of [2, 3, 5, 15]) {
    const cluster = new SimulatedCluster({ seed: size, size, loss: () => 0 });
    cluster.run(180_000);
    for (let round = 0; round < 2; round++) {
      cluster.kill('p1');
      cluster.run(5000);
      for (let i = 0; i < size; i++) if (i !== 1) assert.is(cluster.verdict(`p${i}`, 'p1'), 'dead', `${size} peers, p${i}`);
      cluster.revive('p1');
      cluster.run(2000);
      for (let i = 0; i < size; i++) if (i !== 1) assert.is(cluster.verdict(`p${i}`, 'p1'), 'alive', `${size} peers, p${i}`);
      cluster.run(20_000);
    }
    const blamed = new Set(cluster.changes.map(({ peer, observer }) => (observer === 'p1' ? 'by p1' : peer)));
    blamed.delete('by p1');
    assert.equal([...blamed], ['p1'], 'nobody else was doubted');
  }
});

test('a dead peer is found in spite of loss', () => {
  const cluster = new SimulatedCluster({ seed: 9, size: 5, loss: () => 0.3 });
  cluster.run(60_000);
  cluster.kill('p4');
  cluster.run(40_000);
  for (let i = 0; i < 4; i++) assert.is(cluster.verdict(`p${i}`, 'p4'), 'dead', `p${i}`);
  assert.equal([...new Set(cluster.changes.filter(({ to }) => to === 'dead').map(({ peer }) => peer))], ['p4']);
});

test('one broken path accuses nobody', () => {
  const loss = (from: string, to: string) => (from === 'p1' && to === 'p0' ? 1 : 0);
  const cluster = new SimulatedCluster({ seed: 12, size: 5, loss });
  cluster.run(120_000);
  assert.equal(
    cluster.changes.filter(({ to }) => to === 'dead'),
    [],
  );
});

test.run();
