/** IP addresses, ranges of them, and URLs. */
import ipaddr from 'ipaddr.js';
import { evaluationError } from '../errors.ts';
import { type Overload, overload } from '../functions.ts';
import { CelList } from '../lists.ts';
import { ValueMap } from '../maps.ts';
import { CelOpaque } from '../values.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

const textOf = (address: Address) => (address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString());

export class CelIp extends CelOpaque {
  readonly typeName = 'net.IP';
  readonly address: Address;

  constructor(address: Address) {
    super();
    this.address = address;
  }

  get form(): string {
    return textOf(this.address);
  }

  get bytes(): number[] {
    return this.address.toByteArray();
  }
}

export class CelCidr extends CelOpaque {
  readonly typeName = 'net.CIDR';
  readonly ip: CelIp;
  readonly bits: number;

  constructor(ip: CelIp, bits: number) {
    super();
    this.ip = ip;
    this.bits = bits;
  }

  get form(): string {
    return `${this.ip.form}/${this.bits}`;
  }

  masked(): CelCidr {
    const bytes = this.ip.bytes.map((byte, index) => byte & maskByte(this.bits - 8 * index));
    return new CelCidr(new CelIp(ipaddr.fromByteArray(bytes) as Address), this.bits);
  }

  contains(ip: CelIp): boolean {
    const [mine, theirs] = [this.ip.bytes, ip.bytes];
    if (mine.length !== theirs.length) return false;
    return mine.every((byte, index) => ((byte ^ (theirs[index] as number)) & maskByte(this.bits - 8 * index)) === 0);
  }
}

const maskByte = (bits: number) => (bits >= 8 ? 255 : bits <= 0 ? 0 : (255 << (8 - bits)) & 255);

const decimalByte = '(?:0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])';
const ipv4 = new RegExp(`^${decimalByte}(?:\\.${decimalByte}){3}$`);

/** The address, or what is wrong with the text. No zones, and no IPv4 addresses in the form of IPv6. */
function parseAddress(text: string): CelIp | string {
  if (ipv4.test(text)) return new CelIp(ipaddr.IPv4.parse(text));
  if (text.includes('%')) return `IP address "${text}" with zone value is not allowed`;
  if (text.length > 45 || !text.includes(':') || !ipaddr.IPv6.isValid(text)) {
    return `IP Address "${text}" parse error during conversion from string: ParseAddr("${text}"): unable to parse IP`;
  }
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? `IPv4-mapped IPv6 address "${text}" is not allowed` : new CelIp(address);
}

function parseCidr(text: string): CelCidr | string {
  const wrong = `network address parse error during conversion from string: netip.ParsePrefix("${text}"): `;
  const slash = text.lastIndexOf('/');
  if (slash < 0) return `${wrong}no '/'`;
  const ip = parseAddress(text.slice(0, slash));
  if (typeof ip === 'string')
    return ip.startsWith('IPv4-mapped') ? ip : `${wrong}ParseAddr("${text.slice(0, slash)}"): unable to parse IP`;
  const bits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(bits)) return `${wrong}bad bits after slash: "${bits}"`;
  if (Number(bits) > ip.bytes.length * 8) return `${wrong}prefix length out of range`;
  return new CelCidr(ip, Number(bits));
}

function orThrow<T>(parsed: T | string): T {
  if (typeof parsed === 'string') throw evaluationError(parsed);
  return parsed;
}

const kind = (ip: CelIp, v4: (bytes: number[]) => boolean, v6: (bytes: number[]) => boolean) =>
  ip.bytes.length === 4 ? v4(ip.bytes) : v6(ip.bytes);
const all = (bytes: number[], value: number) => bytes.every((byte) => byte === value);

const unspecified = (ip: CelIp) => all(ip.bytes, 0);
const loopback = (ip: CelIp) =>
  kind(
    ip,
    ([a]) => a === 127,
    (bytes) => all(bytes.slice(0, 15), 0) && bytes[15] === 1,
  );
const multicast = (ip: CelIp) =>
  kind(
    ip,
    ([a = 0]) => a >= 224 && a < 240,
    ([a]) => a === 255,
  );
const linkLocalMulticast = (ip: CelIp) =>
  kind(
    ip,
    ([a, b, c]) => a === 224 && b === 0 && c === 0,
    ([a, b = 0]) => a === 255 && (b & 15) === 2,
  );
const linkLocalUnicast = (ip: CelIp) =>
  kind(
    ip,
    ([a, b]) => a === 169 && b === 254,
    ([a, b = 0]) => a === 254 && (b & 192) === 128,
  );
const broadcast = (ip: CelIp) => ip.bytes.length === 4 && all(ip.bytes, 255);
const globalUnicast = (ip: CelIp) =>
  !unspecified(ip) && !loopback(ip) && !multicast(ip) && !linkLocalUnicast(ip) && !broadcast(ip);

const addresses: readonly Overload[] = [
  overload('string_to_ip', 'ip(string): IP', (text: string) => orThrow(parseAddress(text))),
  overload('is_ip', 'isIP(string): bool', (text: string) => parseAddress(text) instanceof CelIp),
  overload('ip_is_canonical', 'ip.isCanonical(string): bool', (text: string) => orThrow(parseAddress(text)).form === text),
  overload('ip_to_string', 'string(IP): string', (ip: CelIp) => ip.form),
  overload('ip_family', 'IP.family(): int', (ip: CelIp) => (ip.bytes.length === 4 ? 4n : 6n)),
  overload('ip_is_unspecified', 'IP.isUnspecified(): bool', unspecified),
  overload('ip_is_loopback', 'IP.isLoopback(): bool', loopback),
  overload('ip_is_link_local_multicast', 'IP.isLinkLocalMulticast(): bool', linkLocalMulticast),
  overload('ip_is_link_local_unicast', 'IP.isLinkLocalUnicast(): bool', linkLocalUnicast),
  overload('ip_is_global_unicast', 'IP.isGlobalUnicast(): bool', globalUnicast),
  overload('string_to_cidr', 'cidr(string): CIDR', (text: string) => orThrow(parseCidr(text))),
  overload('is_cidr', 'isCIDR(string): bool', (text: string) => parseCidr(text) instanceof CelCidr),
  overload('cidr_to_string', 'string(CIDR): string', (cidr: CelCidr) => cidr.form),
  overload('cidr_contains_ip', 'CIDR.containsIP(IP): bool', (cidr: CelCidr, ip: CelIp) => cidr.contains(ip)),
  overload('cidr_contains_ip_string', 'CIDR.containsIP(string): bool', (cidr: CelCidr, text: string) =>
    cidr.contains(orThrow(parseAddress(text))),
  ),
  overload(
    'cidr_contains_cidr',
    'CIDR.containsCIDR(CIDR): bool',
    (cidr: CelCidr, other: CelCidr) => other.bits >= cidr.bits && cidr.contains(other.ip),
  ),
  overload('cidr_contains_cidr_string', 'CIDR.containsCIDR(string): bool', (cidr: CelCidr, text: string) => {
    const other = orThrow(parseCidr(text));
    return other.bits >= cidr.bits && cidr.contains(other.ip);
  }),
  overload('cidr_ip', 'CIDR.ip(): IP', (cidr: CelCidr) => cidr.ip),
  overload('cidr_masked', 'CIDR.masked(): CIDR', (cidr: CelCidr) => cidr.masked()),
  overload('cidr_prefix_length', 'CIDR.prefixLength(): int', (cidr: CelCidr) => BigInt(cidr.bits)),
];

interface UrlParts {
  scheme: string;
  host: string;
  path: string;
  query: string;
}

export class CelUrl extends CelOpaque {
  readonly typeName = 'kubernetes.URL';
  readonly form: string;
  readonly parts: UrlParts;

  constructor(form: string, parts: UrlParts) {
    super();
    this.form = form;
    this.parts = parts;
  }
}

/** An absolute URI or an absolute path, or what is wrong with it. */
function parseUrl(text: string): CelUrl | string {
  const wrong = (why: string) => `URL parse error during conversion from string: parse ${JSON.stringify(text)}: ${why}`;
  if (text === '') return wrong('empty url');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return wrong('net/url: invalid control character in URL');
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)?.[1] ?? '';
  if (scheme === '' && !text.startsWith('/')) return wrong('invalid URI for request');
  const withoutFragment = text.split('#', 1)[0] as string;
  const rest = withoutFragment.slice(scheme === '' ? 0 : scheme.length + 1);
  const question = rest.indexOf('?');
  const before = question < 0 ? rest : rest.slice(0, question);
  const query = question < 0 ? '' : rest.slice(question + 1);
  if (scheme !== '' && !before.startsWith('/')) return wrong('invalid URI for request');
  const authority = /^\/\/([^/]*)/.exec(before);
  const host = (authority?.[1] ?? '').replace(/^.*@/, '');
  const path = authority ? before.slice(authority[0].length) : before;
  const badEscape = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(path + host)?.[0];
  if (badEscape !== undefined) return wrong(`invalid URL escape ${JSON.stringify(badEscape)}`);
  const badHost = /[\s<>"\\^`{|}]/.exec(host)?.[0];
  if (badHost !== undefined) return wrong(`invalid character ${JSON.stringify(badHost)} in host name`);
  const port = /:([^:\]]*)$/.exec(host)?.[1];
  if (port !== undefined && !/^\d*$/.test(port)) return wrong(`invalid port ${JSON.stringify(`:${port}`)} after host`);
  return new CelUrl(text, { scheme: scheme.toLowerCase(), host, path, query });
}

const hostname = (host: string) => host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');

/** Characters that may not stand in a path are written as escapes. */
const escapedPath = (path: string) =>
  path.replaceAll(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]+/gu, (characters) => encodeURIComponent(characters.toWellFormed()));

function queryOf(query: string): ValueMap {
  const values = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(query)) values.set(name, [...(values.get(name) ?? []), value]);
  return ValueMap.of([...values].map(([name, list]) => [name, CelList.of(list)] as const));
}

const urls: readonly Overload[] = [
  overload('string_to_url', 'url(string): URL', (text: string) => orThrow(parseUrl(text))),
  overload('is_url_string', 'isURL(string): bool', (text: string) => parseUrl(text) instanceof CelUrl),
  overload('url_get_scheme', 'URL.getScheme(): string', ({ parts }: CelUrl) => parts.scheme),
  overload('url_get_host', 'URL.getHost(): string', ({ parts }: CelUrl) => parts.host),
  overload('url_get_hostname', 'URL.getHostname(): string', ({ parts }: CelUrl) => hostname(parts.host)),
  overload('url_get_port', 'URL.getPort(): string', ({ parts }: CelUrl) => /:(\d*)$/.exec(parts.host)?.[1] ?? ''),
  overload('url_get_escaped_path', 'URL.getEscapedPath(): string', ({ parts }: CelUrl) => escapedPath(parts.path)),
  overload('url_get_query', 'URL.getQuery(): map(string, list(string))', ({ parts }: CelUrl) => queryOf(parts.query)),
];

export const urlComplaint = (text: string): string | undefined => {
  const parsed = parseUrl(text);
  return typeof parsed === 'string' ? parsed.replace('URL parse error during conversion from string: ', '') : undefined;
};

export const network: readonly Overload[] = [...addresses, ...urls];
