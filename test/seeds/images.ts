/**
 * The images of the tutorials, made of Debian's programs under the same names. What a tutorial shows of an image is all that it does:
 * tomcat answers on 8080, geektime/sample holds a file to copy.
 */
import { busyboxImage, type ImageArchive, nginxImage, programFiles } from '../../scripts/image-archive.ts';

const links = (...names: string[]) => Object.fromEntries(names.map((name) => [`bin/${name}`, 'busybox']));
const more = links('chown', 'cp', 'sysctl', 'base64', 'uname', 'sort', 'netstat');

export function seedImages(): ImageArchive[] {
  const busybox = busyboxImage('busybox:latest', { aliases: ['k8s.gcr.io/busybox:latest', 'debian:latest'] });
  const nginx = nginxImage('nginx:latest', 'welcome');
  const config = (nginx.files['etc/nginx/nginx.conf'] as { text: string }).text.replace('/dev/stderr', '/dev/stderr notice');
  return [
    { ...busybox, links: { ...busybox.links, ...more } },
    {
      ...nginx,
      aliases: ['nginx:1.7.9', 'nginx:1.9.1'],
      links: { ...nginx.links, ...more },
      files: { ...nginx.files, ...programFiles('/bin/bash'), 'etc/nginx/nginx.conf': { text: config } },
    },
    busyboxImage('tomcat:latest', {
      files: { 'www/index.html': { text: 'Apache Tomcat' } },
      cmd: ['httpd', '-f', '-p', '8080', '-h', '/www'],
    }),
    busyboxImage('geektime/sample:v2', {
      files: { 'sample.war': { text: 'war' } },
      links: { ...busybox.links, 'bin/cp': 'busybox' },
    }),
    // What the four combinations of command and args stand against.
    busyboxImage('seeds/entry:1', { entrypoint: ['echo', 'entrypoint'], cmd: ['cmd'] }),
  ];
}
