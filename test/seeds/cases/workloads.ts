/** ReplicaSets and Deployments of the tutorials, with the commands that they run on them. */
import * as assert from 'uvu/assert';
import { type Bench, type SeedCase, shows } from '../bench.ts';

const nginx = (more: string, replicas: number, image = 'nginx:1.7.9') => `${more}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: nginx, image: "${image}", ports: [{containerPort: 80}]}]
`;

const names = async (bench: Bench, line: string) => (await bench.ok(`get ${line} -o name`)).trim().split('\n').filter(Boolean);

const replicas: SeedCase = {
  title: 'a ReplicaSet keeps as many pods as it shall, whatever goes or comes',
  of: ['000 ReplicaSet nginx-set'],
  async run(bench) {
    const head = 'apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: nginx-set, labels: {app: nginx}}';
    await bench.apply(nginx(head, 3));
    await bench.ok('wait --for=jsonpath={.status.readyReplicas}=3 rs/nginx-set --timeout=60s');
    shows(await bench.ok('get rs nginx-set'), /^NAME +DESIRED +CURRENT +READY +AGE\nnginx-set +3 +3 +3 +\S+\n$/);
    const [first] = await names(bench, 'pods');
    await bench.ok(`delete ${first}`);
    await bench.lab.eventually('another in its place', async () => {
      const now = await names(bench, 'pods');
      return now.length === 3 && !now.includes(first as string) ? true : undefined;
    });
    // One more with the same label is one too many.
    await bench.ok('run extra --image=nginx:1.7.9 --labels=app=nginx');
    await bench.lab.eventually('three again', async () => ((await names(bench, 'pods')).length === 3 ? true : undefined));
    await bench.ok('delete rs nginx-set');
  },
};

const head = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: nginx-deployment, labels: {app: nginx}}';
const strategy = '  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}\n';
const rollout = (bench: Bench) => bench.ok('rollout status deployment.v1.apps/nginx-deployment --timeout=60s');

const rolling: SeedCase = {
  title: 'a Deployment rolls, stops at a bad image, and shows its history and goes back through it',
  of: ['002 Deployment nginx-deployment', '000 Deployment nginx-deployment', '001 Depolyment nginx-deployment'],
  because:
    'get deployments has no DESIRED and CURRENT since 1.15; --record belongs to single commands; a revision gone back to is numbered anew; ' +
    '001 writes kind Depolyment, stragegy and maxUnavaliable, which are refused; 2 pods, not 3, to be quick',
  async run(bench) {
    const misspelt = nginx('apiVersion: v1\nkind: Depolyment\nmetadata: {name: nginx-deployment}', 2);
    shows(await bench.refused(misspelt), 'no matches for kind "Depolyment" in version "v1"');
    const unknown = nginx(head, 2) + strategy.replace('strategy', 'stragegy').replace('maxUnavailable', 'maxUnavaliable');
    shows(await bench.refused(unknown), 'strict decoding error: unknown field "spec.stragegy"');

    shows(
      await bench.ok('apply --record -f -', [], { input: nginx(head, 2) + strategy }),
      'deployment.apps/nginx-deployment created',
    );
    const rolled = () => rollout(bench);
    shows(await rolled(), 'deployment "nginx-deployment" successfully rolled out');
    shows(await bench.ok('get deployments'), /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nnginx-deployment +2\/2 +2 +2 +\S+\n$/);
    const [first] = await names(bench, 'rs');
    const hash = first?.replace(/.*-/, '');
    const shown = await bench.ok('get pods --show-labels');
    shows(shown, new RegExp(`nginx-deployment-${hash}-\\w{5} +1/1 +Running .* app=nginx,pod-template-hash=${hash}\n`));

    await bench.ok('set image deployment.v1.apps/nginx-deployment nginx=nginx:1.9.1 --record=true');
    await rolled();
    assert.equal(await names(bench, 'rs').then((all) => all.length), 2);

    await bench.ok('set image deployment.v1.apps/nginx-deployment nginx=nginx:1.91 --record=true');
    await bench.lab.eventually('one new pod that waits for its image, and an old one', async () => {
      const pods = await bench.ok('get pods');
      const bad = pods.match(/0\/1 +(ErrImagePull|ImagePullBackOff)/g)?.length ?? 0;
      return bad > 0 && / 1\/1 +Running /.test(pods) ? true : undefined;
    });
    const status = await bench.ok('rollout status deployment.v1.apps/nginx-deployment --watch=false');
    shows(status, 'Waiting for deployment "nginx-deployment" rollout to finish: ');
    const described = await bench.ok('describe deployment nginx-deployment');
    shows(described, /RollingUpdateStrategy: +1 max unavailable, 1 max surge\n/);
    shows(described, /Image: +nginx:1\.91\n/);
    shows(described, /OldReplicaSets: +nginx-deployment-\w+ \(\d+\/\d+ replicas created\)/);

    const history = await bench.ok('rollout history deployment.v1.apps/nginx-deployment');
    shows(
      history,
      /^deployment\.apps\/nginx-deployment \nREVISION +CHANGE-CAUSE\n1 +kubectl.* apply .*--record=true.*\n2 .*nginx:1\.9\.1.*\n3 .*nginx:1\.91 /,
    );
    const second = await bench.ok('rollout history deployment.v1.apps/nginx-deployment --revision=2');
    shows(
      second,
      /deployment\.apps\/nginx-deployment with revision #2\nPod Template:\n +Labels:\tapp=nginx\n\tpod-template-hash=\w+\n +Annotations:\tkubernetes\.io\/change-cause: kubectl/,
    );
    shows(second, /Image:\tnginx:1\.9\.1\n +Port:\t80\/TCP\n/);

    await bench.ok('rollout undo deployment.v1.apps/nginx-deployment');
    await rolled();
    const image = () => bench.ok('get deployment nginx-deployment -o', ['jsonpath={.spec.template.spec.containers[0].image}']);
    assert.is(await image(), 'nginx:1.9.1');
    await bench.ok('rollout undo deployment.v1.apps/nginx-deployment --to-revision=1');
    assert.is(await image(), 'nginx:1.7.9');
    const revision = 'jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}';
    await bench.lab.eventually('revision 5', async () =>
      (await bench.ok('get deployment nginx-deployment -o', [revision])) === '5' ? true : undefined,
    );
    // A change before the last one is done: it does not wait for it.
    await bench.ok('annotate deployment.v1.apps/nginx-deployment --overwrite', [
      'kubernetes.io/change-cause=image updated to 1.9.1',
    ]);
    await bench.ok('set image deployment/nginx-deployment nginx=nginx:1.9.1');
    await rolled();
    shows(await bench.ok('rollout history deployment/nginx-deployment'), /\n6 +image updated to 1\.9\.1\n/);
    await bench.ok('delete deployment nginx-deployment');
  },
};

const scaling: SeedCase = {
  title: 'a Deployment scales, pauses to gather changes, and resumes with all of them at once',
  of: ['003 Deployment nginx-deployment'],
  because: '4 pods, not 10, to be quick; nothing scales by itself where nothing measures',
  async run(bench) {
    await bench.apply(nginx(head, 2));
    await rollout(bench);
    await bench.ok('scale deployment.v1.apps/nginx-deployment --replicas=4');
    await rollout(bench);
    assert.is((await names(bench, 'pods --field-selector=status.phase=Running')).length, 4);
    await bench.ok('autoscale deployment.v1.apps/nginx-deployment --min=10 --max=15 --cpu-percent=80');
    shows(await bench.ok('get hpa'), /nginx-deployment +Deployment\/nginx-deployment +cpu: <unknown>\/80% +10 +15 /);
    await bench.ok('delete hpa nginx-deployment');

    await bench.ok('scale deployment nginx-deployment --replicas=1');
    await bench.ok('rollout pause deployment.v1.apps/nginx-deployment');
    const before = await names(bench, 'rs');
    await bench.ok('set image deployment.v1.apps/nginx-deployment nginx=nginx:1.9.1');
    await bench.ok('set resources deployment.v1.apps/nginx-deployment -c=nginx --limits=cpu=200m,memory=512Mi');
    shows(await bench.ok('describe deployment nginx-deployment'), /Limits:\n +cpu: +200m\n +memory: +512Mi\n/);
    assert.equal(await names(bench, 'rs'), before);
    await bench.ok('rollout resume deployment.v1.apps/nginx-deployment');
    await rollout(bench);
    assert.is((await names(bench, 'rs')).length, before.length + 1);
    await bench.ok('delete deployment nginx-deployment');
  },
};

const initialized: SeedCase = {
  title: 'a Deployment in kube-public prepares its folder and the kernel by privileged init containers',
  of: ['001 Deployment test-init'],
  because:
    'as it stands it is no YAML (tabs), and privileged stands beside securityContext; the kernel is given the value that it has, since it is that of the machine',
  namespace: 'kube-public',
  async run(bench) {
    const step = (name: string, command: string, mounts = '') =>
      `{name: ${name}, image: busybox, imagePullPolicy: IfNotPresent, command: ${command}, securityContext: {privileged: true}${mounts}}`;
    const mount = (path: string) => `, volumeMounts: [{name: data, mountPath: ${path}}]`;
    const kernel = '["sh", "-c", "sysctl -w vm.max_map_count=$(cat /proc/sys/vm/max_map_count)"]';
    const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {labels: {app: test-init}, name: test-init, namespace: kube-public}
spec:
  replicas: 1
  selector: {matchLabels: {app: test-init}}
  template:
    metadata: {labels: {app: test-init}}
    spec:
      terminationGracePeriodSeconds: 1
      volumes: [{name: data, emptyDir: {}}]
      initContainers:
      - ${step('fix-permissions', '["sh", "-c", "chown -R 1000:1000 /usr/share/elasticsearch/data"]', mount('/usr/share/elasticsearch/data'))}
      - ${step('increase-vm-max-map', kernel)}
      containers: [{image: nginx, imagePullPolicy: IfNotPresent, name: test-init${mount('/mnt')}}]
`;
    shows(await bench.refused(manifest.replace('      volumes', '\t volumes')), 'error converting YAML to JSON: yaml: line');
    shows(
      await bench.refused(manifest.replace('securityContext: {privileged: true}', 'securityContext: , privileged: true')),
      'unknown field "spec.template.spec.initContainers[0].privileged"',
    );
    await bench.apply(manifest);
    await bench.ok('rollout status deployment/test-init --timeout=60s');
    assert.is(await bench.ok('exec deploy/test-init -c test-init -- stat -c %u:%g /mnt'), '1000:1000\n');
    shows(await bench.ok('logs deploy/test-init -c increase-vm-max-map'), /^vm\.max_map_count = \d+\n$/);
    const unprivileged = manifest.replaceAll('privileged: true', 'privileged: false').replaceAll('test-init', 'powerless');
    await bench.apply(unprivileged);
    await bench.lab.eventually('that the kernel refuses it', async () => {
      const told = await bench.kubectl('logs -l app=powerless -c increase-vm-max-map');
      return /Read-only file system|Permission denied/.test(told.stdout + told.stderr) ? true : undefined;
    });
    await bench.ok('delete deployment test-init powerless');
  },
};

const old: SeedCase = {
  title: 'a Deployment of extensions/v1beta1 is taken and runs, knows its Service by environment, and is its endpoint',
  of: ['004 Deployment frontend'],
  because: 'in the text the spec of the template stands within its metadata, which is refused',
  async run(bench) {
    const manifest = (spec: string) => `
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: frontend}
spec:
  replicas: 1
  selector:
    matchLabels: {tier: frontend}
    matchExpressions: [{key: tier, operator: In, values: [frontend]}]
  template:
    metadata:
      labels: {app: app-demo, tier: frontend}
${spec}spec:
${spec}  terminationGracePeriodSeconds: 1
${spec}  volumes: [{name: datavol, emptyDir: {}}]
${spec}  containers:
${spec}  - name: tomcat-demo
${spec}    image: tomcat
${spec}    imagePullPolicy: IfNotPresent
${spec}    ports: [{containerPort: 8080}]
${spec}    volumeMounts: [{mountPath: /mydata-data, name: datavol}]
`;
    await bench.ok('create -f -', [], {
      input: `
apiVersion: v1
kind: Service
metadata: {name: tomcat-service}
spec:
  ports: [{port: 8080, name: service-port}, {port: 8005, name: shutdown-port}]
  selector: {tier: frontend}
`,
    });
    shows(await bench.refused(manifest('      ')), 'unknown field "spec.template.metadata.spec"');
    const outcome = await bench.kubectl('create -f -', [], { input: manifest('    ') });
    assert.is(outcome.code, 0, outcome.stderr);
    shows(outcome.stderr, 'Warning: extensions/v1beta1 Deployment is deprecated');
    await bench.ok('rollout status deployment/frontend --timeout=60s');
    shows(await bench.ok('get deployments'), /frontend +1\/1 +1 +1 /);
    shows(await bench.ok('get rs'), /^NAME +DESIRED +CURRENT +READY +AGE\nfrontend-\w+ +1 +1 +1 /);
    const page = 'touch /mydata-data/a; wget -q -O - http://localhost:8080/';
    assert.is(await bench.ok('exec deploy/frontend -- sh -c', [page]), 'Apache Tomcat');
    const address = await bench.ok('get svc tomcat-service -o', ['jsonpath={.spec.clusterIP}']);
    const link = (port: number) => {
      const name = `TOMCAT_SERVICE_PORT_${port}_TCP`;
      return [`${name}=tcp://${address}:${port}`, `${name}_ADDR=${address}`, `${name}_PORT=${port}`, `${name}_PROTO=tcp`];
    };
    const environment = await bench.ok('exec deploy/frontend -- sh -c', ['env | grep ^TOMCAT_ | sort']);
    const wanted = [
      `TOMCAT_SERVICE_PORT=tcp://${address}:8080`,
      ...link(8005),
      ...link(8080),
      `TOMCAT_SERVICE_SERVICE_HOST=${address}`,
      'TOMCAT_SERVICE_SERVICE_PORT=8080',
      'TOMCAT_SERVICE_SERVICE_PORT_SERVICE_PORT=8080',
      'TOMCAT_SERVICE_SERVICE_PORT_SHUTDOWN_PORT=8005',
    ];
    assert.equal(environment.trim().split('\n').sort(), wanted.sort());
    await bench.lab.eventually('the endpoint', async () =>
      /tomcat-service +(10\.42\.\d+\.\d+:80(80|05),?){2} /.test(await bench.ok('get endpoints')) ? true : undefined,
    );
    await bench.ok('delete deployment frontend');
  },
};

export const workloadCases = [rolling, scaling, replicas, initialized, old];
