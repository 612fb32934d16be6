/** Whether an extension API server can be used: its service, its endpoints, and whether it answers. */
import { errorMessage } from '../../lib/errors.ts';
import { StatusError } from '../../machinery/status.ts';
import type { EndpointSlice, Service } from '../../machinery/types.ts';
import type { StoreReader } from '../../store/types.ts';
import { systemUser } from '../authentication.ts';
import { objectOf } from '../stored-objects.ts';
import { failureText } from '../upstream/failure-text.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import type { RemoteService } from './api-services.ts';
import { extensionServer, remoteUserHeaders, type Surroundings } from './extension-servers.ts';

const answerBytesMax = 1024 * 1024;
const checkMs = 5_000;

export interface Availability {
  status: 'True' | 'False';
  reason: string;
  message: string;
}

const missing = (reason: string, message: string): Availability => ({ status: 'False', reason, message });

/** What the objects of the cluster say; undefined when they are as they should be. Pure but for the store. */
export function serviceTrouble({ spec }: RemoteService, store: StoreReader): Availability | undefined {
  const { namespace, name, port } = spec.service;
  const where = `service/${name} in ${JSON.stringify(namespace)}`;
  const record = store.get(`/registry/core/services/${namespace}/${name}`);
  if (!record) return missing('ServiceNotFound', `${where} is not present`);
  const { spec: found } = objectOf(record) as Service;
  if (found?.type === 'ExternalName') return undefined;
  const servicePort = found?.ports?.find((candidate) => candidate.port === port);
  if (!servicePort) return missing('ServicePortError', `${where} is not listening on port ${port}`);
  const slices = store
    .list(`/registry/discovery.k8s.io/endpointslices/${namespace}/`)
    .records.map((each) => objectOf(each) as EndpointSlice)
    .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name);
  if (slices.length === 0) return missing('EndpointsNotFound', `cannot find endpoints for ${where}`);
  const portName = servicePort.name ?? '';
  const ready = slices.some(
    ({ ports, endpoints = [] }) =>
      ports?.some((candidate) => (candidate.name ?? '') === portName) &&
      endpoints.some(({ conditions }) => conditions?.ready !== false),
  );
  if (ready) return undefined;
  return missing('MissingEndpoints', `endpoints for ${where} have no addresses with port name ${JSON.stringify(portName)}`);
}

/** Asks the server for its discovery. Rejects only with the signal's reason. */
export async function availabilityOf(
  service: RemoteService,
  { upstreams, signal, ...surroundings }: Surroundings & { upstreams: Upstreams; signal: AbortSignal },
): Promise<Availability> {
  const trouble = serviceTrouble(service, surroundings.store);
  if (trouble) return trouble;
  const { group, version, service: reference } = service.spec;
  const path = `/apis/${group}/${version}`;
  const url = `https://${reference.name}.${reference.namespace}.svc:${reference.port}${path}`;
  const server = extensionServer(service, surroundings);
  const late = AbortSignal.timeout(checkMs);
  try {
    const { code } = await upstreams.ask(server, {
      method: 'GET',
      path,
      headers: { host: `${reference.name}.${reference.namespace}.svc`, ...remoteUserHeaders(systemUser) },
      body: Buffer.alloc(0),
      bytesMax: answerBytesMax,
      signal: AbortSignal.any([signal, late]),
    });
    if (code >= 200 && code < 300) return { status: 'True', reason: 'Passed', message: 'all checks passed' };
    return missing('FailedDiscoveryCheck', `failing or missing response from ${url}: bad status from ${url}: ${code}`);
  } catch (error) {
    signal.throwIfAborted();
    const why = late.aborted
      ? 'context deadline exceeded'
      : error instanceof StatusError
        ? errorMessage(error)
        : failureText(error, server);
    return missing('FailedDiscoveryCheck', `failing or missing response from ${url}: Get ${JSON.stringify(url)}: ${why}`);
  }
}
