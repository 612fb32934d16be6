/** Numbers about requests, in the default registry of prom-client; served at /metrics. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram } from 'prom-client';

interface Answered {
  verb: string;
  resource: string;
  code: string;
}

/** By verb, resource and code: as many as there are series. Counted here, because the registry takes longer to find one by its labels. */
const answered = new Map<string, { labels: Answered; count: number }>();

export const requestsTotal = new Counter({
  name: 'kontiki_api_requests_total',
  help: 'Requests by verb, resource and HTTP code.',
  labelNames: ['verb', 'resource', 'code'],
  collect() {
    this.reset();
    for (const { labels, count } of answered.values()) this.inc({ ...labels }, count);
  },
});

export const requestSeconds = new Histogram({
  name: 'kontiki_api_request_seconds',
  help: 'Time until a request was answered; watches, logs and streams are left out.',
  labelNames: ['verb', 'resource'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
});

/** Counts a request that was answered; `seconds` is left out for those that go on as long as they like. */
export function requestAnswered(labels: Answered, seconds?: number): void {
  const { verb, resource, code } = labels;
  const key = `${verb} ${resource} ${code}`;
  const known = answered.get(key);
  if (known) known.count++;
  else answered.set(key, { labels, count: 1 });
  if (seconds !== undefined) requestSeconds.observe({ verb, resource }, seconds);
}

export const watchesOpen = new Gauge({
  name: 'kontiki_api_watches',
  help: 'Watches that are open over HTTP, by resource.',
  labelNames: ['resource'],
});

const stallResolutionMs = 10;
const loopDelay = monitorEventLoopDelay({ resolution: stallResolutionMs });

/** Measured from the first scrape on: nobody pays for a number that nobody reads. */
export const stallSeconds = new Gauge({
  name: 'kontiki_event_loop_stall_seconds',
  help: 'The longest time since the last scrape that this process could not take up new work',
  collect() {
    loopDelay.enable();
    this.set(Math.max(0, loopDelay.max / 1e9 - stallResolutionMs / 1000));
    loopDelay.reset();
  },
});
