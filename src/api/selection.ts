/** Label and field selectors of a request, made into one test of an object. */
import { parseFieldSelector, parseLabelSelector } from '../machinery/selectors.ts';
import { badRequest } from '../machinery/status.ts';
import type { KubeObject } from '../machinery/types.ts';
import { apiVersionOf } from './kind-table.ts';
import type { Target } from './registry-types.ts';

export interface Selection {
  /** No selector at all: nothing needs to be parsed. */
  everything: boolean;
  /** The selector asks for exactly this name. */
  name: string | undefined;
  matches(object: KubeObject): boolean;
}

const all: Selection = { everything: true, name: undefined, matches: () => true };

/** StatusError 400 for selectors that cannot be parsed and fields that this kind does not offer. */
export function selectionOf(target: Target, request: { labelSelector?: string; fieldSelector?: string }): Selection {
  if (!request.labelSelector && !request.fieldSelector) return all;
  const { kind } = target.resolved;
  const labels = request.labelSelector ? parseLabelSelector(request.labelSelector) : undefined;
  const requirements = request.fieldSelector ? parseFieldSelector(request.fieldSelector) : [];
  const tests = requirements.map(({ field, operator, value }) => {
    const read = readerOf(target, field, request);
    return (object: KubeObject) => (read(object) === value) === (operator === '=');
  });
  const byName = requirements.find(({ field, operator }) => field === 'metadata.name' && operator === '=');
  return {
    everything: false,
    name: byName && (kind.namespaced ? target.namespace !== undefined : true) ? byName.value : undefined,
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
