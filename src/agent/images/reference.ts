/**
 * Image names as users write them, in the grammar of the distribution project: [domain/]path[:tag][@digest]. A name
 * without domain is on Docker Hub, one there without a slash is in `library`, one without tag and digest means `latest`.
 */
import { AgentError } from '../errors.ts';

export interface Reference {
  /** host[:port], for example docker.io. */
  domain: string;
  /** For example library/nginx. */
  path: string;
  tag: string | undefined;
  /** sha256:<64 hex digits>. */
  digest: string | undefined;
}

const defaultDomain = 'docker.io';
const nameLengthMax = 255;
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domainPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^sha256:[a-f0-9]{64}$/;

/** AgentError 'InvalidImageName' with the words a kubelet puts into the pod's status. */
export function parseReference(text: string): Reference {
  const refuse = (why: string) =>
    new AgentError('InvalidImageName', `couldn't parse image name ${JSON.stringify(text)}: ${why}`, { name: text });
  const invalid = () => refuse('invalid reference format');

  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !digestPattern.test(digest)) throw invalid();
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) throw invalid();
  const name = hasTag ? named.slice(0, colon) : named;

  if (/^[a-f0-9]{64}$/.test(name)) {
    throw refuse(`invalid repository name (${name}), cannot specify 64-byte hexadecimal strings`);
  }
  const { domain, path } = splitDomain(name);
  if (path !== path.toLowerCase()) throw refuse(`invalid reference format: repository name (${path}) must be lowercase`);
  if (!domainPattern.test(domain) || !pathPattern.test(path)) throw invalid();
  if (domain.length + 1 + path.length > nameLengthMax) {
    throw refuse(`repository name must not be more than ${nameLengthMax} characters`);
  }
  return { domain, path, tag: tag ?? (digest === undefined ? 'latest' : undefined), digest };
}

/** The first part is a host only when it looks like one. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, slash);
  const isHost = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const domain = !isHost || first === 'index.docker.io' ? defaultDomain : first;
  const path = isHost ? name.slice(slash + 1) : name;
  return { domain, path: domain === defaultDomain && !path.includes('/') ? `library/${path}` : path };
}

/** docker.io/library/nginx */
export function repositoryName({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/** The whole normalized name. With a digest the tag says nothing more and is left out. */
export function formatReference(reference: Reference): string {
  const { tag, digest } = reference;
  return digest ? `${repositoryName(reference)}@${digest}` : `${repositoryName(reference)}:${tag}`;
}

/** The id when `text` is one: sha256:<hex>, or the bare 64 digits. */
export function imageIdOf(text: string): string | undefined {
  if (digestPattern.test(text)) return text;
  return /^[a-f0-9]{64}$/.test(text) ? `sha256:${text}` : undefined;
}
