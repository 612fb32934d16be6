/** Which of the machine's container runtimes a pod wants: what its RuntimeClass says, else the configured one. */
import { runtimeClasses } from '../../machinery/resources.ts';
import { isReason } from '../../machinery/status.ts';
import type { Pod } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';
import type { RuntimeName } from '../types.ts';
import type { PodServices } from './services.ts';

/**
 * Rejects with AgentError 'Sandbox', in the words of the kubelet and of containerd, when there is no such class or this machine does
 * not have its handler; with the signal's reason, or with what the API answered.
 */
export async function runtimeHandler(
  pod: Pod,
  { client, runtime, options }: Pick<PodServices, 'client' | 'options'> & { runtime: { handlers: readonly RuntimeName[] } },
  signal: AbortSignal,
): Promise<RuntimeName> {
  const name = pod.spec?.runtimeClassName;
  if (!name) return options.runtime;
  let wanted: string;
  try {
    wanted = (await client.get(runtimeClasses, name, { signal })).handler;
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    throw new AgentError('Sandbox', `runtimeclass.node.k8s.io "${name}" not found`, { name }, error);
  }
  const found = runtime.handlers.find((handler) => handler === wanted);
  if (found) return found;
  const why = `failed to get sandbox runtime: no runtime for "${wanted}" is configured`;
  throw new AgentError('Sandbox', `rpc error: code = Unknown desc = ${why}`, { name, handler: wanted });
}
