import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { validateLabelSelector, validateMetadata, validateMetadataUpdate } from '../../src/machinery/metadata.ts';
import { isDns1123Subdomain } from '../../src/machinery/names.ts';
import { type FieldError, fieldErrorBody } from '../../src/machinery/status.ts';

const rules = { namespaced: true, nameCheck: isDns1123Subdomain };
const texts = (errors: FieldError[]) => errors.map((error) => `${error.field}: ${fieldErrorBody(error)}`);

test('good metadata passes', () => {
  const meta = {
    name: 'web',
    generateName: 'web-',
    namespace: 'default',
    labels: { 'app.kubernetes.io/name': 'web', empty: '' },
    annotations: { 'Some.Tool/Key': 'anything at all\n' },
    finalizers: ['foregroundDeletion', 'example.com/guard'],
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u', controller: true }],
  };
  assert.equal(validateMetadata(meta, rules), []);
});

test('each bad field is named', () => {
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u', controller: true };
  const meta = {
    name: '',
    labels: { 'a b': 'x', ok: '-' },
    annotations: { '/x': '' },
    finalizers: ['mine', 'orphan', 'foregroundDeletion'],
    ownerReferences: [owner, { ...owner, name: '', apiVersion: '' }],
  };
  const found = texts(validateMetadata(meta, rules));
  const wanted = [
    /^metadata\.name: Required value: name or generateName is required$/,
    /^metadata\.namespace: Required value$/,
    /^metadata\.labels: Invalid value: "a b": name part must/,
    /^metadata\.labels: Invalid value: "-": a valid label must/,
    /^metadata\.annotations: Invalid value: "\/x": prefix part must be non-empty$/,
    /^metadata\.ownerReferences\[1\]\.apiVersion: Invalid value: "": version must not be empty$/,
    /^metadata\.ownerReferences\[1\]\.name: Invalid value: "": name must not be empty$/,
    /^metadata\.ownerReferences: Invalid value: .*Only one reference can have Controller set to true/,
    /^metadata\.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified$/,
    /^metadata\.finalizers: .*finalizer orphan and foregroundDeletion cannot be both set$/,
  ];
  assert.is(found.length, wanted.length, found.join('\n'));
  for (const [index, pattern] of wanted.entries()) assert.match(found[index]!, pattern);
});

test('a cluster-wide object has no namespace', () => {
  const found = texts(validateMetadata({ name: 'n', namespace: 'x' }, { ...rules, namespaced: false }));
  assert.equal(found, ['metadata.namespace: Forbidden: not allowed on this type']);
});

test('annotations have a size limit for all of them together', () => {
  const annotations = { a: 'x'.repeat(200 * 1024), b: 'x'.repeat(60 * 1024) };
  const found = texts(validateMetadata({ name: 'n', namespace: 'd', annotations }, rules));
  assert.equal(found, ['metadata.annotations: Too long: may not be more than 262144 bytes']);
});

test('an update keeps identity and may not revive a deleted object', () => {
  const previous = { name: 'a', namespace: 'd', uid: '1', creationTimestamp: '2030-01-01T00:00:00Z', generation: 3 };
  assert.equal(validateMetadataUpdate({ ...previous, labels: { a: 'b' } }, previous), []);
  assert.equal(texts(validateMetadataUpdate({ ...previous, uid: '2', generation: 2 }, previous)), [
    'metadata.uid: Invalid value: "2": field is immutable',
    'metadata.generation: Invalid value: 2: must not be decremented',
  ]);
  const deleted = { ...previous, deletionTimestamp: '2030-01-02T00:00:00Z', finalizers: ['x/y'] };
  assert.equal(validateMetadataUpdate({ ...deleted, finalizers: [] }, deleted), []);
  assert.match(
    texts(validateMetadataUpdate({ ...deleted, finalizers: ['x/y', 'x/z'] }, deleted))[0]!,
    /no new finalizers can be added.*"x\/z"/,
  );
  assert.match(
    texts(validateMetadataUpdate({ ...deleted, deletionTimestamp: undefined }, deleted))[0]!,
    /^metadata\.deletionTimestamp/,
  );
});

test('a label selector wants values exactly where its operator does', () => {
  const selector = {
    matchLabels: { a: 'b' },
    matchExpressions: [
      { key: 'a', operator: 'In', values: [] },
      { key: 'a', operator: 'Exists', values: ['x'] },
      { key: '', operator: 'Near' },
      { key: 'ok', operator: 'NotIn', values: ['-'] },
    ],
  };
  const found = texts(validateLabelSelector(selector, 'spec.selector'));
  const wanted = [
    /^spec\.selector\.matchExpressions\[0\]\.values: Required value: must be specified when/,
    /^spec\.selector\.matchExpressions\[1\]\.values: Forbidden: may not be specified when/,
    /^spec\.selector\.matchExpressions\[2\]\.operator: Invalid value: "Near": not a valid selector operator$/,
    /^spec\.selector\.matchExpressions\[2\]\.key: Invalid value: "": name part must be non-empty$/,
    /^spec\.selector\.matchExpressions\[2\]\.key: Invalid value: "": name part must consist/,
    /^spec\.selector\.matchExpressions\[3\]\.values\[0\]: Invalid value: "-"/,
  ];
  assert.is(found.length, wanted.length, found.join('\n'));
  for (const [index, pattern] of wanted.entries()) assert.match(found[index]!, pattern);
});

test.run();
