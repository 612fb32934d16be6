import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import schema from '../../cluster-config/schema.json' with { type: 'json' };
import { loadConfig, parseConfig } from '../../src/node/config.ts';
import type { JsonSchema } from '../../src/node/schema-check.ts';

test('an empty file gives the defaults', () => {
  const config = parseConfig('', 'test');
  assert.is(config.dataDir, '/var/lib/kontiki');
  assert.is(config.api.port, 6443);
  assert.equal(config.cluster.nodePorts, { from: 30000, to: 32767 });
  assert.equal(config.agent.systemReserved, { cpu: '100m', memory: '256Mi' });
  assert.ok(config.nodeName.length > 0);
});

test('an unknown key is refused and the nearest known one is suggested, with its path', () => {
  assert.throws(() => parseConfig('nodename: a', 'x.yaml'), /x\.yaml: nodename is not a known key; did you mean nodeName\?/);
  assert.throws(
    () => parseConfig('agent: {podMax: 3}', 'x.yaml'),
    /agent\.podMax is not a known key; did you mean agent\.podsMax\?/,
  );
  assert.throws(
    () => parseConfig('api: {colour: red}', 'x.yaml'),
    /api\.colour is not a known key; known here: address, port, extraNames/,
  );
});

test('every wrong value is named, all at once', () => {
  const text =
    'nodeName: Not_Valid\napi: {port: 70000}\ncluster: {podCidr: 10.0.0.0}\nlog: {level: loud}\nagent: {labels: {a: 1}, systemReserved: {cpu: much}}';
  try {
    parseConfig(text, 'x.yaml');
    assert.unreachable();
  } catch (error) {
    const { message } = error as Error;
    for (const path of ['nodeName', 'api.port', 'cluster.podCidr', 'log.level', 'agent.labels.a', 'agent.systemReserved.cpu']) {
      assert.match(message, path);
    }
  }
});

test('what says when images are collected must make sense together', () => {
  const { agent } = parseConfig('', 'x.yaml');
  assert.equal([agent.imageGCHighThresholdPercent, agent.imageGCLowThresholdPercent], [85, 80]);
  assert.equal([agent.imageMinimumGCAgeSeconds, agent.imageMaximumGCAgeSeconds], [120, 0]);
  assert.throws(
    () => parseConfig('agent: {imageGCHighThresholdPercent: 80}', 'x.yaml'),
    /agent\.imageGCLowThresholdPercent must be below agent\.imageGCHighThresholdPercent/,
  );
  assert.throws(
    () => parseConfig('agent: {imageMaximumGCAgeSeconds: 120}', 'x.yaml'),
    /agent\.imageMaximumGCAgeSeconds must be 0 or above agent\.imageMinimumGCAgeSeconds/,
  );
  parseConfig('agent: {imageGCHighThresholdPercent: 81, imageMaximumGCAgeSeconds: 121}', 'x.yaml');
});

test('what is not YAML, not a file, or not a group of keys is refused with the reason', () => {
  assert.throws(() => parseConfig('a: [', 'x.yaml'), /x\.yaml is not YAML/);
  assert.throws(() => parseConfig('- 1', 'x.yaml'), /must be a group of keys/);
  assert.throws(() => loadConfig('/nowhere/x.yaml'), /cannot read the configuration/);
  assert.throws(() => parseConfig('cluster: {nodePorts: {from: 10, to: 5}}', 'x'), /nodePorts\.from must not be above/);
  assert.throws(() => parseConfig(`dataDir: /${'a'.repeat(90)}`, 'x'), /dataDir must be at most 80 bytes/);
});

test('every example in cluster-config is accepted', () => {
  const files = readdirSync('cluster-config').filter((file) => file.endsWith('.yaml'));
  assert.ok(files.length >= 2);
  for (const file of files) loadConfig(`cluster-config/${file}`);
});

test('single.yaml names every key of the schema', () => {
  const text = readFileSync('cluster-config/single.yaml', 'utf8');
  const names = (part: JsonSchema): string[] =>
    Object.entries(part.properties ?? {}).flatMap(([name, inner]) => [name, ...names(inner)]);
  for (const name of names(schema as JsonSchema)) assert.match(text, new RegExp(`^ *${name}:`, 'm'), `${name} is missing`);
});

test.run();
