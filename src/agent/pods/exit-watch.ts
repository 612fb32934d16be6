/** Tells at once when a monitor has written a container's exit file. What was missed is found by the workers' own looking. */
import { type FSWatcher, watch } from 'node:fs';

export class ExitWatch {
  readonly #listeners = new Map<string, () => void>();
  #watcher: FSWatcher | undefined;

  /** `onError`: the watch is lost; exits are then seen a few seconds late. */
  start(exitDir: string, onError: (error: Error) => void): void {
    this.#watcher = watch(exitDir, (_event, name) => {
      if (name) this.#listeners.get(name)?.();
    });
    this.#watcher.on('error', onError);
  }

  /** One listener for each container id. */
  on(id: string, listener: () => void): void {
    this.#listeners.set(id, listener);
  }

  off(id: string): void {
    this.#listeners.delete(id);
  }

  stop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
