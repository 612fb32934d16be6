/** Service account tokens of a pod: when they are asked for, renewed, and kept. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { volumeFiles } from '../../src/agent/volumes/payload.ts';
import { PodTokens } from '../../src/agent/volumes/pod-tokens.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import type { Client } from '../../src/machinery/client.ts';
import { serviceUnavailable } from '../../src/machinery/status.ts';
import type { Pod, TokenRequest, Volume } from '../../src/machinery/types.ts';
import { ManualClock } from '../client/manual-clock.ts';

const dir = mkdtempSync(join(tmpdir(), 'kontiki-tokens-'));
test.after(() => rmSync(dir, { recursive: true }));

const signal = new AbortController().signal;
const volume: Volume = {
  name: 'access',
  projected: {
    sources: [
      { serviceAccountToken: { path: 'token', expirationSeconds: 1_000 } },
      { serviceAccountToken: { path: 'vault', audience: 'vault', expirationSeconds: 2_000 } },
    ],
  },
};
const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default', uid: 'u' },
  spec: { containers: [], serviceAccountName: 'robot', volumes: [volume] },
};

function setUp(volumesDir = dir) {
  const clock = new ManualClock();
  const asked: { name?: string; spec: TokenRequest['spec'] }[] = [];
  const state = { away: false };
  const client = {
    create: async (_: unknown, { spec }: TokenRequest, { name }: { name?: string }) => {
      if (state.away) throw serviceUnavailable('the API is away');
      asked.push({ name, spec });
      const expirationTimestamp = new Date(clock.wallMs() + (spec?.expirationSeconds ?? 0) * 1_000).toISOString();
      return { status: { token: `token-${asked.length}`, expirationTimestamp } };
    },
  } as unknown as Client;
  const tokens = new PodTokens({ client, clock, logger: silentLogger, volumesDir });
  return { clock, asked, state, tokens };
}

test('each token is asked for once, bound to the pod, and again at four fifths of its life', async () => {
  const { clock, asked, tokens } = setUp();
  assert.is(tokens.dueAtMs(pod), 0);
  await tokens.ensure(pod, signal);
  await tokens.ensure(pod, signal);
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' };
  assert.equal(asked, [
    { name: 'robot', spec: { audiences: [], expirationSeconds: 1_000, boundObjectRef } },
    { name: 'robot', spec: { audiences: ['vault'], expirationSeconds: 2_000, boundObjectRef } },
  ]);
  assert.is(tokens.dueAtMs(pod), clock.wallMs() + 800_000);
  await clock.advance(799_000);
  await tokens.ensure(pod, signal);
  assert.is(tokens.get('access', 'token'), 'token-1');
  await clock.advance(1_000);
  await tokens.ensure(pod, signal);
  assert.is(tokens.get('access', 'token'), 'token-3');
  assert.is(tokens.get('access', 'vault'), 'token-2');
});

test('while the API is away an old token stays, and is tried again soon', async () => {
  const { clock, state, tokens } = setUp();
  await tokens.ensure(pod, signal);
  state.away = true;
  await clock.advance(900_000);
  await tokens.ensure(pod, signal);
  assert.is(tokens.get('access', 'token'), 'token-1');
  assert.is(tokens.dueAtMs(pod), clock.wallMs() + 10_000);
  state.away = false;
  await clock.advance(10_000);
  await tokens.ensure(pod, signal);
  assert.is(tokens.get('access', 'token'), 'token-3');
});

test('a new agent keeps what a former one wrote; without any token the volume cannot be set up', async () => {
  const { state, tokens } = setUp();
  state.away = true;
  try {
    await tokens.ensure(pod, signal);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /failed to fetch token: .*the API is away/);
  }
  mkdirSync(join(dir, 'access'));
  for (const name of ['token', 'vault']) writeFileSync(join(dir, 'access', name), `old-${name}`);
  const next = setUp();
  next.state.away = true;
  await next.tokens.ensure(pod, signal);
  assert.is(next.tokens.get('access', 'vault'), 'old-vault');
});

test("the file of a token is readable by everybody, or by the pod's group alone", () => {
  const sources = { configMap: () => undefined, secret: () => undefined, token: () => 'text' };
  const modeOf = (of: Pod) => volumeFiles(volume, of, sources, {} as never)?.get('token')?.mode;
  assert.is(modeOf(pod), 0o644);
  assert.is(modeOf({ ...pod, spec: { containers: [], securityContext: { fsGroup: 7 } } }), 0o600);
});

test('a pod without such volumes is never due', () => {
  assert.is(setUp().tokens.dueAtMs({ ...pod, spec: { containers: [] } }), Number.POSITIVE_INFINITY);
});

test.run();
