/** A certificate authority for one test run, in PEM. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const validMs = 3_600_000;

export interface Identity {
  cert: string;
  key: string;
}

async function keyPair() {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
}

async function keyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return `-----BEGIN PRIVATE KEY-----\n${bytes.toString('base64').replace(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`;
}

const validity = () => ({ notBefore: new Date(Date.now() - validMs), notAfter: new Date(Date.now() + validMs) });

export async function testAuthority() {
  const keys = await keyPair();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test-ca',
    serialNumber: '01',
    ...validity(),
    keys: keys as never,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  let serial = 2;
  /** `names`: what a server's certificate is for besides 127.0.0.1. */
  const issue = async (subject: string, names: string[] = []): Promise<Identity> => {
    const own = await keyPair();
    const certificate = await x509.X509CertificateGenerator.create({
      subject,
      issuer: authority.subject,
      serialNumber: String(serial++).padStart(2, '0'),
      ...validity(),
      publicKey: own.publicKey as never,
      signingKey: keys.privateKey as never,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'ip', value: '127.0.0.1' },
          ...names.map((value) => ({ type: 'dns' as const, value })),
        ]),
      ],
    });
    return { cert: certificate.toString('pem'), key: await keyPem(own) };
  };
  return { ca: authority.toString('pem'), issue };
}
