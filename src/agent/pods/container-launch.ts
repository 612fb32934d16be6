/**
 * One run of a container, from image to started process. Everything that can still fail for reasons of the pod's description
 * is done before the run is recorded, so that a missing ConfigMap costs no restart; from then on the outcome is a run.
 */
import { chmod, chown, mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { qosClassOf } from '../../machinery/qos.ts';
import type { Container, Pod } from '../../machinery/types.ts';
import { isAgentError } from '../errors.ts';
import { containerCapabilities } from '../runtime/capabilities.ts';
import { containerCommand } from '../runtime/command.ts';
import { containerEnvironment } from '../runtime/env.ts';
import { lxcfsMounts } from '../runtime/lxcfs.ts';
import type { FieldValues } from '../runtime/pod-fields.ts';
import { readInRoot } from '../runtime/root-path.ts';
import { bindMount, buildSpec, type OciMount, type OciSpec } from '../runtime/spec.ts';
import { resolveUser } from '../runtime/user.ts';
import type { Image } from '../types.ts';
import { lockedFlagsAt, unmountBelow } from '../volumes/mounts.ts';
import type { PodVolumes } from '../volumes/pod-volumes.ts';
import { raiseBackOff } from './back-off.ts';
import { ContainerWaiting } from './container-waiting.ts';
import type { ImagePuller } from './image-puller.ts';
import { mountImageVolumes } from './image-volumes.ts';
import { containerCgroupLimits, containerNeeds, oomScoreAdjust } from './needs.ts';
import type { PodObjects } from './objects.ts';
import { ephemeralOf } from './pod-context.ts';
import { pullCredentials } from './pull-secrets.ts';
import { type ContainerRun, containerId, type PodPaths, type PodRecord } from './record.ts';
import { hostnameOf, namespacesOf, podMounts } from './sandbox.ts';
import type { PodServices } from './services.ts';
import { mappingOf } from './user-namespace.ts';

export interface LaunchContext {
  services: PodServices;
  pod: Pod;
  record: PodRecord;
  paths: PodPaths;
  volumes: PodVolumes;
  objects: PodObjects;
  puller: ImagePuller;
  values: FieldValues;
  cgroupParent: string;
  /** Writes the record to disk. */
  save(): Promise<void>;
  signal: AbortSignal;
}

const configRetryMs = 10_000;
const targetRetryMs = 1_000;
const defaultTerminationPath = '/dev/termination-log';
/** The exit code of a container that could not be started. */
const startErrorCode = 128;

/** `spec.containers{name}`, for events. */
export function fieldPathOf(pod: Pod, container: string): string {
  const lists = ['initContainers', 'ephemeralContainers'] as const;
  const list = lists.find((candidate) => pod.spec?.[candidate]?.some(({ name }) => name === container));
  return `spec.${list ?? 'containers'}{${container}}`;
}

/** NAME_NAMESPACE(UID), as in messages. */
export function podLabel(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}

/** Rejects with ContainerWaiting when it cannot be tried now; otherwise the record holds a run, running or exited. */
export async function launchContainer(context: LaunchContext, container: Container, attempt: number): Promise<void> {
  const { services, pod, record, objects, signal } = context;
  const { events, clock, runtime } = services;
  const fieldPath = fieldPathOf(pod, container.name);
  const secrets = (pod.spec?.imagePullSecrets ?? []).map(({ name }) => objects.secret(name ?? ''));
  const wanted = { reference: container.image ?? '', policy: container.imagePullPolicy, fieldPath };
  const image = await context.puller.ensure(pod, wanted, pullCredentials(secrets), signal);
  const mapping = mappingOf(pod, record, context.paths);
  await mountImageVolumes({ pod, images: services.images, puller: context.puller, objects, mapping, signal }, container);
  const id = containerId(pod.metadata.uid!, container.name, attempt);
  const bundle = context.paths.bundle(container.name, attempt);
  const begun = record.containers[container.name]?.current;
  // An earlier try of this attempt broke off: nobody knows how far it came.
  if (begun?.state === 'creating') await releaseRun(context, container.name, begun);
  let spec: OciSpec;
  try {
    spec = await describe(context, container, attempt, image, id);
  } catch (error) {
    await unmountBelow(context.paths.subPathsOf(container.name, attempt), services.executor);
    if (!isAgentError(error, 'ContainerConfig') && !isAgentError(error, 'CommandFailed')) throw error;
    events.record(pod, 'Warning', 'Failed', `Error: ${error.message}`, fieldPath);
    const reason = error.message === 'no command specified' ? 'CreateContainerError' : 'CreateContainerConfigError';
    throw new ContainerWaiting(reason, error.message, clock.wallMs() + configRetryMs);
  }
  signal.throwIfAborted();
  record.containers[container.name] ??= {};
  const state = record.containers[container.name]!;
  const previous = state.current;
  if (previous?.state === 'exited') {
    if (!previous.replaced) Object.assign(state, raiseBackOff(state, previous.exit!.finishedAtMs, clock.wallMs()));
    state.last = previous;
  }
  const run: ContainerRun = {
    id,
    attempt,
    image: referenceShown(image, container.image ?? ''),
    imageId: image.digests[0] ?? image.id,
    wantedImage: container.image ?? '',
    state: 'creating',
    startedAtMs: clock.wallMs(),
    stopSignal: image.config.stopSignal || 'SIGTERM',
    resources: container.resources ?? {},
    user: spec.process.user,
  };
  state.current = run;
  await context.save();
  try {
    const { stdin = false, stdinOnce = false } = container;
    const logFile = context.paths.log(container.name, attempt);
    const handler = record.runtimeHandler;
    const podUid = pod.metadata.uid!;
    const identity = await runtime.create({ id, podUid, handler, bundle, logFile, spec, stdin, stdinOnce });
    events.record(pod, 'Normal', 'Created', `Created container: ${container.name}`, fieldPath);
    await runtime.start(id);
    run.pid = identity.pid;
    run.pidStart = identity.start;
    run.state = 'running';
    run.startedAtMs = clock.wallMs();
    events.record(pod, 'Normal', 'Started', `Started container ${container.name}`, fieldPath);
  } catch (error) {
    if (!isAgentError(error, 'ContainerStart')) throw error;
    events.record(pod, 'Warning', 'Failed', `Error: ${error.message}`, fieldPath);
    run.state = 'exited';
    run.exit = { code: startErrorCode, reason: 'StartError', message: error.message, finishedAtMs: clock.wallMs() };
    await releaseRun(context, container.name, run);
  }
  await context.save();
  await removeOldRun(context, container.name, attempt - 2);
}

/** Of an image's names the one that the pod asked for, in full. */
function referenceShown({ references }: Image, wanted: string): string {
  const forms = [wanted, `${wanted}:latest`];
  return references.find((full) => forms.some((form) => full === form || full.endsWith(`/${form}`))) ?? wanted;
}

/** Gives back what a run that ended, or did not begin, held on the host, once. Its bundle and log stay. Idempotent. */
export async function releaseRun(
  context: Pick<LaunchContext, 'services' | 'paths'>,
  container: string,
  run: ContainerRun,
): Promise<void> {
  const { runtime, images, executor } = context.services;
  if (run.released) return;
  if (run.state === 'creating') await runtime.abandon(context.paths.uid, run.id);
  else await runtime.delete(run.id);
  await images.removeRoot(run.id);
  await unmountBelow(context.paths.subPathsOf(container, run.attempt), executor);
  // A run that is being created is made again under the same id.
  if (run.state === 'exited') run.released = true;
}

/** Logs are kept of the current and the last run. */
async function removeOldRun({ paths }: LaunchContext, container: string, attempt: number): Promise<void> {
  if (attempt < 0) return;
  await rm(paths.bundle(container, attempt), { recursive: true, force: true });
  for (const suffix of ['', '.1']) await rm(paths.log(container, attempt) + suffix, { force: true });
}

async function describe(
  context: LaunchContext,
  container: Container,
  attempt: number,
  image: Image,
  id: string,
): Promise<OciSpec> {
  const { services, pod, record, paths, objects, values } = context;
  const { options, events } = services;
  const security = container.securityContext ?? {};
  const podSecurity = pod.spec?.securityContext ?? {};
  const mapping = mappingOf(pod, record, paths);
  const rootfs = await services.images.mountRoot(id, image, mapping ? { mapping } : {});
  const { variables, skipped } = containerEnvironment({
    pod,
    container,
    imageEnv: image.config.env,
    hostname: hostnameOf(pod, options.nodeName),
    sources: objects,
    values,
    links: services.serviceLinks(pod.metadata.namespace ?? '', pod.spec?.enableServiceLinks !== false),
  });
  if (skipped.length) {
    const message = `Keys [${skipped.join(', ')}] were skipped since they are considered invalid environment variable names.`;
    events.record(pod, 'Warning', 'InvalidEnvironmentVariableNames', message);
  }
  const user = resolveUser({
    imageUser: image.config.user,
    image: container.image ?? '',
    container: container.name,
    podLabel: podLabel(pod),
    runAsUser: security.runAsUser ?? podSecurity.runAsUser,
    runAsGroup: security.runAsGroup ?? podSecurity.runAsGroup,
    runAsNonRoot: security.runAsNonRoot ?? podSecurity.runAsNonRoot,
    supplementalGroups: podSecurity.supplementalGroups ?? [],
    strictGroups: podSecurity.supplementalGroupsPolicy === 'Strict',
    fsGroup: podSecurity.fsGroup,
    passwd: await readInRoot(rootfs, '/etc/passwd'),
    group: await readInRoot(rootfs, '/etc/group'),
  });
  const args = containerCommand(container, image.config, variables);
  const bundle = paths.bundle(container.name, attempt);
  await rm(bundle, { recursive: true, force: true });
  await mkdir(bundle, { recursive: true, mode: 0o700 });
  const terminationLog = join(bundle, 'termination-log');
  await writeFile(terminationLog, '');
  // Whatever user the container runs as may leave its last words; the umask must not forbid it.
  await chmod(terminationLog, 0o666);
  if (mapping) await chown(terminationLog, mapping.firstId, mapping.firstId);
  const own = await context.volumes.containerMounts(pod, container, variables, paths.subPathsOf(container.name, attempt));
  const taken = new Set(own.map(({ destination }) => destination));
  const terminationPath = container.terminationMessagePath ?? defaultTerminationPath;
  const mounts = [
    ...(options.lxcfs ? await lxcfsMounts(options.lxcfs, taken) : []),
    ...podMounts(pod, paths, taken, security.readOnlyRootFilesystem === true),
    ...own,
    ...(terminationPath ? [bindMount(terminationLog, terminationPath, { readOnly: false })] : []),
  ];
  const qos = pod.status?.qosClass ?? qosClassOf(pod.spec!);
  const { add = [], drop = [] } = security.capabilities ?? {};
  const privileged = security.privileged === true;
  const capabilities = new Set(containerCapabilities({ privileged, add, drop }, services.bounding));
  const wanted = security.seccompProfile ?? podSecurity.seccompProfile;
  const seccomp = privileged ? undefined : await services.seccomp.filter(wanted, capabilities);
  return buildSpec({
    pod,
    container,
    rootfs,
    args,
    env: variables,
    cwd: container.workingDir || image.config.workingDir,
    user,
    namespaces: { ...namespacesOf(pod, paths), ...targetNamespace(context, container) },
    ...(mapping ? { firstUserId: mapping.firstId } : {}),
    mounts: mapping ? await withLockedFlags(mounts) : mounts,
    limits: containerCgroupLimits(container),
    cgroupsPath: `${context.cgroupParent}/${id}`,
    cgroupVersion: services.cgroups.version,
    oomScoreAdj: oomScoreAdjust(qos, containerNeeds(container, 'requests').memoryBytes, services.machineMemoryBytes),
    bounding: services.bounding,
    hostDevices: privileged ? await services.hostDevices() : [],
    ...(seccomp ? { seccomp } : {}),
  });
}

/** The kernel lets a pod with user ids of its own change nothing else about a mount. */
async function withLockedFlags(mounts: OciMount[]): Promise<OciMount[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return Promise.all(
    mounts.map(async (mount) => {
      const flags = lockedFlagsAt(table, await realpath(mount.source));
      return { ...mount, options: [...new Set([...mount.options, ...flags])] };
    }),
  );
}

/** A container for debugging may see the processes of another; in a shared process namespace it does anyway. */
function targetNamespace({ pod, record, services }: LaunchContext, { name }: Container): { pid?: string } {
  const target = ephemeralOf(pod.spec).find((container) => container.name === name)?.targetContainerName;
  if (!target || pod.spec?.shareProcessNamespace || pod.spec?.hostPID) return {};
  const run = record.containers[target]?.current;
  if (run?.state === 'running') return { pid: `/proc/${run.pid}/ns/pid` };
  const message = `unable to find target container "${target}": it does not run`;
  throw new ContainerWaiting('CreateContainerError', message, services.clock.wallMs() + targetRetryMs);
}
