import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as names from '../../src/machinery/names.ts';

const subdomainComplaint =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

test('a subdomain is lower case labels joined by dots', () => {
  for (const good of ['a', 'web-1', 'a.b.c', '0', 'x'.repeat(253)]) assert.equal(names.isDns1123Subdomain(good), [], good);
  for (const bad of ['', 'A', 'a_b', '-a', 'a-', 'a..b', '.a', 'a b', 'ä', 'a\n']) {
    assert.equal(names.isDns1123Subdomain(bad), [subdomainComplaint], bad);
  }
  assert.equal(names.isDns1123Subdomain('x'.repeat(254)), ['must be no more than 253 characters']);
});

test('a label with dots hears about the dots only', () => {
  assert.equal(names.isDns1123Label('a.b'), ['must not contain dots']);
  assert.match(
    names.isDns1123Label('A')[0]!,
    "(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  );
  assert.equal(names.isDns1123Label('a'.repeat(63)), []);
  assert.equal(names.isDns1123Label('a'.repeat(64)), ['must be no more than 63 characters']);
});

test('a service name starts with a letter', () => {
  assert.equal(names.isDns1035Label('a1'), []);
  assert.match(names.isDns1035Label('1a')[0]!, /^a DNS-1035 label must consist of/);
});

test('a qualified name may have one prefix', () => {
  for (const good of ['app', 'app.kubernetes.io/name', 'A_b.c-D', 'x/y']) assert.equal(names.isQualifiedName(good), [], good);
  assert.equal(names.isQualifiedName('/x'), ['prefix part must be non-empty']);
  assert.match(names.isQualifiedName('Prefix/x')[0]!, /^prefix part a lowercase RFC 1123 subdomain/);
  assert.match(names.isQualifiedName('a/b/c')[0]!, /^a qualified name must consist of .* with an optional DNS subdomain prefix/);
  assert.is(names.isQualifiedName('x/').length, 2);
  assert.is(names.isQualifiedName('')[0], 'name part must be non-empty');
  assert.equal(names.isQualifiedName('a'.repeat(64)), ['name part must be no more than 63 characters']);
});

test('a label value may be empty', () => {
  assert.equal(names.isLabelValue(''), []);
  assert.equal(names.isLabelValue('1.2_3-x'), []);
  assert.match(names.isLabelValue('-x')[0]!, /^a valid label must be an empty string or consist of/);
  assert.is(names.isLabelValue('a'.repeat(64)).length, 1);
});

test('a port name has a letter, no double hyphen, and at most 15 characters', () => {
  assert.equal(names.isPortName('http-2'), []);
  assert.equal(names.isPortName('80'), ['must contain at least one letter (a-z)']);
  assert.equal(names.isPortName('a--b'), ['must not contain consecutive hyphens']);
  assert.equal(names.isPortName('a-'), ['must not begin or end with a hyphen']);
  assert.equal(names.isPortName('a'.repeat(16)), ['must be no more than 15 characters']);
  assert.equal(names.isPortName('aB'), ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']);
});

test('an environment variable may be anything printable but for the equals sign', () => {
  for (const good of ['PATH', '1', 'a b', 'x.y-z', '~']) assert.equal(names.isEnvVarName(good), [], good);
  for (const bad of ['', 'a=b', 'ä', 'a\tb']) assert.is(names.isEnvVarName(bad).length, 1, bad);
});

test('a config map key cannot be a folder', () => {
  assert.equal(names.isConfigMapKey('..a').at(-1), "must not start with '..'");
  assert.equal(names.isConfigMapKey('..'), ["must not be '..'"]);
  assert.equal(names.isConfigMapKey('.'), ["must not be '.'"]);
  assert.equal(names.isConfigMapKey('.bashrc'), []);
  assert.match(names.isConfigMapKey('a/b')[0]!, /^a valid config key must consist of/);
});

test.run();
