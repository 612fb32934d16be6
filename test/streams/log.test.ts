import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openPodLog } from '../../src/api/streams/index.ts';
import { failure, StatusError } from '../../src/machinery/status.ts';
import type { Pod } from '../../src/machinery/types.ts';
import { pod, startWorld, type World } from './support.ts';

const test = suite<{ world: World }>('log');
test.before.each(async (context) => {
  context.world = await startWorld();
});
test.after.each(async ({ world }) => world.close());

async function read(world: World, query: string, of: Pod = pod): Promise<string> {
  const log = await openPodLog(of, new URLSearchParams(query), { agents: world.agents, signal: world.stop.signal });
  let text = '';
  for await (const chunk of log) text += chunk;
  return text;
}

async function refusal(promise: Promise<unknown>): Promise<[number, string]> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StatusError) return [error.code, error.message];
    throw error;
  }
  throw new Error('not refused');
}

test('options go to the agent in its own words', async ({ world }) => {
  assert.is(await read(world, ''), 'log of /logs/default/web/app?\n');
  assert.is(
    await read(
      world,
      'container=app&follow=true&previous=false&tailLines=0&timestamps=1&limitBytes=9&insecureSkipTLSVerifyBackend=true',
    ),
    'log of /logs/default/web/app?follow=true&timestamps=true&tailLines=0&limitBytes=9\n',
  );
});

test('options that make no sense are refused', async ({ world }) => {
  assert.equal(await refusal(read(world, 'tailLines=-1')), [
    422,
    'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
  ]);
  assert.is((await refusal(read(world, 'tailLines=many')))[0], 400);
  assert.match((await refusal(read(world, 'sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z')))[1], /at most one of/);
});

test('which container must be clear', async ({ world }) => {
  const two = { ...pod, spec: { ...pod.spec, containers: [{ name: 'a' }, { name: 'b' }] } } as unknown as Pod;
  assert.equal(await refusal(read(world, '', two)), [
    400,
    'a container name must be specified for pod web, choose one of: [a b]',
  ]);
  assert.equal(await refusal(read(world, 'container=c', two)), [400, 'container c is not valid for pod web']);
});

test('what the agent refuses comes back as it is, and an unreachable node as 503', async ({ world }) => {
  world.refuse = failure(400, 'BadRequest', 'container "app" in pod "web" is waiting to start: ContainerCreating').status;
  assert.equal(await refusal(read(world, '')), [400, world.refuse.message ?? '']);
  const far = { ...pod, spec: { ...pod.spec, nodeName: 'gone' } } as Pod;
  assert.equal(await refusal(read(world, '', far)), [503, 'node gone cannot be reached']);
});

test('a log that is followed ends with its signal', async ({ world }) => {
  const stop = new AbortController();
  const log = await openPodLog(pod, new URLSearchParams('follow=true'), { agents: world.agents, signal: stop.signal });
  const closed = new Promise<void>((resolve) => log.once('close', () => resolve()));
  log.on('error', () => {});
  stop.abort(new Error('enough'));
  await closed;
});

test.run();
