/**
 * Admission by LimitRanges: defaults for containers, and bounds for containers, pods and claims. Source: Kubernetes documentation,
 * "Limit Ranges".
 */
import type { LimitRange, PersistentVolumeClaim } from '../../machinery/kind-types.ts';
import { type Amounts, podAmounts } from '../../machinery/pod-resources.ts';
import { compareQuantities, quantityMilli } from '../../machinery/quantity.ts';
import type { Container, Pod, PodSpec } from '../../machinery/types.ts';
import { isAbout, isNewPod, isPodResize, joined, refusal, storedList } from './lookups.ts';
import type { AdmissionPlugin } from './types.ts';

type Item = NonNullable<LimitRange['spec']>['limits'][number];

interface Given {
  requests: Amounts;
  limits: Amounts;
}

const annotation = 'kubernetes.io/limit-ranger';
const limitRanges = 'core/limitranges';

/** Changes a new pod in place. StatusError 403 with all that is out of the bounds of the first range that refuses. */
export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',
  handles: (request) =>
    isNewPod(request) || isPodResize(request) || isAbout(request, '', 'persistentvolumeclaims', ['CREATE', 'UPDATE']),
  mutate(request, { store }) {
    if (!isNewPod(request)) return;
    for (const range of storedList<LimitRange>(store, limitRanges, request.target.namespace)) {
      setDefaults(request.object as Pod, range);
    }
  },
  validate(request, { store }) {
    if (request.oldObject?.metadata.deletionTimestamp) return;
    for (const { spec } of storedList<LimitRange>(store, limitRanges, request.target.namespace)) {
      const complaints = (spec?.limits ?? []).flatMap((item) =>
        isNewPod(request) || isPodResize(request)
          ? podComplaints(item, request.object as Pod)
          : claimComplaints(item, request.object as PersistentVolumeClaim),
      );
      if (complaints.length > 0) throw refusal(request, joined(complaints));
    }
  },
};

function setDefaults(pod: Pod, { spec }: LimitRange): void {
  const requests: Amounts = {};
  const limits: Amounts = {};
  for (const item of spec?.limits ?? []) {
    if (item.type !== 'Container') continue;
    Object.assign(requests, item.defaultRequest);
    Object.assign(limits, (item as { default?: Amounts }).default);
  }
  const complete = (what: string) => (container: Container) => [
    ...addMissing(container, 'requests', requests, `request for ${what} ${container.name}`),
    ...addMissing(container, 'limits', limits, `limit for ${what} ${container.name}`),
  ];
  const done = [
    ...containersOf(pod).flatMap(complete('container')),
    ...initContainersOf(pod).flatMap(complete('init container')),
  ];
  if (done.length === 0) return;
  pod.metadata.annotations = { ...pod.metadata.annotations, [annotation]: `LimitRanger plugin set: ${done.join('; ')}` };
}

const containersOf = ({ spec }: Pod): Container[] => spec?.containers ?? [];
const initContainersOf = ({ spec }: Pod): Container[] => spec?.initContainers ?? [];

/** What it did, in words that end with `what`. */
function addMissing(container: Container, field: 'requests' | 'limits', defaults: Amounts, what: string): string[] {
  const given = container.resources?.[field] ?? {};
  const missing = Object.keys(defaults).filter((name) => given[name] === undefined);
  if (missing.length === 0) return [];
  const added = Object.fromEntries(missing.map((name) => [name, defaults[name] as string]));
  container.resources = { ...container.resources, [field]: { ...given, ...added } };
  return [`${missing.sort().join(', ')} ${what}`];
}

function podComplaints(item: Item, pod: Pod): string[] {
  if (item.type === 'Container') {
    return [...containersOf(pod), ...initContainersOf(pod)].flatMap(({ resources }) =>
      complaintsOf(item, { requests: resources?.requests ?? {}, limits: resources?.limits ?? {} }),
    );
  }
  if (item.type !== 'Pod') return [];
  const spec = pod.spec as PodSpec;
  const whole = (field: 'requests' | 'limits') => podAmounts(spec, field, { overhead: false });
  return complaintsOf(item, { requests: whole('requests'), limits: whole('limits') });
}

function complaintsOf({ type, min = {}, max = {}, maxLimitRequestRatio = {} }: Item, given: Given): string[] {
  const checks = [
    ...Object.entries(min).map(([name, bound]) => belowMin(`minimum ${name} usage per ${type}`, bound, name, given)),
    ...Object.entries(max).map(([name, bound]) => aboveMax(`maximum ${name} usage per ${type}`, bound, name, given)),
    ...Object.entries(maxLimitRequestRatio).map(([name, bound]) => aboveRatio(type, bound, name, given)),
  ];
  return checks.filter((complaint) => complaint !== undefined);
}

function belowMin(what: string, bound: string, name: string, { requests, limits }: Given): string | undefined {
  const [request, limit] = [requests[name], limits[name]];
  if (request === undefined) return `${what} is ${bound}.  No request is specified`;
  if (compareQuantities(request, bound) < 0) return `${what} is ${bound}, but request is ${request}`;
  if (limit !== undefined && compareQuantities(limit, bound) < 0) return `${what} is ${bound}, but limit is ${limit}`;
  return undefined;
}

function aboveMax(what: string, bound: string, name: string, { requests, limits }: Given): string | undefined {
  const [request, limit] = [requests[name], limits[name]];
  if (limit === undefined) return `${what} is ${bound}.  No limit is specified`;
  if (compareQuantities(limit, bound) > 0) return `${what} is ${bound}, but limit is ${limit}`;
  if (request !== undefined && compareQuantities(request, bound) > 0) return `${what} is ${bound}, but request is ${request}`;
  return undefined;
}

function aboveRatio(type: string, bound: string, name: string, { requests, limits }: Given): string | undefined {
  const what = `${name} max limit to request ratio per ${type} is ${bound}`;
  const [request, limit] = [quantityMilli(requests[name] ?? '0'), quantityMilli(limits[name] ?? '0')];
  if (request === 0) return `${what}, but no request is specified or request is 0`;
  if (limit === 0) return `${what}, but no limit is specified or limit is 0`;
  const ratio = limit / request;
  return ratio * 1000 > quantityMilli(bound) ? `${what}, but provided ratio is ${ratio.toFixed(6)}` : undefined;
}

/** Claims are bounded by what they ask for alone. */
function claimComplaints({ type, min = {}, max = {} }: Item, { spec }: PersistentVolumeClaim): string[] {
  if (type !== 'PersistentVolumeClaim') return [];
  const requests = spec?.resources?.requests ?? {};
  const tooLittle = Object.entries(min).map(([name, bound]) =>
    belowMin(`minimum ${name} usage per ${type}`, bound, name, { requests, limits: {} }),
  );
  const tooMuch = Object.entries(max).map(([name, bound]) => {
    const what = `maximum ${name} usage per ${type} is ${bound}`;
    const request = requests[name];
    if (request === undefined) return `${what}.  No request is specified`;
    return compareQuantities(request, bound) > 0 ? `${what}, but request is ${request}` : undefined;
  });
  return [...tooLittle, ...tooMuch].filter((complaint) => complaint !== undefined);
}
