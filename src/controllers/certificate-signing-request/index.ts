/**
 * What becomes of CertificateSigningRequests: those of machines are approved when they may be, approved ones are signed by the
 * cluster's authority when they are for a signer of ours, and old ones are deleted.
 */
import type { CertificateSigningRequest } from '../../machinery/kind-types.ts';
import * as r from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';
import type { CertificateSigner, Controller, ControllerContext } from '../context.ts';
import { queueController } from '../queue-controller.ts';
import { approvalNeeds, clientSigner, nodeClientSigner, nodeServingSigner, refusalOf, restMs } from './plan.ts';

const signers = [clientSigner, nodeClientSigner, nodeServingSigner];
const workers = 2;
const reviews: r.Resource<KubeObject & { status?: { allowed?: boolean } }> = {
  ...{ group: 'authorization.k8s.io', version: 'v1', kind: 'SubjectAccessReview', resource: 'subjectaccessreviews' },
  namespaced: false,
};

type Condition = NonNullable<NonNullable<CertificateSigningRequest['status']>['conditions']>[number];

export function certificateSigningRequestController(context: ControllerContext): Controller {
  const { client, clock, options } = context;
  const requests = context.informer(r.certificateSigningRequests);
  const controller = queueController(context, { name: 'certificate-signing-request', workers, reconcile });
  requests.onChange(({ object }) => controller.queue.add(object.metadata.name));

  async function reconcile(name: string, signal: AbortSignal): Promise<void> {
    const request = requests.get(undefined, name);
    if (!request || request.metadata.deletionTimestamp) return;
    const leftMs = restMs(request, clock.wallMs());
    try {
      if (leftMs === 0) return await remove(request, signal);
      controller.queue.addAfter(name, leftMs);
      const { certificates } = options;
      if (certificates && signers.includes(request.spec.signerName)) await decide(request, certificates, signal);
    } catch (error) {
      // Somebody else was first: the change that did it brings this one back.
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  }

  async function decide(request: CertificateSigningRequest, certificates: CertificateSigner, signal: AbortSignal): Promise<void> {
    const { spec, status } = request;
    const has = (type: string) => status?.conditions?.some((condition) => condition.type === type) ?? false;
    if (status?.certificate || has('Denied') || has('Failed')) return;
    const pem = Buffer.from(spec.request, 'base64').toString('latin1');
    const asked = await certificates.read(pem);
    if (!has('Approved')) {
      const permission = asked && approvalNeeds(spec, asked);
      if (permission && (await isAllowed(spec, permission, signal))) await approve(request, signal);
      return;
    }
    const refusal = asked ? refusalOf(spec, asked, certificates.reservedNames) : 'the request cannot be read';
    if (refusal !== undefined || !asked) {
      await update(request, 'status', [failed(refusal ?? '')], {}, signal);
      return;
    }
    const { usages = [], expirationSeconds } = spec;
    const certificate = await certificates.sign(pem, { usages, ...(expirationSeconds != null && { expirationSeconds }) });
    await update(request, 'status', [], { certificate: Buffer.from(certificate).toString('base64') }, signal);
  }

  async function isAllowed(spec: CertificateSigningRequest['spec'], subresource: string, signal: AbortSignal): Promise<boolean> {
    const { username = '', groups = [], uid, extra } = spec;
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: {
        ...{ user: username, groups, ...(uid && { uid }), ...(extra && { extra }) },
        resourceAttributes: { group: 'certificates.k8s.io', resource: 'certificatesigningrequests', verb: 'create', subresource },
      },
    };
    const { status } = await client.create(reviews, review as never, { signal });
    return status?.allowed === true;
  }

  async function approve(request: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
    const message = 'Auto approving kubelet client certificate after SubjectAccessReview.';
    const condition = { type: 'Approved', status: 'True', reason: 'AutoApproved', message };
    await update(request, 'approval', [condition], {}, signal);
  }

  async function update(
    request: CertificateSigningRequest,
    subresource: 'approval' | 'status',
    more: Condition[],
    status: object,
    signal: AbortSignal,
  ): Promise<void> {
    const conditions = [...(request.status?.conditions ?? []), ...more];
    const next = { ...request, status: { ...request.status, ...status, conditions } };
    await client.update(r.certificateSigningRequests, next, { subresource, signal });
  }

  async function remove({ metadata: { name, uid = '' } }: CertificateSigningRequest, signal: AbortSignal): Promise<void> {
    await client.delete(r.certificateSigningRequests, name, { preconditions: { uid }, signal });
  }

  return controller;
}

const failed = (message: string): Condition => ({ type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message });
