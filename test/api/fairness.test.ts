/** Requests at once: seats, turns in the queue, and what is told when both are full. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Fairness, type FairnessLimits, type Leave } from '../../src/api/http/fairness.ts';
import type { User } from '../../src/api/types.ts';
import { listeningApi } from './listening.ts';
import { failureOf } from './widgets.ts';

const test = suite('fairness');
const never = new AbortController().signal;
const person = (name: string): User => ({ name, groups: ['system:authenticated'] });
const agent: User = { name: 'system:node:a', groups: ['system:nodes'] };
const limits = (more: Partial<FairnessLimits> = {}): FairnessLimits => ({
  seats: { nodes: 1, reading: 1, writing: 1 },
  waitingMax: 4,
  waitingPerUserMax: 2,
  ...more,
});

/** Those that got a seat, in that order; each seat is kept until it is freed by hand. */
function line(fairness: Fairness) {
  const served: string[] = [];
  const seats: Leave[] = [];
  const ask = (name: string, verb = 'update', signal = never) =>
    fairness.enter(person(name), verb, signal).then((leave) => {
      served.push(name);
      seats.push(leave);
    });
  /** Frees the oldest seat, and lets the next one sit down. */
  const leave = async () => {
    seats.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { served, ask, leave };
}

test('users take turns, however many one of them has waiting', async () => {
  const { served, ask, leave } = line(new Fairness(limits()));
  await ask('first');
  const waiting = [ask('greedy'), ask('greedy'), ask('modest')];
  await leave();
  await leave();
  await leave();
  await Promise.all(waiting);
  assert.equal(served, ['first', 'greedy', 'modest', 'greedy']);
});

test('reading, writing, agents and administrators do not wait for each other', async () => {
  const fairness = new Fairness(limits());
  const { ask, served } = line(fairness);
  await ask('writer');
  await ask('reader', 'list');
  await fairness.enter(agent, 'update', never);
  await fairness.enter({ name: 'admin', groups: ['system:masters'] }, 'update', never);
  await fairness.enter({ name: 'admin', groups: ['system:masters'] }, 'update', never);
  assert.equal(served, ['writer', 'reader']);
});

test('too many that wait are refused, of one user sooner than of all', async () => {
  const fairness = new Fairness(limits());
  const { ask, leave } = line(fairness);
  await ask('a');
  const waiting = [ask('a'), ask('a')];
  const refused = await failureOf(fairness.enter(person('a'), 'update', never));
  assert.equal([refused.code, refused.reason], [429, 'TooManyRequests']);
  waiting.push(ask('b'), ask('c'));
  assert.is((await failureOf(fairness.enter(person('d'), 'update', never))).code, 429);
  for (let n = 0; n < 5; n++) await leave();
  await Promise.all(waiting);
  await ask('d');
});

test('who goes away while it waits gives its place, and a seat that came too late, to the next', async () => {
  const { served, ask, leave } = line(new Fairness(limits()));
  await ask('first');
  const gone = new AbortController();
  const waits = ask('gone', 'update', gone.signal);
  const next = ask('next');
  gone.abort(new Error('the client has gone'));
  let reason = '';
  await waits.catch((error: Error) => {
    reason = error.message;
  });
  assert.is(reason, 'the client has gone');
  await leave();
  await next;
  assert.equal(served, ['first', 'next']);
});

test('over HTTP: 429 with Retry-After, and nothing is written', async () => {
  const it = await listeningApi({ fairness: limits({ seats: { nodes: 0, reading: 1, writing: 0 }, waitingMax: 0 }) });
  const headers = { 'content-type': 'application/json', 'impersonate-user': 'ann', 'impersonate-group': 'team' };
  const role = { metadata: { name: 'all' }, subjects: [{ kind: 'Group', name: 'team', apiGroup: 'rbac.authorization.k8s.io' }] };
  const roleRef = { kind: 'ClusterRole', name: 'cluster-admin', apiGroup: 'rbac.authorization.k8s.io' };
  const rbac = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
  const json = { 'content-type': 'application/json' };
  const bound = await it.request(rbac, { method: 'POST', headers: json, body: JSON.stringify({ ...role, roleRef }) });
  assert.is(bound.code, 201, bound.text);
  const path = '/api/v1/namespaces/default/configmaps';
  const refused = await it.request(path, { method: 'POST', headers, body: '{"metadata":{"name":"x"}}' });
  assert.is(refused.code, 429, refused.text);
  assert.is(refused.headers['retry-after'], '1');
  assert.is(refused.json().message, 'Too many requests, please try again later.');
  const listed = await it.request(path, { headers });
  assert.equal(listed.json<{ items: unknown[] }>().items, []);
  await it.close();
});

test.run();
