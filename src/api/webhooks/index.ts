/** Webhooks of one peer, composed: the plugins of admission, and the client that conversion uses too. */
import type { AdmissionPlugin } from '../admission/types.ts';
import { celMatchConditions } from '../admission-policy/match-conditions.ts';
import type { Authorizer } from '../authorization.ts';
import type { ApiOptions } from '../types.ts';
import type { Upstreams } from '../upstream/upstream.ts';
import { createConversion, type WebhookConversion } from './conversion.ts';
import { HookCaller } from './hook-caller.ts';
import { HookClient } from './hook-client.ts';
import { HookIndex } from './hook-index.ts';
import { checkedConditions } from './match-conditions.ts';
import { mutatingWebhooks, validatingWebhooks } from './plugins.ts';

export interface Webhooks {
  mutating: AdmissionPlugin[];
  validating: AdmissionPlugin[];
  convert: WebhookConversion;
  close(): void;
}

export function createWebhooks(
  options: Pick<ApiOptions, 'store' | 'clock' | 'random' | 'logger'> & { upstreams: Upstreams; authorizer: Authorizer },
): Webhooks {
  const { store, clock, random, logger, upstreams } = options;
  const conditions = celMatchConditions(options.authorizer);
  const client = new HookClient({ store, upstreams, clock, random });
  const shared = { client, conditions, random, clock, logger: logger.child({ part: 'webhooks' }) };
  const mutating = { index: new HookIndex(store.local, 'mutating'), caller: new HookCaller('mutating', shared) };
  const validating = { index: new HookIndex(store.local, 'validating'), caller: new HookCaller('validating', shared) };
  return {
    mutating: [mutatingWebhooks(mutating)],
    validating: [checkedConditions(conditions), validatingWebhooks(validating)],
    convert: createConversion({ client, random }),
    close() {
      mutating.index.close();
      validating.index.close();
    },
  };
}
