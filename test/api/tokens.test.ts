/** Service account tokens: who gets one, whose it is, and everything that makes it worthless. */
import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { signToken } from '../../src/api/tokens/jwt.ts';
import { apiAudiences } from '../../src/api/tokens/service-account-tokens.ts';
import type { User } from '../../src/api/types.ts';
import { requestAccountToken } from '../../src/machinery/account-tokens.ts';
import { nodes, pods, secrets, serviceAccounts } from '../../src/machinery/resources.ts';
import type { TokenRequest } from '../../src/machinery/types.ts';
import { failureOf, testRegistry } from './widgets.ts';

const test = suite('tokens');
const namespace = 'default';
/** The suite's own limit of time is enough. */
const { signal } = new AbortController();
const here = { namespace };
type Spec = NonNullable<TokenRequest['spec']>;

async function cluster() {
  const it = await testRegistry();
  await it.client.create(serviceAccounts, { metadata: { name: 'robot' } }, here);
  const ask = (spec: Partial<Spec> = {}, as = it.client) =>
    requestAccountToken(as, { namespace, account: 'robot', spec: { audiences: [], ...spec }, signal });
  const whose = async (token: string, audiences: string[] = apiAudiences) => (await it.tokens.verify(token, audiences))?.user;
  const makePod = (name: string, spec = {}) =>
    it.client.create(
      pods,
      { metadata: { name }, spec: { containers: [{ name: 'c', image: 'i' }], serviceAccountName: 'robot', ...spec } },
      here,
    );
  return { ...it, ask, whose, makePod };
}

const bound = (kind: string, metadata: { name: string; uid?: string }) => ({
  boundObjectRef: { apiVersion: 'v1', kind, name: metadata.name, uid: metadata.uid },
});

function parts(token: string): [head: string, body: string, signature: string] {
  return token.split('.') as [string, string, string];
}
const decoded = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a token is its account, with its groups, until its time is over', async () => {
  const { ask, whose, clock } = await cluster();
  const { token, expiresMs } = await ask({ expirationSeconds: 600 });
  assert.is(expiresMs, clock.wallMs() + 600_000);
  const user = (await whose(token)) as User;
  assert.is(user.name, 'system:serviceaccount:default:robot');
  assert.equal(user.groups, ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated']);
  assert.ok(user.uid);
  await clock.advance(599_000);
  assert.ok(await whose(token));
  await clock.advance(1_000);
  assert.is(await whose(token), undefined);
});

test('every changed claim, header and signature makes a token worthless', async () => {
  const { ask, whose, tokens } = await cluster();
  const { token } = await ask();
  const [head, body, signature] = parts(token);
  const claims = decoded(body);
  const changed: Record<string, unknown> = {
    iss: 'https://elsewhere',
    sub: 'system:serviceaccount:kube-system:default',
    aud: ['x'],
    exp: (claims.exp as number) + 1,
    nbf: 0,
    iat: 0,
    jti: 'other',
    'kubernetes.io': { namespace: 'kube-system', serviceaccount: { name: 'default', uid: 'x' } },
  };
  assert.equal(Object.keys(changed).sort(), Object.keys(claims).sort());
  for (const [claim, value] of Object.entries(changed)) {
    assert.is(await whose(`${head}.${encoded({ ...claims, [claim]: value })}.${signature}`), undefined, claim);
  }
  const header = decoded(head);
  const publicPem = createPublicKey(tokens.keys.newest.privateKey).export({ type: 'spki', format: 'pem' });
  const hmacHead = encoded({ ...header, alg: 'HS256' });
  const hmac = createHmac('sha256', publicPem).update(`${hmacHead}.${body}`).digest('base64url');
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const worthless = [
    `${encoded({ ...header, alg: 'none' })}.${body}.`,
    `${encoded({ alg: 'none' })}.${body}.${signature}`,
    `${hmacHead}.${body}.${hmac}`,
    `${encoded({ ...header, kid: 'other' })}.${body}.${signature}`,
    signToken(claims, { id: tokens.keys.newest.id, privateKey: stranger }),
    `${head}.${body}.${signature.slice(0, -2)}`,
    `${head}.${body}.${signature}=`,
    `${token}.more`,
    `${head}.${body}`,
    '',
    'a.b.c',
    'x'.repeat(100_000),
  ];
  for (const text of worthless) assert.is(await whose(text), undefined, text.slice(0, 80));
  assert.ok(await whose(token));
});

test('even signed by us, a token that is not for us or not yet good is refused', async () => {
  const { ask, whose, tokens, clock } = await cluster();
  const claims = decoded(parts((await ask()).token)[1]);
  const sign = (more: object) => signToken({ ...claims, ...more }, tokens.keys.newest);
  assert.ok(await whose(sign({})));
  const seconds = clock.wallMs() / 1000;
  const own = claims['kubernetes.io'] as { serviceaccount: { name: string } };
  const wrong = [
    { iss: 'https://elsewhere' },
    { aud: ['elsewhere'] },
    { aud: undefined },
    { exp: undefined },
    { exp: String(seconds + 100) },
    { nbf: seconds + 10 },
    { sub: 'system:serviceaccount:default:default' },
    { 'kubernetes.io': undefined },
    { 'kubernetes.io': { ...own, serviceaccount: { ...own.serviceaccount, uid: 'x' } } },
    { 'kubernetes.io': { ...own, pod: { name: 'p', uid: 'x' } } },
  ];
  for (const more of wrong) assert.is(await whose(sign(more)), undefined, JSON.stringify(more));
});

test('audiences: only those asked for', async () => {
  const { ask, whose, tokens } = await cluster();
  const { token } = await ask({ audiences: ['vault', 'db'] });
  assert.is(await whose(token), undefined);
  assert.equal((await tokens.verify(token, ['db', 'other']))?.audiences, ['db']);
});

test('a token dies with its account, also when another takes its name', async () => {
  const { ask, whose, client } = await cluster();
  const { token } = await ask();
  await client.delete(serviceAccounts, 'robot', here);
  assert.is(await whose(token), undefined);
  await client.create(serviceAccounts, { metadata: { name: 'robot' } }, here);
  assert.is(await whose(token), undefined);
});

test('a token dies with the pod, secret or node that it is bound to', async () => {
  const { ask, whose, client, makePod } = await cluster();
  const pod = await makePod('p', { nodeName: 'n1' });
  const node = await client.create(nodes, { metadata: { name: 'n1' } });
  const secret = await client.create(secrets, { metadata: { name: 's' } }, here);
  const ofPod = (await ask(bound('Pod', pod.metadata))).token;
  const ofSecret = (await ask(bound('Secret', secret.metadata))).token;
  const ofNode = (await ask(bound('Node', node.metadata))).token;
  const { extra = {} } = (await whose(ofPod)) as User;
  assert.equal(extra['authentication.kubernetes.io/pod-name'], ['p']);
  assert.equal(extra['authentication.kubernetes.io/pod-uid'], [pod.metadata.uid]);
  assert.equal(extra['authentication.kubernetes.io/node-name'], ['n1']);
  assert.ok((await whose(ofSecret)) && (await whose(ofNode)));
  await client.delete(secrets, 's', here);
  assert.is(await whose(ofSecret), undefined);
  await client.delete(nodes, 'n1');
  assert.is(await whose(ofNode), undefined);
  assert.ok(await whose(ofPod));
  await client.delete(pods, 'p', { ...here, gracePeriodSeconds: 0 });
  assert.is(await whose(ofPod), undefined);
});

test('requests that cannot be granted', async () => {
  const { ask, client, makePod } = await cluster();
  const pod = await makePod('p');
  await client.create(serviceAccounts, { metadata: { name: 'other' } }, here);
  const others = await makePod('q', { serviceAccountName: 'other' });
  const table: [spec: Partial<Spec>, code: number, message: RegExp][] = [
    [{ expirationSeconds: 599 }, 422, /expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes/],
    [{ expirationSeconds: 2 ** 32 + 1 }, 422, /may not specify a duration larger than 2\^32 seconds/],
    [bound('ConfigMap', { name: 'x' }), 400, /cannot bind token to object of type/],
    [bound('Pod', { name: 'none' }), 404, /pods "none" not found/],
    [
      bound('Pod', { name: 'p', uid: 'wrong' }),
      409,
      /the UID in the bound object reference \(wrong\) does not match the UID in record/,
    ],
    [bound('Pod', others.metadata), 400, /to pod running with different serviceaccount name/],
  ];
  for (const [spec, code, message] of table) {
    const refused = await failureOf(ask(spec));
    assert.is(refused.code, code, refused.message);
    assert.match(refused.message, message);
  }
  assert.ok((await ask(bound('Pod', pod.metadata))).token);
  const missing = requestAccountToken(client, { namespace, account: 'nobody', spec: { audiences: [] }, signal });
  assert.is((await failureOf(missing)).message, 'serviceaccounts "nobody" not found');
});

test('an agent gets tokens only for pods that run on its node', async () => {
  const { ask, clientOf, makePod } = await cluster();
  const agent = clientOf({ name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
  const own = await makePod('own', { nodeName: 'n1' });
  const foreign = await makePod('foreign', { nodeName: 'n2' });
  assert.ok((await ask(bound('Pod', own.metadata), agent)).token);
  const table: [spec: Partial<Spec>, why: RegExp][] = [
    [{}, /node requested token not bound to a pod/],
    [bound('Pod', foreign.metadata), /node requested token bound to a pod scheduled on a different node/],
    [bound('Pod', { name: 'own' }), /node requested token with a pod binding without a uid/],
  ];
  for (const [spec, why] of table) assert.match((await failureOf(ask(spec, agent))).message, why);
});

test('a new key signs from now on, and old tokens stay good for three more', async () => {
  const { ask, whose, tokens } = await cluster();
  const { token } = await ask();
  const first = tokens.keys.newest.id;
  for (let count = 0; count < 3; count++) await tokens.keys.rotate(signal);
  assert.is.not(tokens.keys.newest.id, first);
  assert.is(tokens.keys.keySet().keys.length, 4);
  assert.ok(await whose(token));
  assert.ok(await whose((await ask()).token));
  await tokens.keys.rotate(signal);
  assert.is(await whose(token), undefined);
});

test('the published keys are public', async () => {
  const { tokens } = await cluster();
  const [key] = tokens.keys.keySet().keys;
  assert.equal(Object.keys(key ?? {}).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
});

test.run();
