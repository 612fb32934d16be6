import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ageOf, humanDuration } from '../../src/machinery/duration.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test('an age gets coarser the longer it is', () => {
  const shown: [number, string][] = [
    [0, '0s'],
    [999, '0s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [2 * minute + 3 * second, '2m3s'],
    [10 * minute + 3 * second, '10m'],
    [179 * minute, '179m'],
    [3 * hour, '3h'],
    [3 * hour + 5 * minute, '3h5m'],
    [8 * hour + 5 * minute, '8h'],
    [47 * hour, '47h'],
    [48 * hour, '2d'],
    [49 * hour, '2d1h'],
    [8 * day + hour, '8d'],
    [729 * day, '729d'],
    [730 * day, '2y'],
    [731 * day, '2y1d'],
    [9 * 365 * day, '9y'],
  ];
  for (const [ms, text] of shown) assert.is(humanDuration(ms), text, `${ms}`);
});

test('clocks that differ a little do not show', () => {
  assert.is(humanDuration(-1500), '0s');
  assert.is(humanDuration(-2000), '<invalid>');
});

test('an age needs a timestamp', () => {
  const now = Date.parse('2030-01-01T00:01:00Z');
  assert.is(ageOf('2030-01-01T00:00:00Z', now), '60s');
  for (const none of [undefined, null, '', 'yesterday']) assert.is(ageOf(none, now), '<unknown>');
});

test.run();
