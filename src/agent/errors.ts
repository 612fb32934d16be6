/** Operating errors of the agent. Those that end in a container or pod status carry the reason Kubernetes users know. */
import { KontikiError } from '../lib/errors.ts';

export type AgentErrorCode =
  /** A host command could not start, timed out or ended with a non-zero exit: command, exitCode, stderr. */
  | 'CommandFailed'
  /** The executor process ended while the command ran (the command was killed), or is closed. */
  | 'ExecutorLost'
  /** Too many commands wait already. */
  | 'ExecutorBusy'
  /** A container's root stands on the image. */
  | 'ImageInUse'
  /** Too many commands wait already. */
  | 'ExecutorBusy'
  /** The process that runs commands ended; the command may or may not have had its effect. */
  | 'ExecutorLost'
  /** The registry or the archive did not give a usable image. */
  | 'ImagePull'
  | 'InvalidImageName'
  /** An archive that holds no image, or a broken one. */
  | 'ImageImport'
  /** The original of an image cannot be made again. */
  | 'ImageExport'
  /** Too few images could go when the disk was full. */
  | 'ImageCollection'
  /** Removal of an image that is pinned. */
  | 'ImagePinned'
  | 'ImageNotFound'
  | 'Network'
  | 'Cgroup'
  /** This machine has no usable cgroup hierarchy. */
  | 'CgroupUnsupported'
  /** A mount point that should be gone is still there; nothing below it may be deleted. */
  | 'StillMounted'
  /** Namespaces of the pod could not be made. */
  | 'Sandbox'
  /** The pod's description cannot become a container: reason CreateContainerConfigError. */
  | 'ContainerConfig'
  /** The runtime refused to create or start the container: its message. */
  | 'ContainerStart'
  /** A volume cannot be set up (yet): reason FailedMount. */
  | 'Volume'
  /** A file of the agent's own that does not hold what it should. */
  | 'CorruptState';

export class AgentError extends KontikiError<AgentErrorCode> {
  constructor(code: AgentErrorCode, message: string, details: Record<string, unknown> = {}, cause?: unknown) {
    super(code, message, details, cause);
    this.name = 'AgentError';
  }
}

/** True for an AgentError with this code. */
export function isAgentError(error: unknown, code: AgentErrorCode): error is AgentError {
  return error instanceof AgentError && error.code === code;
}
