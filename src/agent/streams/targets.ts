/** From names in a request to the container meant. StatusErrors in the words kubectl users know. */
import { badRequest, notFound } from '../../machinery/status.ts';
import type { Container } from '../../machinery/types.ts';
import { containersOf } from '../pods/pod-context.ts';
import type { PodManager } from '../pods/pod-manager.ts';
import type { ContainerRun } from '../pods/record.ts';
import type { PodWorker } from '../pods/worker.ts';

export interface PodAddress {
  namespace: string;
  pod: string;
}

export interface ContainerAddress extends PodAddress {
  container: string;
}

export function findPod(manager: PodManager, { namespace, pod }: PodAddress): PodWorker {
  const worker = manager.find(namespace, pod);
  if (!worker) throw notFound({ group: '', resource: 'pods' }, pod);
  return worker;
}

export interface RunningContainer {
  worker: PodWorker;
  container: Container;
  run: ContainerRun;
  /** What the runtime needs to run a command in it. */
  target: { id: string; bundle: string };
}

/** 400 when the pod has no such container or it does not run. */
export function findRunning(manager: PodManager, address: ContainerAddress): RunningContainer {
  const worker = findPod(manager, address);
  const container = containersOf(worker.pod()).find(({ name }) => name === address.container);
  if (!container) throw badRequest(`container ${address.container} is not valid for pod ${address.pod}`);
  const run = worker.record.containers[container.name]?.current;
  if (run?.state !== 'running') throw badRequest(`container not found ("${address.container}")`);
  return { worker, container, run, target: { id: run.id, bundle: worker.paths.bundle(container.name, run.attempt) } };
}
