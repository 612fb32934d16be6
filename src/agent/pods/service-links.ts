/**
 * Environment variables that tell a container of services, as Docker links did: NAME_SERVICE_HOST, NAME_PORT and so on. Those
 * of the API itself are always there; those of the pod's namespace when it wants them. Pure.
 */
import type { Service } from '../../machinery/types.ts';

export function serviceLinks(services: readonly Service[], namespace: string, all: boolean): Map<string, string> {
  const variables = new Map<string, string>();
  const wanted = services.filter(({ metadata }) => {
    const isApi = metadata.namespace === 'default' && metadata.name === 'kubernetes';
    return isApi || (all && metadata.namespace === namespace);
  });
  // The pod's own namespace wins over the API's service of the same name.
  wanted.sort((a, b) => Number(a.metadata.namespace === namespace) - Number(b.metadata.namespace === namespace));
  for (const service of wanted) addService(variables, service);
  return variables;
}

function addService(variables: Map<string, string>, { metadata, spec }: Service): void {
  const ip = spec?.clusterIP;
  const first = spec?.ports?.[0];
  if (!ip || ip === 'None' || !first) return;
  const prefix = metadata.name.toUpperCase().replaceAll('-', '_').replaceAll('.', '_');
  const url = (protocol: string, port: number) => `${protocol}://${ip}:${port}`;
  variables.set(`${prefix}_SERVICE_HOST`, ip);
  variables.set(`${prefix}_SERVICE_PORT`, String(first.port));
  for (const { name, port } of spec?.ports ?? []) {
    if (name) variables.set(`${prefix}_SERVICE_PORT_${name.toUpperCase().replaceAll('-', '_')}`, String(port));
  }
  variables.set(`${prefix}_PORT`, url((first.protocol ?? 'TCP').toLowerCase(), first.port));
  for (const { port, protocol = 'TCP' } of spec?.ports ?? []) {
    const base = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    variables.set(base, url(protocol.toLowerCase(), port));
    variables.set(`${base}_PROTO`, protocol.toLowerCase());
    variables.set(`${base}_PORT`, String(port));
    variables.set(`${base}_ADDR`, ip);
  }
}
