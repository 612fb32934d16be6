/** The audit log: which rule decides, what an event says, and what it must never say. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AuditEvent } from '../../src/api/audit/audit.ts';
import { type AuditAttributes, decide, metadataPolicy, parsePolicy } from '../../src/api/audit/policy.ts';
import { listeningApi } from './listening.ts';

type Told = AuditEvent & { annotations: Record<string, string>; responseStatus: Record<string, unknown> };

const test = suite('audit');
const policyOf = (rules: object[], more = {}) => {
  const { policy, problems } = parsePolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules, ...more });
  assert.equal(problems, []);
  return policy;
};
const ann = { name: 'ann', groups: ['devs', 'system:authenticated'] };
const asking = (verb: string, full: string, of: { group?: string; namespace?: string; name?: string } = {}): AuditAttributes => {
  const [resource = '', subresource = ''] = full.split('/');
  return { user: ann, verb, path: '/x', resource: { group: '', namespace: '', name: '', ...of, resource, subresource } };
};

test('the first rule that matches decides, by every part of a rule', () => {
  const level = (rule: object, attributes: AuditAttributes) =>
    decide(policyOf([{ level: 'Request', ...rule }]), attributes).level;
  const yes = (rule: object, attributes: AuditAttributes) => assert.is(level(rule, attributes), 'Request', JSON.stringify(rule));
  const no = (rule: object, attributes: AuditAttributes) => assert.is(level(rule, attributes), 'None', JSON.stringify(rule));
  const pod = asking('get', 'pods', { namespace: 'a', name: 'p' });
  const health: AuditAttributes = { user: ann, verb: 'get', path: '/healthz/ping' };
  yes({}, pod);
  yes({ users: ['ann'] }, pod);
  no({ users: ['bob'] }, pod);
  yes({ userGroups: ['x', 'devs'] }, pod);
  no({ userGroups: ['x'] }, pod);
  no({ users: ['ann'] }, { ...pod, user: undefined });
  yes({ verbs: ['list', 'get'] }, pod);
  no({ verbs: ['list'] }, pod);
  yes({ namespaces: ['a'] }, pod);
  no({ namespaces: ['b'] }, pod);
  yes({ namespaces: [''] }, asking('get', 'nodes'));
  yes({ resources: [{ group: '' }] }, pod);
  no({ resources: [{ group: 'apps' }] }, pod);
  yes({ resources: [{ group: '', resources: ['pods'] }] }, pod);
  no({ resources: [{ group: '', resources: ['pods'] }] }, asking('get', 'pods/log'));
  yes({ resources: [{ group: '', resources: ['pods/log'] }] }, asking('get', 'pods/log'));
  yes({ resources: [{ group: '', resources: ['pods/*'] }] }, asking('get', 'pods/log'));
  yes({ resources: [{ group: '', resources: ['*/log'] }] }, asking('get', 'pods/log'));
  no({ resources: [{ group: '', resources: ['*/log'] }] }, asking('get', 'pods/exec'));
  yes({ resources: [{ group: '', resources: ['pods'], resourceNames: ['p'] }] }, pod);
  no({ resources: [{ group: '', resources: ['pods'], resourceNames: ['q'] }] }, pod);
  no({ resources: [{ group: '' }] }, health);
  yes({ nonResourceURLs: ['/healthz*'] }, health);
  no({ nonResourceURLs: ['/healthz'] }, health);
  no({ nonResourceURLs: ['*'] }, pod);
  assert.is(decide(metadataPolicy, pod).level, 'Metadata');
  assert.is(decide(policyOf([{ level: 'None', users: ['ann'] }, { level: 'Metadata' }]), pod).level, 'None');
});

test('a policy that is wrong says where', () => {
  const wrong = [
    { level: 'Loud', user: 'x' },
    { level: 'None', nonResourceURLs: ['/a*b'], namespaces: ['n'] },
  ];
  const { problems } = parsePolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: wrong, omitStages: ['Never'] });
  assert.match(problems.join('\n'), /omitStages must be of[\s\S]*rules\[0\]\.user is not known[\s\S]*rules\[0\]\.level must be/);
  assert.match(problems.join('\n'), /rules\[1\]\.nonResourceURLs\[0\][\s\S]*rules\[1\] cannot name both/);
  assert.ok(parsePolicy('text').problems.length > 0);
});

async function audited(rules: object[], more = {}) {
  const events: AuditEvent[] = [];
  const it = await listeningApi({
    audit: { policy: policyOf(rules, more), sink: { record: (event) => events.push(event) }, confidential: [] },
  });
  /** The answer arrives before the server sees it off. */
  const complete = async (uri: RegExp) => {
    for (;;) {
      const found = events.find(({ stage, requestURI }) => stage === 'ResponseComplete' && uri.test(String(requestURI)));
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { ...it, events, complete };
}

const path = '/api/v1/namespaces/default';

test('an event says who asked for what, whether they might, and what became of it', async () => {
  const it = await audited([{ level: 'RequestResponse' }], { omitManagedFields: true });
  try {
    const body = JSON.stringify({ metadata: { name: 'a' }, data: { k: 'v' } });
    const headers = { 'user-agent': 'test/1', 'audit-id': 'my-own-id' };
    const made = await it.request(`${path}/configmaps?dryRun=All`, { method: 'POST', headers, body });
    assert.is(made.headers['audit-id'], 'my-own-id');
    const event = (await it.complete(/dryRun/)) as Told;
    assert.equal([event.level, event.verb, event.auditID], ['RequestResponse', 'create', 'my-own-id']);
    assert.equal(event.user, { username: 'admin', groups: ['system:masters', 'system:authenticated'] });
    assert.equal(event.objectRef, { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' });
    assert.equal(event.responseStatus, { metadata: {}, code: 201 });
    assert.equal([event.sourceIPs, event.userAgent], [['127.0.0.1'], 'test/1']);
    assert.is(event.annotations['authorization.k8s.io/decision'], 'allow');
    assert.equal(event.requestObject, JSON.parse(body));
    assert.equal((event.responseObject as { data: object }).data, { k: 'v' });
    assert.not.match(JSON.stringify(event.responseObject), 'managedFields');
    assert.match(String(event.stageTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.equal(
      it.events.filter(({ auditID }) => auditID === 'my-own-id').map(({ stage }) => stage),
      ['RequestReceived', 'ResponseComplete'],
    );
    await it.request(`${path}/pods/x`, { headers: { 'impersonate-user': 'ann' } });
    const refused = (await it.complete(/pods\/x/)) as Told;
    assert.is((refused.impersonatedUser as { username: string }).username, 'ann');
    assert.is(refused.annotations['authorization.k8s.io/decision'], 'forbid');
    assert.equal([refused.responseStatus.code, refused.responseStatus.reason], [403, 'Forbidden']);
    const watch = await it.open(`${path}/pods?watch=true`);
    watch.destroy();
    await it.complete(/watch=true/);
    assert.equal(
      it.events.filter(({ requestURI }) => /watch=true/.test(String(requestURI))).map(({ stage }) => stage),
      ['RequestReceived', 'ResponseStarted', 'ResponseComplete'],
    );
  } finally {
    await it.close();
  }
});

test('what admission has to say is told: rules that only audit, annotations of policies, what PodSecurity audits', async () => {
  const it = await audited([{ level: 'Metadata' }]);
  try {
    const post = async (to: string, body: object, code = 201) => {
      const made = await it.request(to, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      assert.is(made.code, code, made.text);
    };
    const of = async (uri: RegExp) => {
      const {
        'authorization.k8s.io/decision': _,
        'authorization.k8s.io/reason': __,
        ...rest
      } = ((await it.complete(uri)) as Told).annotations;
      return rest;
    };
    const group = '/apis/admissionregistration.k8s.io/v1';
    const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps', 'secrets'] };
    const valueExpression = "object.metadata.name == 'quiet' ? '' : 'name ' + object.metadata.name";
    await post(`${group}/validatingadmissionpolicies`, {
      metadata: { name: 'p.example.com' },
      spec: {
        matchConstraints: { resourceRules: [rule] },
        validations: [{ expression: 'true' }, { expression: "object.metadata.name != 'odd'", message: 'odd' }],
        auditAnnotations: [{ key: 'name', valueExpression }],
      },
    });
    const binding = (name: string, validationActions: string[]) =>
      post(`${group}/validatingadmissionpolicybindings`, {
        metadata: { name },
        spec: { policyName: 'p.example.com', validationActions },
      });
    await binding('b', ['Audit', 'Warn']);
    await post(`${path}/configmaps?dryRun=All&a`, { metadata: { name: 'fine' } });
    assert.equal(await of(/&a$/), { 'p.example.com/name': 'name fine' });
    await post(`${path}/configmaps?dryRun=All&b`, { metadata: { name: 'odd' } });
    const failed = await of(/&b$/);
    const note = failed['validation.policy.admission.k8s.io/validation_failure'] ?? '';
    assert.is(failed['p.example.com/name'], 'name odd');
    assert.equal(JSON.parse(note), [
      { message: 'odd', policy: 'p.example.com', binding: 'b', expressionIndex: 1, validationActions: ['Audit', 'Warn'] },
    ]);
    await post(`${path}/configmaps?dryRun=All&c`, { metadata: { name: 'quiet' } });
    assert.equal(await of(/&c$/), {});
    await post(`${path}/secrets?dryRun=All&d`, { metadata: { name: 'odd' } });
    assert.equal(await of(/&d$/), {});
    const labels = { 'pod-security.kubernetes.io/enforce': 'baseline', 'pod-security.kubernetes.io/audit': 'restricted' };
    await post('/api/v1/namespaces', { metadata: { name: 'watched', labels } });
    await post('/api/v1/namespaces/watched/serviceaccounts?e', { metadata: { name: 'default' } });
    const spec = { containers: [{ name: 'c', image: 'c' }] };
    await post('/api/v1/namespaces/watched/pods?f', { metadata: { name: 'p' }, spec });
    const pod = await of(/\?f$/);
    assert.is(pod['pod-security.kubernetes.io/enforce-policy'], 'baseline:latest');
    assert.match(
      pod['pod-security.kubernetes.io/audit-violations'] ?? '',
      /^would violate PodSecurity "restricted:latest": allowPriv/,
    );
  } finally {
    await it.close();
  }
});

test('nothing of a secret or a token is ever told, at any level, in any way of asking', async () => {
  const it = await audited([{ level: 'RequestResponse' }]);
  try {
    const word = Buffer.from('never to be told').toString('base64');
    const json = { 'content-type': 'application/json' };
    const merge = { 'content-type': 'application/merge-patch+json' };
    const post = (to: string, body: object) => it.request(to, { method: 'POST', headers: json, body: JSON.stringify(body) });
    assert.is((await post(`${path}/secrets`, { metadata: { name: 's' }, data: { word } })).code, 201);
    await post(`${path}/secrets`, { metadata: { name: 'bad' }, data: { word: `${word}!` } });
    await it.request(`${path}/secrets/s`, { method: 'PATCH', headers: merge, body: JSON.stringify({ data: { word } }) });
    await it.request(`${path}/secrets/s`);
    await it.request(`${path}/secrets`);
    await post(`${path}/serviceaccounts`, { metadata: { name: 'robot' } });
    const made = await post(`${path}/serviceaccounts/robot/token`, { spec: {} });
    const { token } = made.json<{ status: { token: string } }>().status;
    await post('/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token } });
    await it.request(`${path}/configmaps/last`, { headers: { authorization: `Bearer ${token}` } });
    await it.complete(/configmaps\/last/);
    const all = JSON.stringify(it.events);
    assert.not.match(all, word);
    assert.not.match(all, 'never to be told');
    assert.not.match(all, token.split('.')[2] as string);
    assert.match(all, 'tokenreviews');
    assert.match(all, '/serviceaccounts/robot/token');
  } finally {
    await it.close();
  }
});

test('a large body is left out, and the event says so; nobody is told of what level None covers', async () => {
  const it = await audited([{ level: 'None', verbs: ['get'] }, { level: 'Request' }]);
  try {
    const body = JSON.stringify({ metadata: { name: 'big' }, data: { k: 'v'.repeat(200_000) } });
    await it.request(`${path}/configmaps/none`);
    await it.request(`${path}/configmaps`, { method: 'POST', body });
    const event = (await it.complete(/configmaps/)) as Told;
    assert.is(event.verb, 'create');
    assert.is(event.requestObject, undefined);
    assert.is(event.annotations['audit.k8s.io/truncated'], 'true');
    assert.not.match(JSON.stringify(it.events), 'configmaps/none');
  } finally {
    await it.close();
  }
});

test.run();
