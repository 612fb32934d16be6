import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatAddress, gatewayOf, macOf, nextAddress, parseAddress, parseRange } from '../../src/agent/network/address.ts';

const range = parseRange('10.42.1.0/29');
const address = (text: string) => parseAddress(text)!;

test('a range knows its gateway; what is no range is refused', () => {
  assert.is(formatAddress(gatewayOf(range)), '10.42.1.1');
  assert.is(formatAddress(parseRange('200.0.0.0/8').last), '200.255.255.255');
  for (const bad of [
    '',
    '10.42.1.0',
    '10.42.1.1/24',
    '10.42.1.0/33',
    '10.42.1.0/31',
    '300.0.0.0/8',
    'fd00::/64',
    '10.42.1.0/24x',
  ]) {
    assert.throws(() => parseRange(bad), /not a range for pods/, bad);
  }
});

test('addresses go round: a freed one rests until all others were used', () => {
  const taken = new Set<number>();
  const given: string[] = [];
  let previous = 0;
  for (let n = 0; n < 7; n++) {
    const next = nextAddress(range, taken, previous)!;
    given.push(formatAddress(next).split('.')[3]!);
    previous = next;
  }
  assert.equal(given, ['2', '3', '4', '5', '6', '2', '3'], 'neither gateway nor network nor broadcast');
});

test('taken addresses are passed over; with all taken there is none', () => {
  const taken = new Set(['10.42.1.3', '10.42.1.4'].map(address));
  assert.is(nextAddress(range, taken, address('10.42.1.2')), address('10.42.1.5'));
  for (const last of ['2', '5', '6']) taken.add(address(`10.42.1.${last}`));
  assert.is(nextAddress(range, taken, address('10.42.1.2')), undefined);
});

test('the MAC follows from the address', () => {
  assert.is(macOf(address('10.42.1.255')), '0a:58:0a:2a:01:ff');
});

test.run();
