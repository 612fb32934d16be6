import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeFrame, encodeFrame, type WireMessage } from '../../src/consensus/frames.ts';
import { ConsensusError } from '../../src/consensus/index.ts';
import { seededRandom } from '../../src/lib/random.ts';

const bytes = (...values: number[]) => new Uint8Array(values);
const envelope = { from: 'a', to: 'b', term: 2 ** 40 };
const membership = { voters: ['a', 'b'], votersOutgoing: ['c'], learners: ['d'] };
const samples: WireMessage[] = [
  { kind: 'raft', message: { type: 'preVote', ...envelope, lastIndex: 7, lastTerm: 3, transfer: false } },
  { kind: 'raft', message: { type: 'vote', ...envelope, lastIndex: 7, lastTerm: 3, transfer: true } },
  { kind: 'raft', message: { type: 'preVoteResponse', ...envelope, granted: true } },
  { kind: 'raft', message: { type: 'voteResponse', ...envelope, granted: false } },
  {
    kind: 'raft',
    message: {
      type: 'append',
      ...envelope,
      prevIndex: 9,
      prevTerm: 1,
      commit: 8,
      entries: [
        { index: 10, term: 2, kind: 'normal', data: bytes(1, 2, 3) },
        { index: 11, term: 2, kind: 'membership', data: bytes(0) },
        { index: 12, term: 3, kind: 'empty', data: bytes() },
      ],
    },
  },
  { kind: 'raft', message: { type: 'append', ...envelope, prevIndex: 9, prevTerm: 1, commit: 9, entries: [], quiet: true } },
  { kind: 'raft', message: { type: 'appendResponse', ...envelope, rejected: true, index: 5, hintIndex: 4, hintTerm: 2 } },
  { kind: 'raft', message: { type: 'heartbeat', ...envelope, commit: 4, round: 3 } },
  { kind: 'raft', message: { type: 'heartbeatResponse', ...envelope, round: 3 } },
  { kind: 'raft', message: { type: 'timeoutNow', ...envelope } },
  { kind: 'request', id: 1, request: { type: 'propose', data: bytes(9, 8) } },
  { kind: 'request', id: 2, request: { type: 'read' } },
  { kind: 'request', id: 3, request: { type: 'change', change: { type: 'promote', peer: 'x' } } },
  { kind: 'request', id: 3, request: { type: 'change', change: { type: 'set', voters: ['x', 'y'], learners: [] } } },
  { kind: 'request', id: 4, request: { type: 'transfer', to: 'c' } },
  { kind: 'answer', id: 4, index: 12 },
  { kind: 'refusal', id: 4, code: 'Busy', text: 'later' },
  { kind: 'snapshotItem', transfer: 6, sequence: 0, item: { type: 'begin', term: 3, meta: { index: 4, term: 3, membership } } },
  { kind: 'snapshotItem', transfer: 6, sequence: 1, item: { type: 'chunk', data: bytes(1, 2) } },
  { kind: 'snapshotItem', transfer: 6, sequence: 2, item: { type: 'end', digest: bytes(3) } },
  { kind: 'snapshotAck', transfer: 6, next: 3 },
  { kind: 'snapshotAbort', transfer: 6, reason: 'enough' },
  { kind: 'snapshotResume', transfer: 6, bytes: 700_000, digest: bytes(4) },
];

/** Buffers and plain byte arrays with the same content are the same here. */
const plain = (value: unknown) =>
  JSON.parse(
    JSON.stringify(value, (_, item) => (item instanceof Uint8Array ? [...item] : item)),
    (_, item) => (item?.type === 'Buffer' ? item.data : item),
  );

test('every message comes out of a frame as it went in', () => {
  assert.equal(plain(decodeFrame(encodeFrame(samples), 'a', 'b')), plain(samples));
});

test('sender and receiver are those that the transport names', () => {
  const [decoded] = decodeFrame(encodeFrame(samples.slice(0, 1)), 'x', 'y');
  assert.ok(decoded?.kind === 'raft' && decoded.message.from === 'x' && decoded.message.to === 'y');
});

test('decoded data does not hold on to the frame', () => {
  const frame = encodeFrame([{ kind: 'request', id: 1, request: { type: 'propose', data: bytes(9, 8) } }]);
  const [decoded] = decodeFrame(frame, 'a', 'b');
  frame.fill(0);
  assert.ok(decoded?.kind === 'request' && decoded.request.type === 'propose');
  assert.equal([...decoded.request.data], [9, 8]);
});

test('damaged frames are refused or make sense, never anything else', () => {
  const random = seededRandom(1);
  const good = encodeFrame(samples);
  let refused = 0;
  for (let n = 0; n < 3000; n++) {
    const frame = new Uint8Array(good.subarray(0, 1 + random.int(good.length)));
    for (let flips = random.int(4); flips >= 0; flips--) frame[random.int(frame.length)] = random.int(256);
    try {
      decodeFrame(frame, 'a', 'b');
    } catch (error) {
      assert.instance(error, ConsensusError);
      assert.is((error as ConsensusError).code, 'BadFrame');
      refused++;
    }
  }
  assert.ok(refused > 2000);
});

test.run();
