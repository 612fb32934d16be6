/** Paths, methods and names that make no sense, and users who may not. */
import { at, type BadInput, configMap, get, patch, post, put, remove } from './case.ts';

const alice = { 'impersonate-user': 'alice' };

export const paths: BadInput[] = [
  [
    'an unknown group',
    get('/apis/none.example/v1/things'),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
  ['an unknown version', get('/api/v7/pods'), [404, 'NotFound', 'the server could not find the requested resource']],
  [
    'an unknown resource',
    get('/api/v1/namespaces/default/konfigs'),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
  [
    'a resource in the singular',
    get('/api/v1/namespaces/default/configmap'),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
  [
    'a resource in capitals',
    get('/api/v1/namespaces/default/ConfigMaps'),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
  [
    'an unknown subresource',
    get(`${at.configMaps}/here/status`),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
  [
    'a status of what has none',
    put(`${at.configMaps}/here/status`, configMap('here')),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
  [
    'a scale of what has none',
    get(`${at.configMaps}/here/scale`),
    [404, 'NotFound', 'the server could not find the requested resource'],
  ],
  ['an object that is not there', get(`${at.configMaps}/nothing`), [404, 'NotFound', 'configmaps "nothing" not found']],
  [
    'an object of a group that is not there',
    get(`${at.deployments}/nothing`),
    [404, 'NotFound', 'deployments.apps "nothing" not found'],
  ],
  ['a namespace that is not there', get('/api/v1/namespaces/nowhere'), [404, 'NotFound', 'namespaces "nowhere" not found']],
  [
    'creating into a namespace that is not there',
    post('/api/v1/namespaces/nowhere/configmaps', configMap('a')),
    [404, 'NotFound', 'namespaces "nowhere" not found'],
  ],
  [
    'creating into a namespace that ends',
    post('/api/v1/namespaces/ending/configmaps', configMap('a')),
    [
      403,
      'Forbidden',
      'configmaps "a" is forbidden: unable to create new content in namespace ending because it is being terminated',
      ['metadata.namespace NamespaceTerminating'],
    ],
  ],
  [
    'creating without a namespace',
    post('/api/v1/configmaps', configMap('a')),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'replacing a collection',
    put(at.configMaps, configMap('a')),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'patching a collection',
    patch(at.configMaps, 'merge', {}),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'creating by name',
    post(`${at.configMaps}/a`, configMap('a')),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'a method that means nothing',
    { method: 'PROPFIND', path: at.configMaps },
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'deleting all namespaces at once',
    remove(at.namespaces),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'deleting without a namespace',
    remove('/api/v1/configmaps'),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'posting to a fixed path',
    post('/version', {}),
    [405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource'],
  ],
  [
    'another namespace in the body',
    post(at.configMaps, { metadata: { name: 'a', namespace: 'kube-system' } }),
    [400, 'BadRequest', 'the namespace of the provided object does not match the namespace sent on the request'],
  ],
  [
    'another name in the body',
    put(`${at.configMaps}/here`, configMap('there')),
    [400, 'BadRequest', 'the name of the object (there) does not match the name on the URL (here)'],
  ],
  [
    'another name in a patch',
    patch(`${at.configMaps}/here`, 'merge', { metadata: { name: 'there' } }),
    [400, 'BadRequest', 'the name of the object (there) does not match the name on the URL (here)'],
  ],
  ['what is there already', post(at.configMaps, configMap('here')), [409, 'AlreadyExists', 'configmaps "here" already exists']],
  [
    'what is there already, in a group',
    post('/apis/apps/v1/namespaces/default/deployments', {
      metadata: { name: 'web' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'b' }] } },
      },
    }),
    [409, 'AlreadyExists', 'deployments.apps "web" already exists'],
  ],
  [
    'replacing what is not there',
    put(`${at.configMaps}/nothing`, configMap('nothing')),
    [404, 'NotFound', 'configmaps "nothing" not found'],
  ],
  [
    'patching what is not there',
    patch(`${at.configMaps}/nothing`, 'merge', {}),
    [404, 'NotFound', 'configmaps "nothing" not found'],
  ],
  ['deleting what is not there', remove(`${at.configMaps}/nothing`), [404, 'NotFound', 'configmaps "nothing" not found']],
  [
    'an old version of the object',
    put(`${at.configMaps}/here`, { metadata: { name: 'here', resourceVersion: '1' } }),
    [
      409,
      'Conflict',
      'Operation cannot be fulfilled on configmaps "here": the object has been modified; please apply your changes to the latest version and try again',
    ],
  ],
  [
    'another uid',
    put(`${at.configMaps}/here`, { metadata: { name: 'here', uid: '00000000-0000-4000-8000-000000000000' } }),
    [
      409,
      'Conflict',
      'Operation cannot be fulfilled on configmaps "here": Precondition failed: UID in precondition: 00000000-0000-4000-8000-000000000000, UID in object meta: <uid>',
    ],
  ],
  [
    'an answer as HTML',
    get(at.configMaps, { accept: 'text/html' }),
    [
      406,
      'NotAcceptable',
      'only the following media types are accepted: application/json, application/yaml, and application/json;as=Table or as=PartialObjectMetadata of meta.k8s.io/v1',
    ],
  ],
  [
    'an answer as another view',
    get(at.configMaps, { accept: 'application/json;as=Chart;v=v1;g=meta.k8s.io' }),
    [
      406,
      'NotAcceptable',
      'only the following media types are accepted: application/json, application/yaml, and application/json;as=Table or as=PartialObjectMetadata of meta.k8s.io/v1',
    ],
  ],
  [
    'a user who may not read',
    get(at.configMaps, alice),
    [
      403,
      'Forbidden',
      'configmaps is forbidden: User "alice" cannot list resource "configmaps" in API group "" in the namespace "default"',
    ],
  ],
  [
    'a user who may not read one',
    get(`${at.secrets}/sec`, alice),
    [
      403,
      'Forbidden',
      'secrets "sec" is forbidden: User "alice" cannot get resource "secrets" in API group "" in the namespace "default"',
    ],
  ],
  [
    'a user who may not create',
    { ...post(at.configMaps, configMap('a')), headers: { 'content-type': 'application/json', ...alice } },
    [
      403,
      'Forbidden',
      'configmaps is forbidden: User "alice" cannot create resource "configmaps" in API group "" in the namespace "default"',
    ],
  ],
  [
    'a user who may not read nodes',
    get(at.nodes, alice),
    [403, 'Forbidden', 'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope'],
  ],
  [
    'a user who may not scale',
    get(`${at.deployments}/web/scale`, alice),
    [
      403,
      'Forbidden',
      'deployments.apps "web" is forbidden: User "alice" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"',
    ],
  ],
  [
    'a user who may not see the metrics',
    get('/metrics', alice),
    [403, 'Forbidden', 'forbidden: User "alice" cannot get path "/metrics"'],
  ],
];
