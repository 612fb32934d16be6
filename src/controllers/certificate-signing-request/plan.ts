/**
 * Which certificates the cluster signs, and for how long their requests are kept. Pure. Source: Kubernetes documentation,
 * "Certificate Signing Requests", signers.
 */
import type { CertificateSigningRequest } from '../../machinery/kind-types.ts';

export const clientSigner = 'kubernetes.io/kube-apiserver-client';
export const nodeClientSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
export const nodeServingSigner = 'kubernetes.io/kubelet-serving';

const mastersGroup = 'system:masters';
const nodesGroup = 'system:nodes';
const nodeUserPrefix = 'system:node:';
const hourMs = 3_600_000;
export const keptMs = { pending: 24 * hourMs, decided: hourMs };

/** What a request (PKCS #10) asks for. */
export interface RequestedCertificate {
  commonName: string;
  organizations: string[];
  dnsNames: string[];
  ipAddresses: string[];
  emailAddresses: string[];
  uris: string[];
}

/** Why a signer of ours must not sign; undefined when it may. `reserved`: common names that nobody gets. */
export function refusalOf(
  { signerName, usages = [] }: CertificateSigningRequest['spec'],
  asked: RequestedCertificate,
  reserved: readonly string[],
): string | undefined {
  const { commonName, organizations, dnsNames, ipAddresses, emailAddresses, uris } = asked;
  const names = dnsNames.length + ipAddresses.length;
  const others = emailAddresses.length + uris.length;
  if (commonName === '') return 'subject common name is required';
  if (reserved.includes(commonName)) return `the common name ${commonName} is reserved`;
  if (organizations.includes(mastersGroup)) return `use of the group ${mastersGroup} is not allowed`;
  if (signerName === clientSigner) {
    return usagesAre(usages, ['client auth'], ['digital signature', 'key encipherment'])
      ? undefined
      : 'usages must be client auth, and may be digital signature and key encipherment';
  }
  if (organizations.length !== 1 || organizations[0] !== nodesGroup) return `subject organization is not ${nodesGroup}`;
  if (!commonName.startsWith(nodeUserPrefix) || commonName === nodeUserPrefix) {
    return `subject common name does not begin with ${nodeUserPrefix}`;
  }
  if (signerName === nodeClientSigner) {
    if (names + others > 0) return 'DNS, IP, email and URI subjectAltNames are not allowed';
    return usagesAre(usages, ['client auth', 'digital signature'], ['key encipherment'])
      ? undefined
      : 'usages did not match client auth, digital signature and, if wanted, key encipherment';
  }
  if (others > 0) return 'email and URI subjectAltNames are not allowed';
  if (names === 0) return 'at least one DNS or IP subjectAltName is required';
  return usagesAre(usages, ['server auth', 'digital signature'], ['key encipherment'])
    ? undefined
    : 'usages did not match server auth, digital signature and, if wanted, key encipherment';
}

function usagesAre(given: readonly string[], needed: readonly string[], allowed: readonly string[]): boolean {
  return needed.every((usage) => given.includes(usage)) && given.every((usage) => [...needed, ...allowed].includes(usage));
}

/** The permission by which a machine's own request is approved without a person; undefined for all other requests. */
export function approvalNeeds(
  { signerName, username, usages = [] }: CertificateSigningRequest['spec'],
  asked: RequestedCertificate,
): 'selfnodeclient' | 'nodeclient' | undefined {
  const spec = { signerName, usages, username } as CertificateSigningRequest['spec'];
  if (signerName !== nodeClientSigner || refusalOf(spec, asked, []) !== undefined) return undefined;
  return username === asked.commonName ? 'selfnodeclient' : 'nodeclient';
}

/** Milliseconds until the request is deleted; 0: now. */
export function restMs({ metadata, status }: CertificateSigningRequest, nowMs: number): number {
  const conditions = status?.conditions ?? [];
  const times = conditions.flatMap(({ type, lastUpdateTime }) =>
    ['Approved', 'Denied', 'Failed'].includes(type) && lastUpdateTime ? [Date.parse(String(lastUpdateTime))] : [],
  );
  // What is approved waits for its signer as long as what waits for its approval.
  const approvedOnly = conditions.length > 0 && conditions.every(({ type }) => type === 'Approved') && !status?.certificate;
  const sinceMs = times.length > 0 && !approvedOnly ? Math.max(...times) : Date.parse(String(metadata.creationTimestamp));
  const kept = times.length > 0 && !approvedOnly ? keptMs.decided : keptMs.pending;
  return Math.max(0, sinceMs + kept - nowMs);
}
