/**
 * Time comes in through constructors as a Clock, so that the same code runs under simulated time.
 * Wall time is for people and for timestamps in objects; every duration is measured on the monotonic clock.
 */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time, milliseconds since 1970. May jump. */
  wallMs(): number;
  /** Monotonic time in milliseconds from an arbitrary start. Never goes back. */
  monotonicMs(): number;
  /** Calls `callback` once after at least `delayMs`. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason when it is aborted first. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
