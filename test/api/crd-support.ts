/** A listening API with all control loops, and what the tests of user-defined kinds share. */

import { kinds } from '../../src/api/kinds/index.ts';
import { startControllers } from '../../src/controllers/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { KindDefinition } from '../../src/machinery/kind.ts';
import type { Resource } from '../../src/machinery/resources.ts';
import { listeningApi } from './listening.ts';
import { TestHealth } from './widgets.ts';

export type Json = Record<string, unknown>;

function listed(all: readonly KindDefinition[]): Resource[] {
  return all
    .filter(({ verbs }) => !verbs || verbs.includes('watch'))
    .filter(({ storedForm }) => !storedForm || storedForm.storedAs === storedForm.servedAs)
    .map(({ group, kind, plural, namespaced, versions }) => ({
      group,
      kind,
      resource: plural,
      namespaced,
      version: versions[0].name,
    }));
}

export async function definingApi(options: Parameters<typeof listeningApi>[0] = {}) {
  const it = await listeningApi(options);
  const abort = new AbortController();
  const { api } = it;
  const ended = startControllers(
    {
      client: api.client(),
      nodeHealth: new TestHealth(),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      clusterCidr: '10.42.0.0/16',
      options: {
        apiAddresses: () => [],
        get namespacedResources() {
          return listed(api.kinds()).filter(({ namespaced }) => namespaced);
        },
        ownableResources: listed(kinds),
      },
    },
    abort.signal,
  );
  return {
    ...it,
    async close() {
      abort.abort(new Error('end of test'));
      await ended;
      await it.close();
    },
  };
}

export type DefiningApi = Awaited<ReturnType<typeof definingApi>>;
