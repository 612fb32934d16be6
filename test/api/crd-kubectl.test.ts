/** Kinds that users define, as people work with them: stock kubectl of several ages. */
import { basename } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type DefiningApi, definingApi } from './crd-support.ts';
import { kubectlHome, kubectls, type Ran } from './kubectl.ts';

type Home = Awaited<ReturnType<typeof kubectlHome>>;
const test = suite<{ it: DefiningApi; home: Home }>('kubectl and user-defined kinds');

test.before.each(async (context) => {
  context.it = await definingApi();
  context.home = await kubectlHome(context.it);
});
test.after.each(async ({ it, home }) => {
  await home.close();
  await it.close();
});

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    selectableFields: [{jsonPath: .spec.image}]
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Image, type: string, jsonPath: .spec.image, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            description: What it shall do.
            x-kubernetes-validations: [{rule: "self.replicas <= 5 || self.image == 'big'", message: too many for this image}]
            properties:
              cronSpec: {type: string, pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$'}
              image: {type: string, maxLength: 100, default: small}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
          status: {type: object, properties: {replicas: {type: integer}}}
`;
const object = (spec: object) =>
  JSON.stringify({ apiVersion: 'stable.example.com/v1', kind: 'CronTab', metadata: { name: 'my' }, spec });

function ok(ran: Ran): string {
  assert.is(ran.code, 0, `${ran.out}${ran.err}`);
  return ran.out;
}

function refused(ran: Ran): string {
  assert.is.not(ran.code, 0, ran.out);
  return ran.err;
}

for (const kubectl of kubectls().filter((path, _, all) => all.length === 1 || /1\.(27|33)$/.test(path))) {
  test(`${basename(kubectl)} defines, applies, explains, gets, scales, patches and deletes`, async ({ home }) => {
    const run = (args: string, stdin?: string) => home.run(kubectl, args.split(' '), stdin);
    ok(await run('apply -f -', definition));
    ok(await run('wait --for=condition=Established --timeout=60s crd/crontabs.stable.example.com'));
    ok(await run('apply -f -', object({ cronSpec: '* * * * */5' })));
    assert.match(ok(await run('get ct')), /^NAME +SPEC +REPLICAS +AGE\nmy +\* \* \* \* \*\/5 +1 +\d+s\n$/);
    assert.match(ok(await run('get all -o wide')), /crontab\.stable\.example\.com\/my +\S+ \* \* \* \*\/5 +1 +small/);
    assert.match(ok(await run('explain crontab.spec')), /What it shall do\.[\s\S]*replicas\s+<integer>/);
    const unknown = refused(await run('apply -f -', object({ cronSpec: '* * * * *', odd: 1 })));
    assert.match(unknown, /strict decoding error: unknown field "spec\.odd"/);
    const wrong = refused(await run('apply -f -', object({ cronSpec: 'never', replicas: 11 })));
    assert.match(wrong, /spec\.cronSpec in body should match/);
    assert.match(wrong, /spec\.replicas in body should be less than or equal to 10/);
    ok(await run('apply -f -', object({ cronSpec: '* * * * *', replicas: 4 })));
    assert.match(refused(await run('scale ct my --replicas=6')), /spec: Invalid value: "object": too many for this image/);
    ok(await run('scale ct my --replicas=3'));
    ok(await run('patch ct my --type=merge -p {"spec":{"image":"big"}}'));
    assert.match(refused(await run('patch ct my -p {"spec":{"image":"x"}}')), /strategic-merge-patch\+json is not supported/);
    ok(await run('apply --server-side --force-conflicts -f -', object({ replicas: 7, image: 'big' })));
    assert.is(ok(await run('get ct --field-selector=spec.image=big -o jsonpath={.items[*].spec.replicas}')), '7');
    assert.is(ok(await run('auth can-i create crontabs.stable.example.com')), 'yes\n');
    ok(await run('delete crd crontabs.stable.example.com --timeout=60s'));
    assert.match(
      refused(await run('get crontabs.v1.stable.example.com')),
      /the server (doesn't have a resource type|could not find)/,
    );
  });
}

test.run();
