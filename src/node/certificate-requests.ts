/** Reads and signs certificate requests (PKCS #10) with the cluster's authority. What may be signed is decided elsewhere. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { frontProxyName } from '../api/aggregation/front-proxy.ts';
import type { CertificateSigner } from '../controllers/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { AuthorityRecord } from './cluster-records.ts';
import { signCertificate } from './pki.ts';

const secondsMax = 365 * 86_400;
const alternativeNamesId = '2.5.29.17';
const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
const { digitalSignature, keyEncipherment } = x509.KeyUsageFlags;

export function certificateSigner(authority: AuthorityRecord, clock: Clock): CertificateSigner {
  return {
    reservedNames: [frontProxyName],

    async read(pem) {
      const request = parsed(pem);
      // Whoever asks must have the private key.
      if (!request || !(await request.verify())) return undefined;
      const names = alternativeNames(request)?.names.items ?? [];
      const of = (type: string) => names.filter((name) => name.type === type).map(({ value }) => value);
      const known = ['dns', 'ip', 'email', 'url'];
      // A kind of name that is not known here is nothing to sign.
      if (names.some(({ type }) => !known.includes(type))) return undefined;
      const commonNames = request.subjectName.getField('CN');
      return {
        // Of several nobody could tell which one counts.
        commonName: commonNames.length === 1 ? (commonNames[0] ?? '') : '',
        organizations: request.subjectName.getField('O'),
        ...{ dnsNames: of('dns'), ipAddresses: of('ip'), emailAddresses: of('email'), uris: of('url') },
      };
    },

    async sign(pem, { usages, expirationSeconds = secondsMax }) {
      const request = parsed(pem);
      if (!request) throw new TypeError('only what was read is signed');
      const names = alternativeNames(request);
      const extended = [
        ...(usages.includes('client auth') ? [clientAuth] : []),
        ...(usages.includes('server auth') ? [serverAuth] : []),
      ];
      const flags = (usages.includes('key encipherment') ? keyEncipherment : 0) | digitalSignature;
      return signCertificate(
        authority,
        {
          subject: request.subjectName.toJSON(),
          publicKey: request.publicKey,
          seconds: Math.min(expirationSeconds, secondsMax),
          extensions: [
            new x509.KeyUsagesExtension(flags, true),
            new x509.ExtendedKeyUsageExtension(extended),
            ...(names ? [names] : []),
          ],
        },
        clock,
      );
    },
  };
}

function alternativeNames(request: x509.Pkcs10CertificateRequest): x509.SubjectAlternativeNameExtension | undefined {
  const extension = request.getExtension(alternativeNamesId);
  return extension ? new x509.SubjectAlternativeNameExtension(extension.rawData) : undefined;
}

function parsed(pem: string): x509.Pkcs10CertificateRequest | undefined {
  try {
    return new x509.Pkcs10CertificateRequest(pem);
  } catch {
    // Not one: said by the condition that the request is given.
    return undefined;
  }
}
