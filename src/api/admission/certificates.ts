/**
 * Admission of CertificateSigningRequests: who may approve and sign for a signer, and that nobody asks for the group of those who may
 * do everything. Source: Kubernetes documentation, "Certificate Signing Requests".
 */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import type { CertificateSigningRequest } from '../../machinery/kind-types.ts';
import { mastersGroup } from '../authorization.ts';
import { sameJson } from '../kinds/field-errors.ts';
import type { RegistryContext } from '../registry-types.ts';
import { isAbout, refusal } from './lookups.ts';
import type { AdmissionPlugin, AdmissionRequest } from './types.ts';

const group = 'certificates.k8s.io';
const clientSigner = 'kubernetes.io/kube-apiserver-client';

/** StatusError 403. */
export const certificateApproval: AdmissionPlugin = {
  name: 'CertificateApproval',
  handles: (request) => isWrittenThrough(request, 'approval'),
  validate: (request, context) => demandSigner(request, context, 'approve'),
};

/** StatusError 403. Only for writes that issue a certificate, or say something about it. */
export const certificateSigning: AdmissionPlugin = {
  name: 'CertificateSigning',
  handles: (request) => isWrittenThrough(request, 'status'),
  validate(request, context) {
    const [next, before] = [request.object, request.oldObject].map((of) => (of as CertificateSigningRequest).status);
    const isSame = sameJson(next?.certificate, before?.certificate) && sameJson(next?.conditions ?? [], before?.conditions ?? []);
    if (!isSame) demandSigner(request, context, 'sign');
  },
};

/** StatusError 403. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  handles: (request) => isAbout(request, group, 'certificatesigningrequests', ['CREATE']),
  validate(request) {
    const { spec } = request.object as CertificateSigningRequest;
    if (spec.signerName !== clientSigner || !organizationsOf(request, spec.request).includes(mastersGroup)) return;
    throw refusal(request, `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`);
  },
};

function isWrittenThrough({ operation, target }: AdmissionRequest, subresource: string): boolean {
  const { kind } = target.resolved;
  if (kind.plural !== 'certificatesigningrequests' || kind.group !== group) return false;
  return operation === 'UPDATE' && target.subresource === subresource;
}

/** By the signer's whole name, or by all of its domain. */
function demandSigner(request: AdmissionRequest, { access }: RegistryContext, verb: 'approve' | 'sign'): void {
  const { signerName } = (request.oldObject as CertificateSigningRequest).spec;
  const { user } = request.target;
  const may = (name: string) => access.authorizer.decide({ user, verb, group, resource: 'signers', name }).allowed;
  if (may(signerName) || may(`${signerName.split('/')[0]}/*`)) return;
  throw refusal(request, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`);
}

function organizationsOf(request: AdmissionRequest, encoded: string): string[] {
  try {
    const pem = Buffer.from(encoded, 'base64').toString('latin1');
    return new Pkcs10CertificateRequest(pem).subjectName.getField('O');
  } catch (error) {
    throw refusal(request, `failed to parse CSR: ${error instanceof Error ? error.message : String(error)}`);
  }
}
