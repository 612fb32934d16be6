/**
 * A machine whose kernel has version 2 of cgroups and nothing else: Debian's cloud kernel under qemu, without a disk or a network.
 * Its only file system comes in memory: the agent bundled into one file, Node.js, runc, conmon and what they call.
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';

/** The kernel's package unpacked, by scripts/test-cgroup2.sh. */
const kernelFolder = '/var/cache/kontiki-emulator';

const programs = [
  ...['runc', 'conmon', 'tar', 'du', 'rm', 'cat', 'tee', 'sync', 'find', 'hostname', 'ip'],
  ...['mount', 'umount', 'unshare', 'nsenter'],
];

/**
 * The first process: containers need a root that is a mount of its own, which the kernel's first file system is not. What is in
 * memory already is not copied: a bind mount of it becomes the root.
 */
const firstInit = `#!/bin/busybox sh
/bin/busybox mount --bind /machine /machine
cd /machine
/bin/busybox mount --move . /
exec /bin/busybox chroot . /init
`;

const init = `#!/bin/busybox sh
export KONTIKI_TEST_UNTIL_MS=300000 PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin HOME=/ NO_COLOR=1
/bin/busybox --install -s /usr/local/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /tmp
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --make-rshared /
insmod /overlay.ko
ip link set lo up
hostname emulated
cd /kontiki
echo "booted after $(cut -d ' ' -f 1 /proc/uptime) s"
node --disable-warning=ExperimentalWarning guest.js 2>&1
echo "guest ended with $?"
poweroff -f
`;

function kernelFiles(): { image: string; overlay: string } | undefined {
  const [image] = globSync(join(kernelFolder, 'boot/vmlinuz-*'));
  const [overlay] = globSync(join(kernelFolder, 'lib/modules/*/kernel/fs/overlayfs/overlay.ko'));
  return image && overlay ? { image, overlay } : undefined;
}

/**
 * Boots a machine made in `folder`, runs the bundle of `entry` in it, and gives each line of its console to `onLine`. Ends with the
 * machine; rejects when it could not be started, or was killed by the signal.
 */
export async function runInMachine(
  entry: string,
  folder: string,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  const kernel = kernelFiles();
  if (!kernel) throw new Error(`there is no kernel in ${kernelFolder}: npm run test:cgroup2 brings it`);
  const root = join(folder, 'initramfs', 'machine');
  mkdirSync(root, { recursive: true });
  await bundle(entry, join(root, 'kontiki'));
  furnish(root, kernel.overlay);
  const image = join(folder, 'initramfs.cpio');
  pack(dirname(root), image);
  const machineOptions = '-M pc -accel tcg,thread=multi -cpu max,la57=off -smp 2 -m 1536 -display none -serial stdio -no-reboot';
  const options = [...machineOptions.split(' '), '-nic', 'none'];
  const boot = [
    '-kernel',
    kernel.image,
    '-initrd',
    image,
    '-append',
    'console=ttyS0 loglevel=3 panic=-1 cgroup_no_v1=all mitigations=off',
  ];
  const machine = spawn('qemu-system-x86_64', [...options, ...boot], { stdio: ['ignore', 'pipe', 'inherit'], signal });
  createInterface({ input: machine.stdout }).on('line', onLine);
  await new Promise<void>((resolve, reject) => {
    machine.once('error', reject);
    machine.once('close', () => resolve());
  });
}

async function bundle(entry: string, folder: string): Promise<void> {
  await build({
    entryPoints: { guest: entry, executor: 'src/agent/host/executor-process.ts', unpack: 'src/agent/images/unpack-process.ts' },
    outdir: folder,
    bundle: true,
    splitting: true,
    chunkNames: 'chunk-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'error',
    external: ['@lydell/node-pty', 'osx-temperature-sensor'],
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
    },
  });
  for (const name of ['node-pty', 'node-pty-linux-x64']) {
    cpSync(realpathSync(`node_modules/@lydell/${name}`), join(folder, 'node_modules/@lydell', name), { recursive: true });
  }
  copyFileSync('dist/schemas.json', join(folder, 'schemas.json'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
}

function furnish(root: string, overlay: string): void {
  for (const folder of ['proc', 'sys', 'dev', 'tmp', 'etc', 'bin', 'usr/local/bin', 'run'])
    mkdirSync(join(root, folder), { recursive: true });
  const libraries = new Set<string>();
  const needs = (file: string) => {
    const text = execFileSync('ldd', [file], { encoding: 'utf8' });
    for (const [library] of text.matchAll(/\/\S+\.so\S*/g)) libraries.add(library);
  };
  const add = (program: string, at: string) => {
    mkdirSync(join(root, dirname(at)), { recursive: true });
    copyFileSync(program, join(root, at));
    needs(program);
  };
  for (const program of programs) {
    const path = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', program], { encoding: 'utf8' }).trim();
    add(realpathSync(path), `/usr/bin/${program}`);
  }
  add(process.execPath, '/usr/bin/node');
  for (const module of globSync(join(root, 'kontiki/node_modules/@lydell/*/*.node'))) needs(module);
  for (const library of libraries) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  symlinkSync('busybox', join(root, 'bin/sh'));
  copyFileSync(overlay, join(root, 'overlay.ko'));
  mkdirSync(join(root, 'usr/share/containers'), { recursive: true });
  copyFileSync('/usr/share/containers/seccomp.json', join(root, 'usr/share/containers/seccomp.json'));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
  writeFileSync(join(root, 'etc/resolv.conf'), readFileSync('/etc/resolv.conf'));
  writeFileSync(join(root, 'etc/os-release'), 'PRETTY_NAME="Emulated"\n');
  executable(join(root, 'init'), init);
}

function pack(folder: string, image: string): void {
  mkdirSync(join(folder, 'bin'));
  copyFileSync('/bin/busybox', join(folder, 'bin/busybox'));
  executable(join(folder, 'init'), firstInit);
  execFileSync('sh', ['-c', 'find . | busybox cpio -o -H newc > "$1"', 'sh', image], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'ignore'],
  });
}

function executable(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}
