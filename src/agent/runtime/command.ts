/** What a container runs: the four combinations of the pod's command and args with the image's entrypoint and cmd. Pure. */
import type { Container } from '../../machinery/types.ts';
import { AgentError } from '../errors.ts';
import type { ImageConfig } from '../types.ts';
import { expandVariables } from './expand.ts';

/** AgentError 'ContainerConfig' when neither the pod nor the image names a command. */
export function containerCommand(
  container: Pick<Container, 'command' | 'args' | 'image'>,
  image: ImageConfig,
  env: ReadonlyMap<string, string>,
): string[] {
  const command = container.command?.length ? container.command : undefined;
  const args = container.args?.length ? container.args : undefined;
  const expand = (list: readonly string[]) => list.map((part) => expandVariables(part, env));
  const line = command
    ? [...expand(command), ...expand(args ?? [])]
    : args
      ? [...image.entrypoint, ...expand(args)]
      : [...image.entrypoint, ...image.cmd];
  if (line.length === 0) throw new AgentError('ContainerConfig', 'no command specified');
  return line;
}
