/** Bootstrap tokens: whom they make of their bearer, and everything that makes them worthless. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { userOf } from '../../src/api/tokens/bootstrap-tokens.ts';
import type { Secret } from '../../src/machinery/types.ts';
import { listeningApi } from './listening.ts';

const test = suite('bootstrap tokens');
const parts = { id: 'abcdef', secret: '0123456789abcdef' };
const nowMs = Date.parse('2024-05-06T07:08:09Z');

function secretOf(data: Record<string, string | undefined> = {}, more: Partial<Secret> = {}): Secret {
  const all: Record<string, string | undefined> = {
    ...{ 'token-id': parts.id, 'token-secret': parts.secret, 'usage-bootstrap-authentication': 'true' },
    ...data,
  };
  const encoded = Object.entries(all).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, Buffer.from(value).toString('base64')]],
  );
  return {
    ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name: `bootstrap-token-${parts.id}`, namespace: 'kube-system' } },
    ...{ type: 'bootstrap.kubernetes.io/token', data: Object.fromEntries(encoded), ...more },
  } as Secret;
}

test('the bearer is named by the id, with the groups that the secret gives', () => {
  const extra = 'system:bootstrappers:one:two, system:bootstrappers:x';
  assert.equal(userOf(secretOf({ 'auth-extra-groups': extra, expiration: '2024-05-06T07:08:10Z' }), parts, nowMs), {
    name: 'system:bootstrap:abcdef',
    groups: ['system:bootstrappers', 'system:bootstrappers:one:two', 'system:bootstrappers:x', 'system:authenticated'],
  });
});

test('a secret that is not exactly so makes nobody', () => {
  const wrongs: [string, Secret][] = [
    ['expired', secretOf({ expiration: '2024-05-06T07:08:09Z' })],
    ['no time', secretOf({ expiration: 'tomorrow' })],
    ['another secret', secretOf({ 'token-secret': '0123456789abcdeg' })],
    ['no secret', secretOf({ 'token-secret': undefined })],
    ['another id', secretOf({ 'token-id': 'abcdeg' })],
    ['another use', secretOf({ 'usage-bootstrap-authentication': 'True' })],
    ['no use', secretOf({ 'usage-bootstrap-authentication': undefined })],
    ['another group', secretOf({ 'auth-extra-groups': 'system:masters' })],
    ['an end of a group', secretOf({ 'auth-extra-groups': 'system:bootstrappers:a:' })],
    ['another type', secretOf({}, { type: 'Opaque' })],
    ['going', secretOf({}, { metadata: { name: 'x', deletionTimestamp: '2024-05-06T07:08:09Z' } as Secret['metadata'] })],
  ];
  for (const [what, secret] of wrongs) assert.is(userOf(secret, parts, nowMs), undefined, what);
});

test('over the wire: good until its secret goes, for requests and for token reviews', async () => {
  const it = await listeningApi();
  try {
    const path = '/api/v1/namespaces/kube-system/secrets';
    const token = `${parts.id}.${parts.secret}`;
    const ask = async (bearer = token) => {
      const review = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });
      const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
      const to = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      return it.request(to, { method: 'POST', headers, body: review }, it.agents.nobody);
    };
    assert.is((await ask()).code, 401);
    const { apiVersion, kind, metadata, type, data } = secretOf();
    const made = await it.request(path, {
      method: 'POST',
      body: JSON.stringify({ apiVersion, kind, metadata: { name: metadata.name }, type, data }),
    });
    assert.is(made.code, 201);
    const answer = (await ask()).json<{ status: { userInfo: { username: string } } }>();
    assert.is(answer.status.userInfo.username, 'system:bootstrap:abcdef');
    assert.is((await ask(`${parts.id}.0123456789abcdeg`)).code, 401);
    const body = JSON.stringify({ spec: { token } });
    const review = await it.request('/apis/authentication.k8s.io/v1/tokenreviews', { method: 'POST', body });
    assert.is(review.json<{ status: { authenticated: boolean } }>().status.authenticated, true);
    await it.request(`${path}/${metadata.name}`, { method: 'DELETE' });
    assert.is((await ask()).code, 401);
  } finally {
    await it.close();
  }
});

test.run();
