/**
 * What Kubernetes fills into a pod's spec, for pods and for the templates of workloads. Tools rely on these values being
 * there: diff, apply and debug compare or dereference them. Source: the API reference's field documentation (1.33).
 * Everything here is idempotent and changes its argument in place.
 */
import { canonicalQuantity, isQuantity } from './quantity.ts';
import type { Container, PodSpec, Probe, Volume } from './types.ts';

type Handler = Pick<Probe, 'httpGet'>;
type ProjectedSource = NonNullable<NonNullable<Volume['projected']>['sources']>[number];
type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];

const fileMode = 0o644;
const tokenExpirationSeconds = 3600;

/** Defaults that hold for pods and for pod templates. */
export function setPodSpecDefaults(spec: PodSpec): void {
  spec.containers ??= [];
  spec.restartPolicy ||= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.schedulerName ||= 'default-scheduler';
  spec.securityContext ??= {};
  setServiceAccountAlias(spec);
  for (const container of allContainers(spec)) setContainerDefaults(container);
  for (const volume of spec.volumes ?? []) setVolumeDefaults(volume);
  if (spec.resources) canonicalizeResources(spec.resources);
  canonicalizeQuantities(spec.overhead);
}

/**
 * Defaults of pods alone: a template is filled in when a pod is made from it. Without `account` a pod that names no service
 * account has none, as static pods.
 */
export function setPodOnlyDefaults(spec: PodSpec, { account = true } = {}): void {
  spec.enableServiceLinks ??= true;
  if (account) spec.serviceAccountName ||= 'default';
  setServiceAccountAlias(spec);
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
    requestsFromLimits(container);
    if (spec.hostNetwork) hostPortsOnHostNetwork(container);
  }
}

/** Containers of all three lists; ephemeral ones have the same fields as far as defaults go. */
function allContainers(spec: PodSpec): Container[] {
  return [...spec.containers, ...(spec.initContainers ?? []), ...((spec.ephemeralContainers ?? []) as Container[])];
}

/** `serviceAccount` is the old name of the field; both are always shown. */
function setServiceAccountAlias(spec: PodSpec): void {
  spec.serviceAccountName ||= spec.serviceAccount || undefined;
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
  else delete spec.serviceAccountName;
}

function setContainerDefaults(container: Container): void {
  container.imagePullPolicy ||= pullPolicyFor(container.image ?? '');
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  container.resources ??= {};
  canonicalizeResources(container.resources);
  for (const port of container.ports ?? []) port.protocol ||= 'TCP';
  for (const variable of container.env ?? []) {
    const from = variable.valueFrom;
    if (from?.fieldRef) from.fieldRef.apiVersion ||= 'v1';
    if (from?.resourceFieldRef) setDivisor(from.resourceFieldRef);
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe) setProbeDefaults(probe);
  }
  if (container.lifecycle?.postStart) setHandlerDefaults(container.lifecycle.postStart);
  if (container.lifecycle?.preStop) setHandlerDefaults(container.lifecycle.preStop);
}

/** Always for `latest` (written or implied), IfNotPresent for every other tag and for digests. */
function pullPolicyFor(image: string): string {
  if (image === '') return 'IfNotPresent';
  const [reference = '', digest] = image.split('@');
  const lastPart = reference.slice(reference.lastIndexOf('/') + 1);
  const tag = lastPart.includes(':') ? lastPart.slice(lastPart.indexOf(':') + 1) : digest ? '' : 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

/** Zero counts as not given: the reference implementation cannot tell them apart here. */
function setProbeDefaults(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  setHandlerDefaults(probe);
  if (probe.grpc) probe.grpc.service ??= '';
}

function setHandlerDefaults(handler: Handler): void {
  if (!handler.httpGet) return;
  handler.httpGet.path ||= '/';
  handler.httpGet.scheme ||= 'HTTP';
}

function requestsFromLimits(container: Container): void {
  const limits = container.resources?.limits;
  if (!container.resources || !limits) return;
  for (const [name, quantity] of Object.entries(limits)) {
    container.resources.requests ??= {};
    container.resources.requests[name] ??= quantity;
  }
}

function hostPortsOnHostNetwork(container: Container): void {
  for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
}

function setVolumeDefaults(volume: Volume): void {
  const { name: _name, ...sources } = volume;
  if (!Object.values(sources).some((source) => source != null)) volume.emptyDir = {};
  if (volume.secret) volume.secret.defaultMode ??= fileMode;
  if (volume.configMap) volume.configMap.defaultMode ??= fileMode;
  if (volume.hostPath) volume.hostPath.type ??= '';
  if (volume.emptyDir?.sizeLimit) volume.emptyDir.sizeLimit = canonical(volume.emptyDir.sizeLimit);
  if (volume.image) volume.image.pullPolicy ||= pullPolicyFor(volume.image.reference ?? '');
  if (volume.iscsi) volume.iscsi.iscsiInterface ||= 'default';
  if (volume.ephemeral?.volumeClaimTemplate?.spec) volume.ephemeral.volumeClaimTemplate.spec.volumeMode ||= 'Filesystem';
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= fileMode;
    setDownwardDefaults(volume.downwardAPI.items);
  }
  if (volume.projected) {
    volume.projected.defaultMode ??= fileMode;
    for (const source of volume.projected.sources ?? []) setProjectedDefaults(source);
  }
}

function setProjectedDefaults(source: ProjectedSource): void {
  if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= tokenExpirationSeconds;
  if (source.downwardAPI) setDownwardDefaults(source.downwardAPI.items);
}

function setDownwardDefaults(items: DownwardItem[] | undefined): void {
  for (const item of items ?? []) {
    if (item.fieldRef) item.fieldRef.apiVersion ||= 'v1';
    if (item.resourceFieldRef) setDivisor(item.resourceFieldRef);
  }
}

function setDivisor(reference: { divisor?: string }): void {
  reference.divisor = reference.divisor ? canonical(reference.divisor) : '0';
}

/** `1024Mi` and `1Gi` are one value; the shorter form is stored, so that comparing objects compares values. */
export function canonicalizeQuantities(quantities: Record<string, string> | undefined): void {
  for (const [name, quantity] of Object.entries(quantities ?? {})) {
    if (quantities && quantity != null) quantities[name] = canonical(quantity);
  }
}

function canonicalizeResources(resources: { requests?: Record<string, string>; limits?: Record<string, string> }): void {
  canonicalizeQuantities(resources.requests);
  canonicalizeQuantities(resources.limits);
}

/** What is no quantity stays as it is, for validation to name it. */
const canonical = (quantity: string | number): string =>
  isQuantity(quantity) ? canonicalQuantity(quantity) : (quantity as string);
