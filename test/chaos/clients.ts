/** Clients that create, compare-and-swap, delete, get and list the few keys of their group through one peer each. */
import { delay, systemClock } from '../../src/lib/clock.ts';
import type { Random } from '../../src/lib/random.ts';
import type { Call, Found, Recorder } from './history.ts';
import { isOwnKey } from './history.ts';
import { type Answer, type ApiClient, ConnectionLost } from './http.ts';

export const keysPerGroup = 2;
/** What a peer that is cut off or paused does not answer in this time counts as not answered. */
const answerPatienceMs = 4_000;
/** Between calls, on average, and after one that failed. */
const thinkMs = 60;
const failurePauseMs = 250;

export const namespaceOf = (group: number) => `chaos-${group}`;
export const pathOf = (group: number, key?: string) =>
  `/api/v1/namespaces/${namespaceOf(group)}/configmaps${key === undefined ? '' : `/${key}`}`;

interface ConfigMap {
  metadata: { name: string; resourceVersion: string };
  data?: { value?: string };
}

/** What an object of the API says. */
export function foundOf(object: unknown): { key: string } & Found {
  const { metadata, data } = object as ConfigMap;
  return { key: metadata.name, value: data?.value ?? '', revision: Number(metadata.resourceVersion) };
}

type Asked = Pick<Call, 'kind' | 'key' | 'expected' | 'value'>;

/** One client: one call at a time, each recorded. */
export class Caller {
  readonly #recorder: Recorder;
  readonly #api: ApiClient;
  readonly #group: number;
  readonly #peer: number;
  #client: number;
  #writes = 0;

  constructor(recorder: Recorder, api: ApiClient, place: { group: number; peer: number }) {
    this.#recorder = recorder;
    this.#api = api;
    this.#group = place.group;
    this.#peer = place.peer;
    this.#client = recorder.newClient();
  }

  /** Of the whole run there is no second one like it. */
  newValue(): string {
    return `${this.#client}-${++this.#writes}`;
  }

  async call(asked: Asked): Promise<Call> {
    const call: Call = {
      ...asked,
      group: this.#group,
      client: this.#client,
      peer: this.#peer,
      calledAt: this.#recorder.tick(),
      answeredAt: Number.POSITIVE_INFINITY,
      calledMs: this.#recorder.nowMs,
      answeredMs: Number.POSITIVE_INFINITY,
      outcome: 'unknown',
      answer: '',
    };
    this.#recorder.calls.push(call);
    try {
      const { method, path, body } = requestOf(call);
      const answer = await this.#api.call(method, path, body, answerPatienceMs);
      call.answer = String(answer.code);
      judge(call, answer);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      call.answer = error.message;
    }
    call.answeredMs = this.#recorder.nowMs;
    if (call.outcome === 'unknown') this.#client = this.#recorder.newClient();
    else call.answeredAt = this.#recorder.tick();
    return call;
  }
}

function requestOf(call: Call): { method: string; path: string; body?: unknown } {
  const { group, key, value, expected } = call;
  const resourceVersion = expected && String(expected.revision);
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: key, resourceVersion }, data: { value } };
  switch (call.kind) {
    case 'get':
      return { method: 'GET', path: pathOf(group, key) };
    case 'list':
      return { method: 'GET', path: pathOf(group) };
    case 'create':
      return { method: 'POST', path: pathOf(group), body: object };
    case 'update':
      return { method: 'PUT', path: pathOf(group, key), body: object };
    case 'delete': {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { resourceVersion } };
      return { method: 'DELETE', path: pathOf(group, key), body };
    }
  }
}

/** Throws for an answer that no client should ever get. */
function judge(call: Call, { code, body }: Answer): void {
  if (code === 200 || code === 201) {
    call.outcome = 'done';
    if (call.kind === 'list') {
      const { metadata, items } = body as { metadata: { resourceVersion: string }; items: unknown[] };
      call.revision = Number(metadata.resourceVersion);
      call.found = new Map(items.map(foundOf).flatMap(({ key, ...found }) => (isOwnKey(key) ? [[key, found]] : [])));
    } else if (call.kind !== 'delete') {
      const { key, ...found } = foundOf(body);
      call.found = new Map([[key, found]]);
    }
  } else if (code === 404 && call.kind === 'get') {
    call.outcome = 'done';
    call.found = new Map();
  } else if (code === 409 || (code === 404 && call.expected)) call.outcome = 'refused';
  else if (code < 500 && code !== 429) {
    throw new Error(`${call.kind} ${call.key} was answered with ${code}: ${JSON.stringify(body)}`);
  }
}

export interface ClientOptions {
  caller: Caller;
  random: Random;
  stop: AbortSignal;
}

/** Calls until it is stopped. After a call without an answer it reads until it gets one, so that few fates stay unknown. */
export async function runClient({ caller, random, stop }: ClientOptions): Promise<void> {
  const known = new Map<string, Found>();
  let failed = false;
  while (!stop.aborted) {
    const key = `key-${random.int(keysPerGroup)}`;
    const call = await caller.call(failed ? { kind: 'get', key } : choose(random, caller, key, known.get(key)));
    failed = call.outcome === 'unknown';
    learn(known, call);
    await delay(systemClock, failed ? failurePauseMs : random.int(2 * thinkMs), stop).catch(() => undefined);
  }
}

function choose(random: Random, caller: Caller, key: string, known: Found | undefined): Asked {
  const what = random.int(100);
  if (what < (known ? 20 : 60)) return { kind: 'get', key };
  if (what < (known ? 30 : 75)) return { kind: 'list', key: '' };
  if (!known || what < 33) return { kind: 'create', key, value: caller.newValue() };
  if (what < 40) return { kind: 'delete', key, expected: known };
  return { kind: 'update', key, expected: known, value: caller.newValue() };
}

function learn(known: Map<string, Found>, { kind, key, outcome, found }: Call): void {
  if (kind !== 'list') known.delete(key);
  else if (outcome === 'done') known.clear();
  for (const [name, one] of found ?? []) known.set(name, one);
}
