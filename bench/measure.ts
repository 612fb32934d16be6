/** Samples and their percentiles, and closed-loop load with a fixed number of clients. */

export interface Summary {
  count: number;
  p50: number;
  p99: number;
  ratePerSecond: number;
}

export function percentile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

/** `clients` loops call `operation` until `durationMs` is over; each call's number is unique. Milliseconds. */
export async function closedLoop(
  clients: number,
  durationMs: number,
  operation: (number: number) => Promise<void>,
): Promise<Summary> {
  const samples: number[] = [];
  const startedMs = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() - startedMs < durationMs) {
        const beforeMs = performance.now();
        await operation(next++);
        samples.push(performance.now() - beforeMs);
      }
    }),
  );
  const elapsedMs = performance.now() - startedMs;
  samples.sort((a, b) => a - b);
  return {
    count: samples.length,
    p50: percentile(samples, 0.5),
    p99: percentile(samples, 0.99),
    ratePerSecond: (samples.length / elapsedMs) * 1000,
  };
}
