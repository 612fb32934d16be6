/** Certificate requests from approval to a certificate that the API takes, what is never signed, and what is cleaned up. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import https from 'node:https';
import * as x509 from '@peculiar/x509';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  approvalNeeds,
  clientSigner,
  keptMs,
  nodeClientSigner,
  nodeServingSigner,
  type RequestedCertificate,
  refusalOf,
  restMs,
} from '../../src/controllers/certificate-signing-request/plan.ts';
import { startControllers } from '../../src/controllers/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { CertificateSigningRequest } from '../../src/machinery/kind-types.ts';
import * as r from '../../src/machinery/resources.ts';
import { certificateSigner } from '../../src/node/certificate-requests.ts';
import { createAuthority, issueCertificate } from '../../src/node/pki.ts';
import { listeningApi } from '../api/listening.ts';
import { TestHealth } from '../api/widgets.ts';

const test = suite('certificates');
type Spec = CertificateSigningRequest['spec'];
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const spec = (signerName: string, usages: string[], username = 'ann') => ({ signerName, usages, username, request: '' }) as Spec;
const asked = (more: Partial<RequestedCertificate> = {}): RequestedCertificate => ({
  ...{ commonName: 'ann', organizations: [], dnsNames: [], ipAddresses: [], emailAddresses: [], uris: [] },
  ...more,
});
const node = { commonName: 'system:node:n1', organizations: ['system:nodes'] };

test('each signer signs what is its own, and nothing else', () => {
  const client = spec(clientSigner, ['client auth', 'digital signature']);
  const nodeClient = spec(nodeClientSigner, ['client auth', 'digital signature', 'key encipherment']);
  const serving = spec(nodeServingSigner, ['server auth', 'digital signature']);
  const fine: [Spec, RequestedCertificate][] = [
    [client, asked()],
    [client, asked({ organizations: ['devs'] })],
    [nodeClient, asked(node)],
    [serving, asked({ ...node, ipAddresses: ['10.0.0.1'] })],
    [serving, asked({ ...node, dnsNames: ['n1'] })],
  ];
  for (const [one, wish] of fine) assert.is(refusalOf(one, wish, ['front-proxy-client']), undefined);
  const wrong: [Spec, RequestedCertificate, RegExp][] = [
    [client, asked({ commonName: '' }), /common name is required/],
    [client, asked({ commonName: 'front-proxy-client' }), /reserved/],
    [client, asked({ organizations: ['devs', 'system:masters'] }), /system:masters/],
    [spec(clientSigner, ['digital signature']), asked(), /usages/],
    [spec(clientSigner, ['client auth', 'server auth']), asked(), /usages/],
    [spec(clientSigner, ['client auth', 'cert sign']), asked(), /usages/],
    [nodeClient, asked({ ...node, organizations: [] }), /organization/],
    [nodeClient, asked({ ...node, organizations: ['system:nodes', 'devs'] }), /organization/],
    [nodeClient, asked({ ...node, commonName: 'n1' }), /does not begin/],
    [nodeClient, asked({ ...node, dnsNames: ['n1'] }), /not allowed/],
    [spec(nodeClientSigner, ['client auth']), asked(node), /usages/],
    [serving, asked(node), /at least one/],
    [serving, asked({ ...node, dnsNames: ['n1'], uris: ['spiffe://x'] }), /URI/],
    [spec(nodeServingSigner, ['client auth', 'digital signature']), asked({ ...node, dnsNames: ['n1'] }), /usages/],
  ];
  for (const [one, wish, why] of wrong) assert.match(refusalOf(one, wish, ['front-proxy-client']) ?? '', why);
});

test('only requests of machines for themselves are approved without a person, by a permission', () => {
  const usages = ['client auth', 'digital signature'];
  assert.is(approvalNeeds(spec(nodeClientSigner, usages, 'system:node:n1'), asked(node)), 'selfnodeclient');
  assert.is(approvalNeeds(spec(nodeClientSigner, usages, 'system:bootstrap:abcdef'), asked(node)), 'nodeclient');
  assert.is(approvalNeeds(spec(clientSigner, usages), asked(node)), undefined);
  assert.is(approvalNeeds(spec(nodeClientSigner, usages), asked({ ...node, dnsNames: ['x'] })), undefined);
});

test('requests rest as long as they are of use', () => {
  const made = Date.parse('2024-05-06T07:08:09Z');
  const request = (type?: string, certificate?: string) =>
    ({
      metadata: { name: 'x', creationTimestamp: '2024-05-06T07:08:09Z' },
      status: {
        ...(certificate && { certificate }),
        conditions: type ? [{ type, status: 'True', lastUpdateTime: '2024-05-06T08:08:09Z' }] : [],
      },
    }) as unknown as CertificateSigningRequest;
  assert.is(restMs(request(), made), keptMs.pending);
  assert.is(restMs(request(), made + keptMs.pending + 1), 0);
  assert.is(restMs(request('Approved'), made), keptMs.pending);
  assert.is(restMs(request('Denied'), made), 3_600_000 + keptMs.decided);
  assert.is(restMs(request('Approved', 'pem'), made), 3_600_000 + keptMs.decided);
});

async function requestPem(subject: string, keys: webcrypto.CryptoKeyPair): Promise<string> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys: keys as never,
    signingAlgorithm: algorithm,
  });
  return request.toString('pem');
}

test('what a person approves is signed, and the API knows its bearer; what breaks the rules fails', async () => {
  const it = await listeningApi();
  const authority = await createAuthority(systemClock, 'test');
  const server = { commonName: 'server', organizations: [], usage: 'server' as const, names: ['127.0.0.1'], days: 1 };
  const tls = { ca: authority.cert, ...(await issueCertificate(authority, server, systemClock)) };
  const port = await it.api.listen({ host: '127.0.0.1', port: 0, tls });
  const client = it.api.client();
  const abort = new AbortController();
  const resources = [r.certificateSigningRequests] as unknown as r.Resource[];
  const running = startControllers(
    {
      ...{ client, clock: systemClock, random: systemRandom, logger: silentLogger, nodeHealth: new TestHealth() },
      clusterCidr: '10.42.0.0/16',
      options: {
        ...{ namespacedResources: [], ownableResources: resources, apiAddresses: () => [] },
        certificates: certificateSigner(authority, systemClock),
      },
    },
    abort.signal,
  );
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const ask = async (
    name: string,
    subject: string,
    signerName: string,
    usages = ['client auth', 'digital signature'],
    as = client,
  ) =>
    as.create(r.certificateSigningRequests, {
      metadata: { name },
      spec: {
        request: Buffer.from(await requestPem(subject, keys)).toString('base64'),
        ...{ signerName, usages, expirationSeconds: 600 },
      },
    });
  const decide = async (name: string, type: string) => {
    const request = await client.get(r.certificateSigningRequests, name);
    const conditions = [{ type, status: 'True', reason: 'Test' }];
    await client.update(r.certificateSigningRequests, { ...request, status: { conditions } }, { subresource: 'approval' });
  };
  const until = async (name: string, is: (status: NonNullable<CertificateSigningRequest['status']>) => boolean) => {
    for (;;) {
      const { status = {} } = await client.get(r.certificateSigningRequests, name);
      if (is(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const has = (type: string) => (status: CertificateSigningRequest['status']) =>
    status?.conditions?.some((condition) => condition.type === type) ?? false;
  try {
    await ask('denied', 'CN=ann', clientSigner);
    await decide('denied', 'Denied');
    await ask('proxy', 'CN=front-proxy-client', clientSigner);
    await decide('proxy', 'Approved');
    const failed = await until('proxy', has('Failed'));
    assert.match(failed.conditions?.find(({ type }) => type === 'Failed')?.message ?? '', 'reserved');
    assert.is(failed.certificate, undefined);
    await ask('ann', 'CN=ann, O=devs', clientSigner);
    await decide('ann', 'Approved');
    const { certificate = '' } = await until('ann', ({ certificate }) => certificate !== undefined);
    const cert = Buffer.from(certificate, 'base64').toString();
    const lifeMs = new x509.X509Certificate(cert).notAfter.getTime() - Date.now();
    assert.ok(lifeMs > 0 && lifeMs <= 600_000);
    const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
    const agent = new https.Agent({ ca: authority.cert, cert, key });
    assert.match(await whoAmI(port, agent), /"username":"ann".*"devs"/);
    agent.destroy();
    const machine = it.api.client({ name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] });
    await client.create(r.clusterRoleBindings, {
      metadata: { name: 'machines' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node-bootstrapper' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
    });
    await ask('unallowed', 'CN=system:node:n1, O=system:nodes', nodeClientSigner, undefined, machine);
    await client.create(r.clusterRoleBindings, {
      metadata: { name: 'renewing' },
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
      },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
    });
    await ask('renewal', 'CN=system:node:n1, O=system:nodes', nodeClientSigner, undefined, machine);
    const approved = await until('renewal', ({ certificate }) => certificate !== undefined);
    assert.is(approved.conditions?.[0]?.reason, 'AutoApproved');
    assert.is((await client.get(r.certificateSigningRequests, 'denied')).status?.certificate, undefined);
  } finally {
    abort.abort(new Error('end of test'));
    await running;
    await it.close();
  }
});

function whoAmI(port: number, agent: https.Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const request = https.request({ host: '127.0.0.1', port, path, method: 'POST', agent }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve(Buffer.concat(chunks).toString());
    });
    request.on('error', reject);
    request.end(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }));
  });
}

test.run();
