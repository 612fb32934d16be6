/** A Docker archive of one image made of the machine's static busybox: what `docker save` would write. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const programs = [
  'sh',
  'sleep',
  'cat',
  'echo',
  'ls',
  'id',
  'env',
  'true',
  'false',
  'hostname',
  'nc',
  'httpd',
  'wget',
  'head',
  'yes',
  'tty',
  'stat',
  'touch',
  'mount',
  'kill',
  'dd',
  'test',
  'pwd',
  'readlink',
  'trap',
  'stty',
  'grep',
  'sed',
  'date',
  'mkdir',
  'rm',
  'ln',
  'tail',
  'wc',
];

/** Writes the archive into `folder` and gives its path. The image is `reference`. */
export function busyboxArchive(folder: string, reference: string): string {
  const root = join(folder, 'root');
  for (const dir of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'var', 'home']) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin', 'busybox'));
  for (const program of programs) symlinkSync('busybox', join(root, 'bin', program));
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\nweb:x:101:102:web:/home:/bin/sh\n');
  writeFileSync(join(root, 'etc', 'group'), 'root:x:0:\nweb:x:102:\nlog:x:103:web\n');
  const image = join(folder, 'image');
  mkdirSync(image);
  execFileSync('tar', ['-C', root, '-cf', join(image, 'layer.tar'), '.']);
  const diffId = createHash('sha256')
    .update(readFileSync(join(image, 'layer.tar')))
    .digest('hex');
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: ['sh', '-c', 'echo default command'], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
    history: [{ created_by: 'test' }],
  });
  const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
  writeFileSync(join(image, configName), config);
  writeFileSync(
    join(image, 'manifest.json'),
    JSON.stringify([{ Config: configName, RepoTags: [reference], Layers: ['layer.tar'] }]),
  );
  const archive = join(folder, 'busybox.tar');
  execFileSync('tar', ['-C', image, '-cf', archive, 'manifest.json', configName, 'layer.tar']);
  return archive;
}
