/** Builds small container images from programs of this machine, as Docker archives: for the demo and for tests. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface ImageArchive {
  /** For example `demo:1`. */
  reference: string;
  /** Further names of the same image. */
  aliases?: string[];
  /** Path in the image → text, or the path of a file of this machine. Executable when it comes from this machine. */
  files: Record<string, { text: string } | { from: string }>;
  /** Path in the image → target. */
  links?: Record<string, string>;
  entrypoint?: string[];
  cmd?: string[];
  env?: string[];
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Writes the archive to `file`. */
export function writeImageArchive(file: string, image: ImageArchive): void {
  const staging = mkdtempSync(join(tmpdir(), 'kontiki-image-'));
  try {
    const root = join(staging, 'root');
    for (const folder of ['bin', 'etc', 'tmp', 'var', 'proc', 'sys', 'dev']) mkdirSync(join(root, folder), { recursive: true });
    chmodSync(join(root, 'tmp'), 0o1777);
    for (const [path, content] of Object.entries(image.files)) {
      const target = join(root, path);
      mkdirSync(dirname(target), { recursive: true });
      if ('text' in content) writeFileSync(target, content.text);
      else {
        copyFileSync(content.from, target);
        chmodSync(target, 0o755);
      }
    }
    for (const [path, target] of Object.entries(image.links ?? {})) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      symlinkSync(target, join(root, path));
    }
    tar(join(staging, 'layer.tar'), root, ['.']);
    const config = Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        config: {
          Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...(image.env ?? [])],
          Entrypoint: image.entrypoint ?? null,
          Cmd: image.cmd ?? null,
        },
        rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(readFileSync(join(staging, 'layer.tar')))}`] },
      }),
    );
    const configName = `${sha256(config)}.json`;
    writeFileSync(join(staging, configName), config);
    const manifest = [{ Config: configName, RepoTags: [image.reference, ...(image.aliases ?? [])], Layers: ['layer.tar'] }];
    writeFileSync(join(staging, 'manifest.json'), JSON.stringify(manifest));
    tar(file, staging, ['manifest.json', configName, 'layer.tar']);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function tar(file: string, folder: string, names: string[]): void {
  const repeatable = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  execFileSync('tar', [...repeatable, '-C', folder, '-cf', file, ...names]);
}

const applets = [
  'sh',
  'cat',
  'ls',
  'echo',
  'sleep',
  'env',
  'id',
  'ps',
  'kill',
  'grep',
  'wc',
  'wget',
  'nc',
  'ping',
  'httpd',
  'hostname',
  'date',
  'head',
  'tail',
  'stat',
  'test',
  'true',
  'false',
  'mount',
  'nslookup',
  'ip',
  'tee',
  'touch',
  'mkdir',
  'rm',
  'seq',
  'dd',
  'tr',
  'sed',
  'vi',
  'free',
  'nproc',
  'md5sum',
  'readlink',
  'printf',
];

/** Debian's busybox-static with its usual commands. */
export function busyboxImage(reference: string, extra: Partial<ImageArchive> = {}): ImageArchive {
  return {
    reference,
    links: Object.fromEntries(applets.map((name) => [`bin/${name}`, 'busybox'])),
    cmd: ['sh'],
    ...extra,
    files: {
      'bin/busybox': { from: '/bin/busybox' },
      'etc/passwd': { text: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' },
      'etc/group': { text: 'root:x:0:\nnogroup:x:65534:\n' },
      ...extra.files,
    },
  };
}

/** A program of this machine, with the libraries that it needs, at the same places in an image. */
export function programFiles(program: string): Record<string, { from: string }> {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string);
  return Object.fromEntries([program, ...libraries].map((file) => [file.slice(1), { from: file }]));
}

/** Debian's nginx-light with the libraries it needs; `page` is what it serves. */
export function nginxImage(reference: string, page: string): ImageArchive {
  const config = `user root; worker_processes 1; pid /tmp/nginx.pid; error_log /dev/stderr;
events { worker_connections 64; }
http { access_log /dev/stdout; server { listen 80; location / { root /usr/share/nginx/html; } } }
`;
  return busyboxImage(reference, {
    files: {
      ...programFiles('/usr/sbin/nginx'),
      'etc/nginx/nginx.conf': { text: config },
      'usr/share/nginx/html/index.html': { text: page },
      'var/log/nginx/.keep': { text: '' },
      'var/lib/nginx/.keep': { text: '' },
    },
    cmd: ['nginx', '-g', 'daemon off;'],
  });
}
