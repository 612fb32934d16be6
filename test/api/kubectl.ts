/** Runs stock kubectl against a listening API, with a home of its own. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { ListeningApi } from './listening.ts';

const runTimeoutMs = 60_000;

/** Every kubectl of this machine that names its version, oldest first; else the one on the path. Throws when there is none. */
export function kubectls(): string[] {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'kubectl'));
  const found = onPath.find((file) => existsSync(file));
  if (!found) throw new Error('these tests need the stock kubectl on PATH');
  const folder = dirname(realpathSync(found));
  const versions = readdirSync(folder).filter((name) => /^kubectl\.1\.\d+$/.test(name));
  return versions.length > 0 ? versions.sort().map((name) => join(folder, name)) : [found];
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export async function kubectlHome(it: ListeningApi) {
  const home = await mkdtemp(join(tmpdir(), 'kontiki-kubectl-'));
  const config = join(home, 'config');
  const data = (pem: string) => Buffer.from(pem).toString('base64');
  await writeFile(
    config,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
      clusters: [
        {
          name: 'test',
          cluster: { server: `https://127.0.0.1:${it.port}`, 'certificate-authority-data': data(it.authority.ca) },
        },
      ],
      users: [
        {
          name: 'admin',
          user: { 'client-certificate-data': data(it.admin.cert), 'client-key-data': data(it.admin.key) },
        },
      ],
    }),
    { mode: 0o600 },
  );
  const run = (kubectl: string, args: string[], stdin = '', killed?: AbortSignal): Promise<Ran> =>
    new Promise((resolve) => {
      const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: config };
      const child = execFile(kubectl, args, { env, timeout: runTimeoutMs, signal: killed }, (error, out, err) => {
        resolve({ code: error ? Number(error.code) || 1 : 0, out, err });
      });
      child.stdin?.on('error', () => {});
      child.stdin?.end(stdin);
    });
  const authorityFile = join(home, 'ca.crt');
  await writeFile(authorityFile, it.authority.ca);
  const server = ['--kubeconfig=/dev/null', `--server=https://127.0.0.1:${it.port}`, `--certificate-authority=${authorityFile}`];
  /** With a token and nothing else. */
  const runAs = (kubectl: string, token: string, args: string[], stdin?: string) =>
    run(kubectl, [...server, `--token=${token}`, ...args], stdin);
  return { run, runAs, close: () => rm(home, { recursive: true, force: true }) };
}
