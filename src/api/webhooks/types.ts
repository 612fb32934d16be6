/** The wire form of what webhooks are asked and answer, and of their configuration, with defaults filled in. */
import type { ValidatingWebhookConfiguration } from '../../machinery/kind-types.ts';
import type { Status } from '../../machinery/status.ts';
import type { KubeObject } from '../../machinery/types.ts';

export interface ClientConfig {
  url?: string;
  service?: { namespace: string; name: string; path?: string; port?: number };
  /** PEM in base64. */
  caBundle?: string;
}

export type Webhook = NonNullable<ValidatingWebhookConfiguration['webhooks']>[number] & {
  reinvocationPolicy?: string;
};

export interface Hook {
  /** Of the configuration; hooks run in the order of these names. */
  configuration: string;
  /** Unique among the hooks of a phase. */
  id: string;
  webhook: Webhook;
}

export type Phase = 'mutating' | 'validating';

export interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

export interface GroupVersionResource {
  group: string;
  version: string;
  resource: string;
}

export interface ReviewRequest {
  uid: string;
  kind: GroupVersionKind;
  resource: GroupVersionResource;
  subResource?: string;
  requestKind: GroupVersionKind;
  requestResource: GroupVersionResource;
  requestSubResource?: string;
  name?: string;
  namespace?: string;
  operation: string;
  userInfo: { username: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
  object: KubeObject | null;
  oldObject: KubeObject | null;
  dryRun: boolean;
  options: object | null;
}

export interface ReviewResponse {
  uid?: string;
  allowed?: boolean;
  status?: Partial<Status>;
  /** Base64. */
  patch?: string;
  patchType?: string;
  warnings?: string[];
  auditAnnotations?: Record<string, string>;
}
