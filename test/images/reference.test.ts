import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AgentError } from '../../src/agent/errors.ts';
import { formatReference, imageIdOf, parseReference } from '../../src/agent/images/reference.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

test('names get their domain, library and tag', () => {
  const cases: Record<string, string> = {
    nginx: 'docker.io/library/nginx:latest',
    'nginx:1.25': 'docker.io/library/nginx:1.25',
    'bitnami/redis': 'docker.io/bitnami/redis:latest',
    'index.docker.io/nginx': 'docker.io/library/nginx:latest',
    'docker.io/nginx:1': 'docker.io/library/nginx:1',
    'registry.example.com/nginx': 'registry.example.com/nginx:latest',
    'localhost/nginx': 'localhost/nginx:latest',
    'localhost:5000/a/b__c.d-e:v1.2_3': 'localhost:5000/a/b__c.d-e:v1.2_3',
    '10.0.0.1:5000/x': '10.0.0.1:5000/x:latest',
    [`nginx@${digest}`]: `docker.io/library/nginx@${digest}`,
    [`nginx:1.25@${digest}`]: `docker.io/library/nginx@${digest}`,
  };
  for (const [name, expected] of Object.entries(cases)) assert.is(formatReference(parseReference(name)), expected);
});

test('what is no name is refused in the words users know', () => {
  const bad = [
    '',
    ':',
    'a b',
    'nginx:',
    'nginx:-x',
    `nginx:${'x'.repeat(129)}`,
    '/nginx',
    'a//b',
    'a/',
    'nginx@sha256:12',
    '-x/y',
    'a..b',
    '../x',
    'reg:port/x',
  ];
  for (const name of bad) {
    try {
      parseReference(name);
    } catch (error) {
      assert.instance(error, AgentError);
      assert.is((error as AgentError).code, 'InvalidImageName');
      assert.is((error as AgentError).message, `couldn't parse image name ${JSON.stringify(name)}: invalid reference format`);
      continue;
    }
    assert.unreachable(`accepted ${name}`);
  }
  assert.throws(() => parseReference('Nginx'), /invalid reference format: repository name \(library\/Nginx\) must be lowercase/);
  assert.throws(() => parseReference('a'.repeat(64)), /cannot specify 64-byte hexadecimal strings/);
  assert.throws(() => parseReference(`x/${'y'.repeat(260)}`), /must not be more than 255 characters/);
});

test('ids are told from names', () => {
  assert.is(imageIdOf(digest), digest);
  assert.is(imageIdOf(digest.slice(7)), digest);
  assert.is(imageIdOf('nginx'), undefined);
});

test.run();
