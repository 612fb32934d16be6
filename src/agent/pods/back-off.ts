/**
 * Back-off of restarts and pulls as Kubernetes documents it: 10 s, doubled each time up to 5 min, forgotten after 10 min
 * without a new failure. Pure.
 */
export const backOffFirstMs = 10_000;
export const backOffMaxMs = 300_000;
const forgetAfterMs = 2 * backOffMaxMs;

export interface BackOff {
  backOffMs?: number;
  /** Wall time at which `backOffMs` was last raised. */
  backOffRaisedAtMs?: number;
}

/** Milliseconds still to wait at `nowMs` after a failure at `failedAtMs`; 0: may be tried now. */
export function backOffRemainingMs(state: BackOff, failedAtMs: number, nowMs: number): number {
  const { backOffMs, backOffRaisedAtMs } = state;
  if (backOffMs === undefined || backOffRaisedAtMs === undefined) return 0;
  if (failedAtMs - backOffRaisedAtMs > forgetAfterMs) return 0;
  return Math.max(0, Math.min(failedAtMs + backOffMs - nowMs, backOffMs));
}

/** The state after a further try at `nowMs`, following a failure at `failedAtMs`. */
export function raiseBackOff(state: BackOff, failedAtMs: number, nowMs: number): Required<BackOff> {
  const { backOffMs, backOffRaisedAtMs } = state;
  const fresh = backOffMs === undefined || backOffRaisedAtMs === undefined || failedAtMs - backOffRaisedAtMs > forgetAfterMs;
  return {
    backOffMs: fresh ? backOffFirstMs : Math.min(backOffMs * 2, backOffMaxMs),
    backOffRaisedAtMs: nowMs,
  };
}

/** `10s`, `1m20s`, `5m0s`: how Kubernetes writes the delay in messages. */
export function backOffText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
