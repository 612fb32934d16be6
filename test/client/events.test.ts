import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { silentLogger } from '../../src/lib/logger.ts';
import { seededRandom } from '../../src/lib/random.ts';
import { EventRecorder } from '../../src/machinery/events.ts';
import { events } from '../../src/machinery/resources.ts';
import { forbidden, serviceUnavailable } from '../../src/machinery/status.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { MemoryClient } from './memory-client.ts';

const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'n', uid: 'u', resourceVersion: '3' } };

function setUp() {
  const clock = new ManualClock();
  const client = new MemoryClient({ clock, random: seededRandom(1) });
  const recorder = new EventRecorder({ client, component: 'test', host: 'machine', clock, logger: silentLogger });
  return { clock, client, recorder };
}

test('an event says about what, why, from whom and when', async () => {
  const { client, recorder } = setUp();
  recorder.record(pod, 'Warning', 'BackOff', 'restarting', 'spec.containers{web}');
  await recorder.flush();
  const [event] = client.all(events, 'n');
  assert.equal(event?.involvedObject, {
    apiVersion: 'v1',
    kind: 'Pod',
    name: 'web',
    namespace: 'n',
    uid: 'u',
    resourceVersion: '3',
    fieldPath: 'spec.containers{web}',
  });
  assert.equal(event?.source, { component: 'test', host: 'machine' });
  assert.equal([event?.type, event?.reason, event?.message, event?.count], ['Warning', 'BackOff', 'restarting', 1]);
  assert.is(event?.firstTimestamp, '2030-01-01T00:00:00Z');
});

test('the same again is counted up, something else is an event of its own', async () => {
  const { clock, client, recorder } = setUp();
  recorder.record(pod, 'Normal', 'Pulled', 'there');
  recorder.record(pod, 'Normal', 'Pulled', 'there');
  await recorder.flush();
  await clock.advance(5_000);
  recorder.record(pod, 'Normal', 'Pulled', 'there');
  recorder.record(pod, 'Normal', 'Started', 'runs');
  await recorder.flush();
  const stored = client.all(events, 'n');
  assert.equal(
    stored.map(({ reason, count }) => [reason, count]),
    [
      ['Pulled', 3],
      ['Started', 1],
    ],
  );
  assert.is(stored[0]?.lastTimestamp, '2030-01-01T00:00:05Z');
  assert.is(stored[0]?.firstTimestamp, '2030-01-01T00:00:00Z');
});

test('an event that has expired is written anew', async () => {
  const { client, recorder } = setUp();
  recorder.record(pod, 'Normal', 'Pulled', 'there');
  await recorder.flush();
  await client.delete(events, client.all(events)[0]?.metadata.name ?? '', { namespace: 'n' });
  recorder.record(pod, 'Normal', 'Pulled', 'there');
  await recorder.flush();
  assert.is(client.all(events)[0]?.count, 1);
});

test('a server that is away is asked again; a refusal is final and hurts nobody', async () => {
  const { clock, client, recorder } = setUp();
  let refusals = 2;
  client.intercept = ({ verb }) => {
    if (verb === 'create' && refusals-- > 0) throw serviceUnavailable('not now');
  };
  recorder.record(pod, 'Normal', 'Pulled', 'there');
  await clock.until(() => client.all(events).length === 1, 'the event after two refusals');
  client.intercept = () => {
    throw forbidden(events, '', 'the namespace is being terminated');
  };
  recorder.record(pod, 'Normal', 'Killing', 'stopping');
  await recorder.flush();
  await settle();
  assert.is(client.all(events).length, 1);
});

test.run();
