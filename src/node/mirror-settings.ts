/** agent.registryMirrors of the configuration: what is wrong with it, and what the agent is told. Pure. */
import type { RegistryMirrors } from '../agent/types.ts';

interface MirrorConfig {
  insecureRegistries: string[];
  registryMirrors: Record<string, string[]>;
}

const hostPattern = /^(\[[\da-fA-F:]+\]|[\da-zA-Z][\w.-]*)(:\d{1,5})?$/;
const mirrorsMax = 16;
const registriesMax = 128;
const hubNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** Every problem, with its path. */
export function mirrorProblems({ registryMirrors }: MirrorConfig): string[] {
  const problems: string[] = [];
  const registries = Object.entries(registryMirrors);
  if (registries.length > registriesMax) problems.push(`agent.registryMirrors must name at most ${registriesMax} registries`);
  for (const [registry, mirrors] of registries) {
    const path = `agent.registryMirrors.${registry}`;
    if (registry !== '*' && !hostPattern.test(registry)) {
      problems.push(`${path}: the registry must be a host such as docker.io or r.example.com:5000, or *`);
    }
    if (mirrors.length > mirrorsMax) problems.push(`${path} must have at most ${mirrorsMax} mirrors`);
    for (const [index, mirror] of mirrors.entries()) {
      if (urlOf(mirror, [])) continue;
      problems.push(`${path}[${index}] must be a host, host:port, or URL without user and query; it is "${mirror}"`);
    }
  }
  return problems;
}

/** Mirrors as URLs without a slash at the end. The configuration has no problems. */
export function mirrorSettings({ insecureRegistries, registryMirrors }: MirrorConfig): RegistryMirrors {
  const settings: Record<string, string[]> = {};
  for (const [registry, mirrors] of Object.entries(registryMirrors)) {
    const name = hubNames.has(registry) ? 'docker.io' : registry;
    const urls = mirrors.map((mirror) => urlOf(mirror, insecureRegistries)!);
    settings[name] = [...(settings[name] ?? []), ...urls];
  }
  return settings;
}

function urlOf(mirror: string, insecureRegistries: readonly string[]): string | undefined {
  const isUrl = /^https?:\/\//.test(mirror);
  if (!isUrl && mirror.includes('://')) return undefined;
  const host = mirror.split('/')[0]!;
  const url = URL.parse(isUrl ? mirror : `${insecureRegistries.includes(host) ? 'http' : 'https'}://${mirror}`);
  if (!url?.hostname || url.username || url.password || url.search || url.hash || /\s/.test(mirror)) return undefined;
  return url.href.replace(/\/+$/, '');
}
