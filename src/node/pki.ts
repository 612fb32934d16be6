/** The cluster's certificate authority and the certificates it issues: API servers and the first administrator. ECDSA P-256. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { Clock } from '../lib/clock.ts';
import type { AuthorityRecord } from './cluster-records.ts';

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const dayMs = 86_400_000;
/** Clocks of other machines may be behind ours. */
const backdateMs = 3_600_000;
/** Of certificates that were asked for, which may be short: as Kubernetes' signer does. */
const signedBackdateMs = 300_000;

export interface IssuedCertificate {
  /** PEM. */
  cert: string;
  key: string;
}

export async function createAuthority(clock: Clock, commonName: string): Promise<AuthorityRecord> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(clock.wallMs() - backdateMs),
    notAfter: new Date(clock.wallMs() + 3650 * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: certificate.toString('pem'), key: await keyToPem(keys.privateKey) };
}

export interface CertificateRequest {
  commonName: string;
  organizations: string[];
  usage: 'server' | 'client';
  /** DNS names and IP addresses, for servers. */
  names?: string[];
  days: number;
}

/** Makes a key and signs a certificate for it. */
export async function issueCertificate(
  authority: AuthorityRecord,
  request: CertificateRequest,
  clock: Clock,
): Promise<IssuedCertificate> {
  const issuer = new x509.X509Certificate(authority.cert);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const usage = request.usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const subject: Record<string, string[]>[] = [
    ...request.organizations.map((name) => ({ O: [name] })),
    { CN: [request.commonName] },
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: issuer.subject,
    notBefore: new Date(clock.wallMs() - backdateMs),
    notAfter: new Date(clock.wallMs() + request.days * dayMs),
    signingKey: await keyFromPem(authority.key),
    publicKey: keys.publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...alternativeNames(request.names ?? []),
    ],
  });
  return { cert: certificate.toString('pem'), key: await keyToPem(keys.privateKey) };
}

/** Signs a certificate for somebody else's key. Never good for longer than the authority itself. Gives PEM. */
export async function signCertificate(
  authority: AuthorityRecord,
  request: { subject: x509.JsonName; publicKey: x509.PublicKey; seconds: number; extensions: x509.Extension[] },
  clock: Clock,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.cert);
  const endMs = Math.min(clock.wallMs() + request.seconds * 1000, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: request.subject,
    issuer: issuer.subject,
    notBefore: new Date(clock.wallMs() - signedBackdateMs),
    notAfter: new Date(endMs),
    signingKey: await keyFromPem(authority.key),
    publicKey: request.publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ...request.extensions,
    ],
  });
  return certificate.toString('pem');
}

function alternativeNames(names: string[]): x509.Extension[] {
  if (names.length === 0) return [];
  const unique = [...new Set(names)];
  return [new x509.SubjectAlternativeNameExtension(unique.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value })))];
}

/** 16 random bytes, positive. */
function serialNumber(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

async function keyToPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

function keyFromPem(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), algorithm, false, ['sign']);
}

/** A kubeconfig with one cluster, user and context. Credentials are embedded. */
export function kubeconfig(options: { server: string; ca: string; client: IssuedCertificate; cluster: string }): string {
  const { server, ca, client, cluster } = options;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return `apiVersion: v1
kind: Config
current-context: ${cluster}
clusters:
- name: ${cluster}
  cluster:
    server: ${server}
    certificate-authority-data: ${base64(ca)}
contexts:
- name: ${cluster}
  context:
    cluster: ${cluster}
    user: ${cluster}-admin
users:
- name: ${cluster}-admin
  user:
    client-certificate-data: ${base64(client.cert)}
    client-key-data: ${base64(client.key)}
`;
}

/** A new administrator's kubeconfig for `server`: group system:masters, good for a year. */
export async function adminKubeconfig(authority: AuthorityRecord, server: string, clock: Clock): Promise<string> {
  const client = await issueCertificate(
    authority,
    { commonName: 'kubernetes-admin', organizations: ['system:masters'], usage: 'client', days: 365 },
    clock,
  );
  return kubeconfig({ server, ca: authority.cert, client, cluster: 'kontiki' });
}
