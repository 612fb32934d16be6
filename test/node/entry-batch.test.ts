import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packEntries, unpackEntries } from '../../src/node/entry-batch.ts';

test('entries come out as they went in, also views, empty ones and those of several terms', () => {
  const bytes = Buffer.from('--one--three');
  const entries = [
    { index: 7, term: 2, kind: 'normal' as const, data: bytes.subarray(2, 5) },
    { index: 8, term: 3, kind: 'empty' as const, data: new Uint8Array(0) },
    { index: 9, term: 3, kind: 'membership' as const, data: bytes.subarray(7) },
  ];
  const batch = packEntries(entries);
  bytes.fill(0);
  const out = unpackEntries(structuredClone(batch));
  assert.equal(
    out.map(({ data, ...rest }) => ({ ...rest, text: Buffer.from(data).toString() })),
    [
      { index: 7, term: 2, kind: 'normal', text: 'one' },
      { index: 8, term: 3, kind: 'empty', text: '' },
      { index: 9, term: 3, kind: 'membership', text: 'three' },
    ],
  );
});

test.run();
