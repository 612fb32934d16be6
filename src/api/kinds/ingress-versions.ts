/** The former Ingress: a backend was `serviceName` and `servicePort`, the default one was called `backend`, paths had no type. */
import type { KubeObject } from '../../machinery/types.ts';
import type { Json } from './old-versions.ts';

interface Rules {
  rules?: { http?: { paths?: Json[] } }[];
}
type Current = KubeObject & { spec?: Rules & { defaultBackend?: Json } };
type Old = KubeObject & { spec?: Rules & { backend?: Json } };

/** Changes `object`. */
export function currentIngress(object: KubeObject): KubeObject {
  const { spec } = object as Old;
  if (!spec) return object;
  const { backend, ...rest } = spec;
  for (const path of pathsOf(rest)) {
    if (path.backend) path.backend = currentBackend(path.backend as Json);
    path.pathType ??= 'ImplementationSpecific';
  }
  return { ...object, spec: backend ? { ...rest, defaultBackend: currentBackend(backend) } : rest } as KubeObject;
}

/** Changes `object`. */
export function oldIngress(object: KubeObject): KubeObject {
  const { spec } = object as Current;
  if (!spec) return object;
  const { defaultBackend, ...rest } = spec;
  for (const path of pathsOf(rest)) {
    if (path.backend) path.backend = oldBackend(path.backend as Json);
  }
  return { ...object, spec: defaultBackend ? { ...rest, backend: oldBackend(defaultBackend) } : rest } as KubeObject;
}

const pathsOf = ({ rules = [] }: Rules) => rules.flatMap(({ http }) => http?.paths ?? []);

function currentBackend({ serviceName, servicePort, ...rest }: Json): Json {
  if (serviceName === undefined && servicePort === undefined) return rest;
  const port = typeof servicePort === 'string' ? { name: servicePort } : servicePort === undefined ? {} : { number: servicePort };
  return { ...rest, service: { name: serviceName ?? '', port } };
}

function oldBackend({ service, ...rest }: Json): Json {
  if (!service) return rest;
  const { name, port } = service as { name: string; port?: { name?: string; number?: number } };
  const servicePort = port?.name || port?.number;
  return { ...rest, serviceName: name, ...(servicePort === undefined ? {} : { servicePort }) };
}
