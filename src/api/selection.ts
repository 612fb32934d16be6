/** Label and field selectors of a request, made into one test of an object. */
import { parseFieldSelector, parseLabelSelector } from '../machinery/selectors.ts';
import { badRequest } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { apiVersionOf } from './kind-table.ts';
import type { Target } from './registry-types.ts';

export interface Selection {
  /** No selector at all: nothing needs to be parsed. */
  everything: boolean;
  /** Where to look: the namespace that the request or its selector names. Undefined: everywhere. */
  namespace: string | undefined;
  /** Exactly this name is asked for, in a known namespace where the kind has them: there is one key to look up. */
  name: string | undefined;
  matches(object: KubeObject): boolean;
}

/** StatusError 400 for selectors that cannot be parsed and fields that this kind does not offer. */
export function selectionOf(target: Target, request: { labelSelector?: string; fieldSelector?: string }): Selection {
  if (!request.labelSelector && !request.fieldSelector) {
    return { everything: true, namespace: target.namespace, name: undefined, matches: () => true };
  }
  const { kind } = target.resolved;
  const labels = request.labelSelector ? parseLabelSelector(request.labelSelector) : undefined;
  const requirements = request.fieldSelector ? parseFieldSelector(request.fieldSelector) : [];
  const tests = requirements.map(({ field, operator, value }) => {
    const read = readerOf(target, field, request);
    return (object: KubeObject) => (read(object) === value) === (operator === '=');
  });
  const demanded = (name: string) => requirements.find(({ field, operator }) => field === name && operator === '=')?.value;
  const namespace = target.namespace ?? (kind.namespaced ? demanded('metadata.namespace') || undefined : undefined);
  return {
    everything: false,
    namespace,
    name: !kind.namespaced || namespace !== undefined ? demanded('metadata.name') : undefined,
    matches: (object) => (labels?.(object.metadata.labels) ?? true) && tests.every((test) => test(object)),
  };
}

function readerOf(
  target: Target,
  field: string,
  request: { labelSelector?: string; fieldSelector?: string },
): (object: KubeObject) => string {
  const { kind } = target.resolved;
  if (field === 'metadata.name') return ({ metadata }) => metadata.name;
  if (field === 'metadata.namespace' && kind.namespaced) return ({ metadata }) => metadata.namespace ?? '';
  const read = kind.selectableFields?.[field];
  if (read) return read;
  const resource = `"${apiVersionOf(target.resolved)}, Resource=${kind.plural}"`;
  const { labelSelector = '', fieldSelector = '' } = request;
  throw badRequest(
    `Unable to find ${resource} that match label selector "${labelSelector}", field selector "${fieldSelector}": field label not supported: ${field}`,
  );
}
