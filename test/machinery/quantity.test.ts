import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatBytes,
  formatMilli,
  isQuantity,
  quantityComplaint,
  quantityMilli,
  quantityValue,
  subtractQuantities,
  sumQuantities,
} from '../../src/machinery/quantity.ts';
import { StatusError } from '../../src/machinery/status.ts';

test('the canonical form is the one that kubectl shows', () => {
  const forms: Record<string, string> = {
    '1000m': '1',
    '0.1': '100m',
    '.5': '500m',
    '5.': '5',
    '1024Mi': '1Gi',
    '0.5Gi': '512Mi',
    '1.5Gi': '1536Mi',
    '1023Ki': '1023Ki',
    '1000Ki': '1000Ki',
    '1.1Ki': '1126400m',
    '0.5Ki': '512',
    '1000000': '1M',
    '12E3': '12e3',
    '1e3': '1e3',
    '2e-3': '2e-3',
    '10E': '10E',
    '0.0005': '500u',
    '0.1n': '1n',
    '-1500m': '-1500m',
    '+3': '3',
    '0Ki': '0',
    '007': '7',
  };
  for (const [given, wanted] of Object.entries(forms)) assert.is(canonicalQuantity(given), wanted, given);
  assert.is(canonicalQuantity(2000), '2k');
});

test('what is too large for 64 bits is capped', () => {
  assert.is(canonicalQuantity('123456789012345678901'), '9223372036854775807');
  assert.is(canonicalQuantity('16Ei'), '9223372036854775807');
});

test('other texts are refused with the known words', () => {
  for (const bad of ['', 'x', 'm', '1.2.3', '--1', '1 ', ' 1', '1Gi ']) {
    assert.not.ok(isQuantity(bad), bad);
    assert.match(quantityComplaint(bad)!, /^quantities must match the regular expression '\^\(/, bad);
  }
  for (const bad of ['1x', '1mi', '1e', '1m5', '1i', '1KI'])
    assert.is(quantityComplaint(bad), "unable to parse quantity's suffix", bad);
  for (const bad of [undefined, null, true, {}, []]) assert.not.ok(isQuantity(bad));
  assert.throws(
    () => quantityMilli('lots'),
    (error: unknown) => error instanceof StatusError && error.code === 400,
  );
});

test('numbers are rounded up, away from zero', () => {
  assert.is(quantityMilli('250m'), 250);
  assert.is(quantityMilli('1.0001'), 1001);
  assert.is(quantityMilli(2), 2000);
  assert.is(quantityValue('1500m'), 2);
  assert.is(quantityValue('1Ki'), 1024);
  assert.is(quantityValue('-1500m'), -2);
  assert.is(quantityValue('128Mi'), 134217728);
});

test('numbers become amounts', () => {
  assert.is(formatMilli(250), '250m');
  assert.is(formatMilli(2000), '2');
  assert.is(formatMilli(0), '0');
  assert.is(formatBytes(134217728), '128Mi');
  assert.is(formatBytes(1500), '1500');
  assert.is(formatBytes(1000), '1k');
  assert.is(formatBytes(512), '512');
  assert.is(formatBytes(0), '0');
});

test('writing an amount in its canonical form does not change it', () => {
  const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'E-2', 'u');
  fc.assert(
    fc.property(fc.integer({ min: -100_000, max: 100_000 }), suffix, (number, letters) => {
      const once = canonicalQuantity(`${number}${letters}`);
      assert.is(canonicalQuantity(once), once);
      assert.is(quantityMilli(once), quantityMilli(`${number}${letters}`));
    }),
    { seed: 7, numRuns: 300 },
  );
});

test('sums are exact and keep the form of the first that is not zero', () => {
  const sums: [string, string, string][] = [
    ['1Gi', '512Mi', '1536Mi'],
    ['0', '1Gi', '1Gi'],
    ['500m', '1', '1500m'],
    ['1', '500m', '1500m'],
    ['1k', '1Ki', '2024'],
    ['9007199254740993', '1', '9007199254740994'],
    ['-1', '1', '0'],
  ];
  for (const [a, b, sum] of sums) assert.is(addQuantities(a, b), sum, `${a} + ${b}`);
  assert.is(subtractQuantities('1Gi', '1024Mi'), '0');
  assert.is(subtractQuantities('1Gi', '2Gi'), '-1Gi');
  assert.is(
    sumQuantities(
      new Map([
        ['100m', 25],
        ['1', 2],
        ['0', 7],
      ]),
    ),
    '4500m',
  );
  assert.is(sumQuantities(new Map()), '0');
});

test('comparing is exact, whatever the form', () => {
  assert.is(compareQuantities('1Gi', '1073741824'), 0);
  assert.is(compareQuantities('9007199254740993', '9007199254740992'), 1);
  assert.is(compareQuantities('100m', '0.2'), -1);
});

test.run();
