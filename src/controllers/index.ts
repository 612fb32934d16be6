/**
 * The door of the controllers: all of them run while this peer leads. They see the cluster through the Client only and share one informer
 * for each resource.
 */
import { admissionPolicyStatusController } from './admission-policy-status/index.ts';
import { bootstrapSigner } from './bootstrap-signer/index.ts';
import { certificateSigningRequestController } from './certificate-signing-request/index.ts';
import { clusterRoleAggregationController } from './clusterrole-aggregation/index.ts';
import { ControllerContext, type StartControllersOptions } from './context.ts';
import { customResourceDefinitionController } from './custom-resource-definition/index.ts';
import { deploymentController } from './deployment/index.ts';
import { endpointsController } from './endpoints/index.ts';
import { endpointSliceController } from './endpointslice/index.ts';
import { garbageCollector } from './garbage-collector/index.ts';
import { kubernetesServiceController } from './kubernetes-service/index.ts';
import { namespaceController } from './namespace/index.ts';
import { nodeIpamController } from './node-ipam/index.ts';
import { nodeLifecycleController } from './node-lifecycle/index.ts';
import { podGcController } from './pod-gc/index.ts';
import { replicaSetController } from './replicaset/index.ts';
import { resourceQuotaController } from './resource-quota/index.ts';
import { rootCaPublisher } from './root-ca-publisher/index.ts';
import { serviceAccountController } from './serviceaccount/index.ts';
import { serviceAccountTokenController } from './serviceaccount-token/index.ts';
import { claimProtectionController, volumeProtectionController } from './storage-protection/index.ts';
import { taintEvictionController } from './taint-eviction/index.ts';
import { tokenCleaner } from './token-cleaner/index.ts';

export type { CertificateSigner, ControllerOptions, StartControllersOptions } from './context.ts';

const all = [
  nodeLifecycleController,
  nodeIpamController,
  taintEvictionController,
  replicaSetController,
  deploymentController,
  endpointsController,
  endpointSliceController,
  kubernetesServiceController,
  namespaceController,
  serviceAccountController,
  serviceAccountTokenController,
  tokenCleaner,
  bootstrapSigner,
  certificateSigningRequestController,
  rootCaPublisher,
  clusterRoleAggregationController,
  customResourceDefinitionController,
  admissionPolicyStatusController,
  garbageCollector,
  podGcController,
  resourceQuotaController,
  claimProtectionController,
  volumeProtectionController,
];

/**
 * Runs all controllers until the signal is aborted (leadership is lost), and resolves when the last write under way has ended.
 * Rejects only for a defect: then all have stopped too.
 */
export async function startControllers(given: StartControllersOptions, signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const context = new ControllerContext(given, both);
  const controllers = all.map((make) => make(context));
  const { synced, ended } = context.startInformers(both);
  try {
    await synced;
    given.logger.info({ controllers: controllers.map(({ name }) => name) }, 'controllers started');
    await Promise.all(
      controllers.map(async (controller) => {
        try {
          await controller.run(both);
        } catch (error) {
          stop.abort(error);
          throw error;
        }
      }),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    stop.abort(new Error('controllers stopped'));
    await ended;
    await context.flushEvents();
    given.logger.info({}, 'controllers stopped');
  }
}
