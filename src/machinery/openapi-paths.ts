/** The paths of one kind as OpenAPI v3: what can be done where, with which parameters and bodies. */
import type { KindDefinition, KindVersion, Verb } from './kind.ts';
import { type Components, type GroupVersionKind, reference } from './openapi-schemas.ts';
import { schema } from './schemas.ts';

type Json = Record<string, unknown>;

const metaPatch = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch';
const objectTypes = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const allVerbs: Verb[] = ['create', 'get', 'list', 'watch', 'update', 'patch', 'delete', 'deletecollection'];

function query(name: string, type: 'string' | 'integer' | 'boolean', description: string): Json {
  return { name, in: 'query', description, schema: { type, uniqueItems: true } };
}
function segment(name: string, description: string): Json {
  return { name, in: 'path', required: true, description, schema: { type: 'string', uniqueItems: true } };
}

const pretty = query('pretty', 'string', 'Print the answer with indentation when "true".');
const namespaceSegment = segment('namespace', 'The namespace of the objects.');
const nameSegment = segment('name', 'The name of the object.');
const dryRun = query('dryRun', 'string', 'With "All" everything is checked and nothing is stored.');
const writeParameters = [
  dryRun,
  query('fieldManager', 'string', 'The name of the program or person that makes this change, at most 128 printable characters.'),
  query(
    'fieldValidation',
    'string',
    'What to do with unknown and duplicate fields: "Ignore", "Warn" (the default) or "Strict" (refuse).',
  ),
];
const listParameters = [
  query('allowWatchBookmarks', 'boolean', 'Send bookmarks, which only carry a resource version, among the events of a watch.'),
  query('continue', 'string', 'The token of the previous page of a list.'),
  query('fieldSelector', 'string', 'Restricts the list to objects with these fields.'),
  query('labelSelector', 'string', 'Restricts the list to objects with these labels.'),
  query('limit', 'integer', 'The greatest number of objects in one page.'),
  query('resourceVersion', 'string', 'How recent the answer must be.'),
  query('resourceVersionMatch', 'string', 'How resourceVersion is meant: "Exact" or "NotOlderThan".'),
  query('sendInitialEvents', 'boolean', 'Begin a watch with the objects that exist.'),
  query('timeoutSeconds', 'integer', 'How long the call may take.'),
  query('watch', 'boolean', 'Send changes as they happen instead of a list.'),
];
const deleteParameters = [
  dryRun,
  query('gracePeriodSeconds', 'integer', 'Seconds until the object is removed.'),
  query('propagationPolicy', 'string', 'What becomes of dependents: "Orphan", "Background" or "Foreground".'),
];

/** What all operations on one kind at one version need. */
interface Context {
  components: Components;
  gvk: GroupVersionKind;
  /** For operation ids: `AppsV1`. */
  prefix: string;
  kind: KindDefinition;
  version: KindVersion;
}

function content(body: Json, types = objectTypes): Json {
  return Object.fromEntries(types.map((type) => [type, { schema: body }]));
}

interface OperationRules {
  /** As the extension x-kubernetes-action says it. */
  action: 'get' | 'list' | 'post' | 'put' | 'patch' | 'delete' | 'deletecollection' | 'connect';
  id: string;
  parameters?: Json[];
  requestBody?: Json;
  /** Of a good answer. */
  answer: Json;
  gvk: GroupVersionKind;
}

function operation({ action, id, parameters = [], requestBody, answer, gvk }: OperationRules): Json {
  const created = action === 'post' ? { '201': { description: 'Created', content: content(answer) } } : {};
  return {
    operationId: id,
    parameters,
    ...(requestBody ? { requestBody } : {}),
    responses: { '200': { description: 'OK', content: content(answer) }, ...created, '401': { description: 'Unauthorized' } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  };
}

/** The strategic form needs our schemas, so it is listed for built-in kinds only. */
function patchBody({ components, version }: Context): Json {
  components.add(metaPatch, { type: 'object', description: 'The body of a patch; its form depends on the content type.' });
  const types = ['application/json-patch+json', 'application/merge-patch+json'];
  if (schema(version.schema)) types.push('application/strategic-merge-patch+json');
  return { content: content(reference(metaPatch), types) };
}

function collection(context: Context, scope: string): Json {
  const { components, gvk, prefix, kind, version } = context;
  const verbs = new Set(kind.verbs ?? allVerbs);
  const name = `${prefix}${scope}${kind.kind}`;
  const item: Json = {};
  if (verbs.has('list')) {
    const answer = components.use(`${version.schema}List`);
    item.get = operation({ action: 'list', id: `list${name}`, parameters: listParameters, answer, gvk });
  }
  if (verbs.has('create')) {
    const answer = components.use(version.schema);
    const requestBody = { content: content(answer), required: true };
    item.post = operation({ action: 'post', id: `create${name}`, parameters: writeParameters, requestBody, answer, gvk });
  }
  if (verbs.has('deletecollection')) {
    const requestBody = { content: content(components.use('meta.v1.DeleteOptions')) };
    const answer = components.use('meta.v1.Status');
    const parameters = [...listParameters, ...deleteParameters];
    item.delete = operation({ action: 'deletecollection', id: `deleteCollection${name}`, parameters, requestBody, answer, gvk });
  }
  return item;
}

/** Reading and changing one object, or one side of it (`status`, `scale`). */
function changes(context: Context, id: string, answer: Json, gvk: GroupVersionKind): Json {
  const verbs = new Set(context.kind.verbs ?? allVerbs);
  const item: Json = {};
  if (verbs.has('get')) item.get = operation({ action: 'get', id: `read${id}`, answer, gvk });
  const parameters = writeParameters;
  if (verbs.has('update')) {
    const requestBody = { content: content(answer), required: true };
    item.put = operation({ action: 'put', id: `replace${id}`, parameters, requestBody, answer, gvk });
  }
  if (verbs.has('patch')) {
    item.patch = operation({ action: 'patch', id: `patch${id}`, parameters, requestBody: patchBody(context), answer, gvk });
  }
  return item;
}

function single(context: Context, scope: string): Json {
  const { components, gvk, prefix, kind, version } = context;
  const id = `${prefix}${scope}${kind.kind}`;
  const item = changes(context, id, components.use(version.schema), gvk);
  if ((kind.verbs ?? allVerbs).includes('delete')) {
    const requestBody = { content: content(components.use('meta.v1.DeleteOptions')) };
    const answer = components.use('meta.v1.Status');
    item.delete = operation({ action: 'delete', id: `delete${id}`, parameters: deleteParameters, requestBody, answer, gvk });
  }
  return item;
}

/** Subresources whose body is a kind of its own. */
const bodies: Record<string, { schema: string; gvk: GroupVersionKind }> = {
  binding: { schema: 'core.v1.Binding', gvk: { group: '', version: 'v1', kind: 'Binding' } },
  eviction: { schema: 'policy.v1.Eviction', gvk: { group: 'policy', version: 'v1', kind: 'Eviction' } },
  token: {
    schema: 'authentication.v1.TokenRequest',
    gvk: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
  },
};

function subresource(context: Context, scope: string, name: string): Json {
  const { components, gvk, prefix, kind, version } = context;
  const id = `${prefix}${scope}${kind.kind}${name[0]!.toUpperCase()}${name.slice(1)}`;
  const body = bodies[name];
  if (body) {
    const answer = components.use(body.schema);
    const requestBody = { content: content(answer), required: true };
    return {
      post: operation({ action: 'post', id: `create${id}`, parameters: writeParameters, requestBody, answer, gvk: body.gvk }),
    };
  }
  if (name === 'finalize') {
    const answer = components.use(version.schema);
    const requestBody = { content: content(answer), required: true };
    return { put: operation({ action: 'put', id: `replace${id}`, parameters: writeParameters, requestBody, answer, gvk }) };
  }
  const text = { type: 'string' };
  if (name === 'log') return { get: operation({ action: 'get', id: `read${id}`, answer: text, gvk }) };
  return {
    get: operation({ action: 'connect', id: `connectGet${id}`, answer: text, gvk }),
    post: operation({ action: 'connect', id: `connectPost${id}`, answer: text, gvk }),
  };
}

/** `/apis/apps/v1/namespaces/{namespace}/deployments` and what belongs to it. */
export function kindPaths(context: Context): Record<string, Json> {
  const { components, gvk, kind } = context;
  const root = gvk.group === '' ? `/api/${gvk.version}` : `/apis/${gvk.group}/${gvk.version}`;
  const scope = kind.namespaced ? 'Namespaced' : '';
  const base = kind.namespaced ? `${root}/namespaces/{namespace}/${kind.plural}` : `${root}/${kind.plural}`;
  const shared = kind.namespaced ? [namespaceSegment, pretty] : [pretty];
  const paths: Record<string, Json> = { [base]: { ...collection(context, scope), parameters: shared } };
  if (kind.namespaced && (kind.verbs ?? allVerbs).includes('list')) {
    const { get } = collection(context, 'AllNamespaces');
    paths[`${root}/${kind.plural}`] = { get, parameters: [pretty] };
  }
  const one = `${base}/{name}`;
  const parameters = [nameSegment, ...shared];
  paths[one] = { ...single(context, scope), parameters };
  const id = `${context.prefix}${scope}${kind.kind}`;
  if (kind.hasStatus) {
    paths[`${one}/status`] = { ...changes(context, `${id}Status`, components.use(context.version.schema), gvk), parameters };
  }
  if (kind.scale) {
    const scale = { group: 'autoscaling', version: 'v1', kind: 'Scale' };
    paths[`${one}/scale`] = { ...changes(context, `${id}Scale`, components.use('autoscaling.v1.Scale'), scale), parameters };
  }
  for (const name of kind.statusSubresources ?? []) {
    const of = `${id}${name[0]!.toUpperCase()}${name.slice(1)}`;
    paths[`${one}/${name}`] = { ...changes(context, of, components.use(context.version.schema), gvk), parameters };
  }
  for (const name of kind.subresources ?? []) {
    if (name === 'status' || name === 'scale') continue;
    paths[`${one}/${name}`] = { ...subresource(context, scope, name), parameters };
  }
  return paths;
}
