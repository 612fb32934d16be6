/** Webhooks of one peer, composed: the plugins of admission, and the client that conversion uses too. */
import type { AdmissionPlugin } from '../admission/types.ts';
import type { ApiOptions } from '../types.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { createConversion, type WebhookConversion } from './conversion.ts';
import { HookCaller } from './hook-caller.ts';
import { HookClient } from './hook-client.ts';
import { HookIndex } from './hook-index.ts';
import { checkedConditions, noMatchConditions } from './match-conditions.ts';
import { mutatingWebhooks, validatingWebhooks } from './plugins.ts';

export interface Webhooks {
  /** In the order in which they run, behind all other plugins. */
  plugins: AdmissionPlugin[];
  convert: WebhookConversion;
  close(): void;
}

export function createWebhooks(
  options: Pick<ApiOptions, 'store' | 'clock' | 'random' | 'logger' | 'matchConditions'> & { upstreams: Upstreams },
): Webhooks {
  const { store, clock, random, logger, upstreams, matchConditions: conditions = noMatchConditions } = options;
  const client = new HookClient({ store, upstreams, clock, random });
  const shared = { client, conditions, random, clock, logger: logger.child({ part: 'webhooks' }) };
  const mutating = { index: new HookIndex(store.local, 'mutating'), caller: new HookCaller('mutating', shared) };
  const validating = { index: new HookIndex(store.local, 'validating'), caller: new HookCaller('validating', shared) };
  return {
    plugins: [checkedConditions(conditions), mutatingWebhooks(mutating), validatingWebhooks(validating)],
    convert: createConversion({ client, random }),
    close() {
      mutating.index.close();
      validating.index.close();
    },
  };
}
