/** Conditions in a status: one of each type, with the time of its last change. Pure. */
import { timestamp } from './pod-state.ts';

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
}

/**
 * The list with `next` in it. A condition with the same status and reason stays as it is; one with the same status keeps
 * its time of transition.
 */
export function withCondition<C extends Condition>(
  conditions: readonly C[] | undefined,
  next: { type: string; status: string; reason: string; message: string },
  nowMs: number,
  options: { updateTime?: boolean; always?: boolean } = {},
): C[] {
  const list = conditions ?? [];
  const previous = list.find(({ type }) => type === next.type);
  if (!options.always && previous && previous.status === next.status && previous.reason === next.reason) return [...list];
  const now = timestamp(nowMs);
  const condition = {
    ...next,
    lastTransitionTime: previous?.status === next.status ? (previous.lastTransitionTime ?? now) : now,
    ...(options.updateTime ? { lastUpdateTime: now } : {}),
  } as unknown as C;
  return previous ? list.map((each) => (each === previous ? condition : each)) : [...list, condition];
}

export function withoutCondition<C extends Condition>(conditions: readonly C[] | undefined, type: string): C[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}
