/** Mutating- and ValidatingWebhookConfiguration: servers that are asked about writes. */
import type { KindDefinition, KindVersion } from '../../machinery/kind.ts';
import type { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '../../machinery/kind-types.ts';
import { validateLabelSelector, validateMetadata } from '../../machinery/metadata.ts';
import { isDns1123Subdomain } from '../../machinery/names.ts';
import type { FieldError } from '../../machinery/status.ts';
import type { KubeObject, LabelSelector } from '../../machinery/types.ts';
import { validateMatchConditions, validateOperations } from './admission-rules.ts';
import { ageColumn, integerColumn, nameColumn } from './columns.ts';
import { checkOneOf, duplicate, invalidValue, invalidWhen, required } from './field-errors.ts';
import { oldVersion } from './old-versions.ts';

type Mutating = NonNullable<MutatingWebhookConfiguration['webhooks']>[number];
type Validating = NonNullable<ValidatingWebhookConfiguration['webhooks']>[number];
type Webhook = Validating & Pick<Mutating, 'reinvocationPolicy'>;
type Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;

const group = 'admissionregistration.k8s.io';
const reviewVersions = ['v1', 'v1beta1'];
const timeoutSecondsMax = 30;

/** `plural` is part of the paths of both. */
const shared = {
  group,
  categories: ['api-extensions'],
  namespaced: false,
  hasStatus: false,
  generationFields: ['webhooks'],
  validate: validateConfiguration,
  columns: [
    nameColumn,
    integerColumn(
      'Webhooks',
      (configuration: Configuration) => configuration.webhooks?.length ?? 0,
      'The number of servers that are asked.',
    ),
    ageColumn,
  ],
};

export const mutatingWebhookConfigurationKind: KindDefinition<MutatingWebhookConfiguration> = {
  ...shared,
  kind: 'MutatingWebhookConfiguration',
  plural: 'mutatingwebhookconfigurations',
  singular: 'mutatingwebhookconfiguration',
  versions: versionsOf('MutatingWebhookConfiguration'),
  setDefaults({ webhooks = [] }) {
    for (const webhook of webhooks) {
      setWebhookDefaults(webhook);
      webhook.reinvocationPolicy ||= 'Never';
    }
  },
};

export const validatingWebhookConfigurationKind: KindDefinition<ValidatingWebhookConfiguration> = {
  ...shared,
  kind: 'ValidatingWebhookConfiguration',
  plural: 'validatingwebhookconfigurations',
  singular: 'validatingwebhookconfiguration',
  versions: versionsOf('ValidatingWebhookConfiguration'),
  setDefaults({ webhooks = [] }) {
    for (const webhook of webhooks) setWebhookDefaults(webhook);
  },
};

function versionsOf(kind: string): [KindVersion, KindVersion] {
  return [
    { name: 'v1', schema: `admissionregistration.v1.${kind}` },
    oldVersion(group, {
      name: 'v1beta1',
      schema: `admissionregistration.v1beta1.${kind}`,
      releases: ['1.16', '1.22'],
      use: `${group}/v1 ${kind}`,
      toStorage: fromFirst,
    }),
  ];
}

/** What the first version filled in by itself and v1 asks for, or fills in otherwise. */
function fromFirst(object: KubeObject): KubeObject {
  for (const webhook of (object as { webhooks?: Partial<Webhook>[] }).webhooks ?? []) {
    webhook.failurePolicy ||= 'Ignore';
    webhook.matchPolicy ||= 'Exact';
    webhook.sideEffects ||= 'Unknown';
    webhook.timeoutSeconds ??= timeoutSecondsMax;
    if (!webhook.admissionReviewVersions?.length) webhook.admissionReviewVersions = ['v1beta1'];
  }
  return object;
}

function setWebhookDefaults(webhook: Validating): void {
  webhook.failurePolicy ||= 'Fail';
  webhook.matchPolicy ||= 'Equivalent';
  webhook.timeoutSeconds ??= 10;
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  for (const rule of webhook.rules ?? []) rule.scope ||= '*';
  if (webhook.clientConfig?.service) webhook.clientConfig.service.port ??= 443;
}

function validateConfiguration({ metadata, webhooks = [] }: Configuration): FieldError[] {
  const errors = validateMetadata(metadata, { namespaced: false, nameCheck: isDns1123Subdomain });
  const names = new Set<string>();
  for (const [index, webhook] of (webhooks as Webhook[]).entries()) {
    const path = `webhooks[${index}]`;
    errors.push(...validateWebhook(webhook, path));
    if (names.has(webhook.name)) errors.push(duplicate(`${path}.name`, webhook.name));
    names.add(webhook.name);
  }
  return errors;
}

function validateWebhook(webhook: Webhook, path: string): FieldError[] {
  const { name, admissionReviewVersions: versions = [], timeoutSeconds, sideEffects } = webhook;
  const errors = validateHookName(name, `${path}.name`);
  errors.push(...(webhook.rules ?? []).flatMap((rule, index) => validateOperations(rule, `${path}.rules[${index}]`)));
  if (versions.length === 0) {
    errors.push(required(`${path}.admissionReviewVersions`, `must specify one of ${reviewVersions.join(', ')}`));
  } else if (!versions.some((version) => reviewVersions.includes(version))) {
    const detail = `must include at least one of ${reviewVersions.join(', ')}`;
    errors.push(invalidValue(`${path}.admissionReviewVersions`, versions, detail));
  }
  errors.push(
    ...checkOneOf(`${path}.failurePolicy`, webhook.failurePolicy, ['Fail', 'Ignore']),
    ...checkOneOf(`${path}.matchPolicy`, webhook.matchPolicy, ['Equivalent', 'Exact']),
    ...validateSideEffects(sideEffects, `${path}.sideEffects`, versions),
  );
  if (timeoutSeconds != null && (timeoutSeconds < 1 || timeoutSeconds > timeoutSecondsMax)) {
    const detail = `the timeout value must be between 1 and ${timeoutSecondsMax} seconds`;
    errors.push(invalidValue(`${path}.timeoutSeconds`, timeoutSeconds, detail));
  }
  if (webhook.reinvocationPolicy) {
    errors.push(...checkOneOf(`${path}.reinvocationPolicy`, webhook.reinvocationPolicy, ['IfNeeded', 'Never']));
  }
  return [
    ...errors,
    ...validateLabelSelector(webhook.namespaceSelector as LabelSelector, `${path}.namespaceSelector`),
    ...validateLabelSelector(webhook.objectSelector as LabelSelector, `${path}.objectSelector`),
    ...validateMatchConditions(webhook.matchConditions, `${path}.matchConditions`),
    ...validateClient(webhook.clientConfig, `${path}.clientConfig`),
  ];
}

function validateHookName(name: string | undefined, path: string): FieldError[] {
  if (!name) return [required(path)];
  const errors = invalidWhen(path, name, isDns1123Subdomain);
  if (errors.length > 0 || name.split('.').length >= 3) return errors;
  return [invalidValue(path, name, 'should be a domain with at least three segments separated by dots')];
}

/** What has effects that nobody can tell cannot take part in a dry run; only the first version allowed that. */
function validateSideEffects(value: string | undefined, path: string, versions: string[]): FieldError[] {
  if (!value) return [required(path, 'must specify one of None, NoneOnDryRun')];
  const allowed = versions.includes('v1') ? ['None', 'NoneOnDryRun'] : ['None', 'NoneOnDryRun', 'Some', 'Unknown'];
  return checkOneOf(path, value, allowed);
}

export function validateClient(client: Webhook['clientConfig'] | undefined, path: string): FieldError[] {
  const { url, service } = client ?? {};
  if ((url == null) === (service == null)) return [required(path, 'exactly one of url or service is required')];
  if (service) {
    const errors = service.name ? [] : [required(`${path}.service.name`, 'service name is required')];
    if (!service.namespace) errors.push(required(`${path}.service.namespace`, 'service namespace is required'));
    if (service.path && !service.path.startsWith('/')) {
      errors.push(invalidValue(`${path}.service.path`, service.path, "must start with a '/'"));
    }
    return errors;
  }
  const parsed = URL.canParse(url ?? '') ? new URL(url ?? '') : undefined;
  if (parsed?.protocol === 'https:') return [];
  return [invalidValue(`${path}.url`, url, "'https' is the only allowed URL scheme; desired format: https://host[/path]")];
}
