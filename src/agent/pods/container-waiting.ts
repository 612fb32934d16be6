/** Thrown while a container is being prepared: it cannot start now. Reason and message become its waiting state. */
export class ContainerWaiting extends Error {
  readonly reason: string;
  /** Wall time of the next try. Something the container waits for may end the waiting earlier. */
  readonly retryAtMs: number;

  constructor(reason: string, message: string, retryAtMs: number) {
    super(message);
    this.name = 'ContainerWaiting';
    this.reason = reason;
    this.retryAtMs = retryAtMs;
  }
}
