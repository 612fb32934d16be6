/**
 * What a pod costs without an orchestrator: one shell that mounts the overlay, makes the namespaces, sets up a veth pair by the
 * same batches of `ip` and runs the same bundle with a runtime's `run`. The bundle is that of a pod that runs here.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface BareOptions {
  /** Where bundles and mounts are made. */
  folder: string;
  /** config.json of a pod's container. */
  template: string;
  /** Read-only layers of its image. */
  layers: string[];
  /** The machine's network namespace: the bridge kontiki0 is in it. */
  netnsFile: string;
  /** First three numbers of the range, and the first last number that no pod has. */
  prefix: string;
  firstFree: number;
}

interface Spec {
  root: { path: string };
  linux: { cgroupsPath: string; namespaces: { type: string; path?: string }[] };
}

const script = `set -e
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$DIR/upper,workdir=$DIR/work" "$DIR/root"
unshare --net="$DIR/net" --ipc="$DIR/ipc" --uts="$DIR/uts" hostname "$ID"
ip -batch - <<END
link add $DEVICE mtu 1450 type veth peer name eth0 mtu 1450 netns $DIR/net
link set $DEVICE master kontiki0 up
link set $DEVICE type bridge_slave hairpin on
END
nsenter --net="$DIR/net" ip -batch - <<END
link set lo up
address replace $ADDRESS/24 dev eth0
link set eth0 up
route replace default via $GATEWAY dev eth0
END
exec $RUNTIME --root "$ROOT" run --detach --bundle "$DIR" "$ID" < /dev/null > /dev/null 2> "$DIR/errors"
`;

export class BarePods {
  readonly #options: BareOptions;
  readonly #commands: Record<'runc' | 'crun', string>;
  #count = 0;
  #live: { id: string; runtime: 'runc' | 'crun'; dir: string; device: string; cgroup: string }[] = [];

  constructor(options: BareOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
    this.#commands = { runc: 'runc', crun: crunCommand(options.folder) };
  }

  /** Gives the address of the pod when its container has been started. */
  async run(runtime: 'runc' | 'crun'): Promise<string> {
    const { folder, template, layers, netnsFile, prefix, firstFree } = this.#options;
    const number = this.#count++;
    const id = `bare-${number}`;
    const dir = join(folder, id);
    for (const part of ['upper', 'work', 'root']) mkdirSync(join(dir, part), { recursive: true });
    for (const name of ['net', 'ipc', 'uts']) writeFileSync(join(dir, name), '');
    const spec = JSON.parse(readFileSync(template, 'utf8')) as Spec;
    spec.root.path = join(dir, 'root');
    const cgroup = `${dirname(spec.linux.cgroupsPath)}/${id}`;
    spec.linux.cgroupsPath = cgroup;
    const files: Record<string, string> = { network: 'net', ipc: 'ipc', uts: 'uts' };
    for (const space of spec.linux.namespaces) if (files[space.type]) space.path = join(dir, files[space.type]!);
    writeFileSync(join(dir, 'config.json'), JSON.stringify(spec));
    const device = `ktb${number}`;
    const address = `${prefix}.${firstFree + (number % (254 - firstFree))}`;
    this.#live.push({ id, runtime, dir, device, cgroup });
    const env = {
      ...process.env,
      ID: id,
      DIR: dir,
      DEVICE: device,
      ADDRESS: address,
      GATEWAY: `${prefix}.1`,
      LOWER: layers.toReversed().join(':'),
      RUNTIME: this.#commands[runtime],
      ROOT: join(folder, `state-${runtime}`),
    };
    const child = spawn('nsenter', [`--net=${netnsFile}`, 'sh', '-c', script], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    if (code !== 0) throw new Error(`${runtime}: ${readFileSync(join(dir, 'errors'), { encoding: 'utf8', flag: 'a+' })}`);
    return address;
  }

  /** Milliseconds of a command in a running one. */
  execMs(runtime: 'runc' | 'crun', argv: string[]): number {
    const one = this.#live.find((pod) => pod.runtime === runtime)!;
    const startedMs = performance.now();
    this.#call(runtime, 'exec', one.id, ...argv);
    return performance.now() - startedMs;
  }

  /** Takes all of them away. */
  clear(): void {
    for (const { id, runtime, dir, device } of this.#live.splice(0)) {
      this.#call(runtime, 'delete', '--force', id);
      const { netnsFile } = this.#options;
      quietly('nsenter', `--net=${netnsFile}`, 'ip', 'link', 'delete', 'dev', device);
      quietly('umount', ...['root', 'net', 'ipc', 'uts'].map((part) => join(dir, part)));
      rmSync(dir, { recursive: true });
    }
  }

  #call(runtime: 'runc' | 'crun', ...args: string[]): void {
    const root = join(this.#options.folder, `state-${runtime}`);
    quietly('sh', '-c', `exec ${this.#commands[runtime]} "$@"`, 'sh', '--root', root, ...args);
  }
}

function quietly(command: string, ...args: string[]): void {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
  } catch {
    // What was not made cannot be taken away: the cluster's own end shows what is left.
  }
}

/** crun takes a machine with both cgroup versions for one of the second; see ContainerRuntime. */
function crunCommand(folder: string): string {
  const unified = '/sys/fs/cgroup/unified';
  if (!readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${unified} `)) return 'crun';
  const file = join(folder, 'crun-v1');
  const inside = `umount ${unified} && exec crun "$@"`;
  writeFileSync(file, `#!/bin/sh\nexec unshare --mount --propagation slave sh -c '${inside}' crun "$@"\n`, { mode: 0o700 });
  return file;
}
