/**
 * Cluster IPs and node ports are unique because each one in use is a key of its own, put and removed in the same
 * transaction as the Service that owns it. Two peers that choose the same address at once: one transaction fails its
 * condition and chooses again.
 */
import ipaddr from 'ipaddr.js';
import type { Random } from '../lib/random.ts';
import type { KindDefinition } from '../machinery/kind.ts';
import { type FieldError, failure, internalError, invalid } from '../machinery/status.ts';
import type { KubeObject, Service } from '../machinery/types.ts';
import type { Condition, Operation, StoreReader } from '../store/types.ts';
import { ApiError } from './errors.ts';

type ServiceSpec = NonNullable<Service['spec']>;
type ServicePort = NonNullable<ServiceSpec['ports']>[number];

/** How many addresses are tried before the range counts as full. */
const probesMax = 65_536;

export function isServiceKind(kind: KindDefinition): boolean {
  return kind.group === '' && kind.plural === 'services';
}

export class ServiceClaims {
  readonly #store: StoreReader;
  readonly #random: Random;
  readonly #first: number;
  readonly #size: number;
  readonly #cidr: string;
  readonly #ports: { from: number; to: number };

  /** ApiError 'BadCidr' unless `serviceCidr` is IPv4 with a prefix of 12 to 28 bits. */
  constructor(options: {
    store: StoreReader;
    random: Random;
    serviceCidr: string;
    nodePortRange: { from: number; to: number };
  }) {
    this.#store = options.store;
    this.#random = options.random;
    this.#ports = options.nodePortRange;
    this.#cidr = options.serviceCidr;
    if (!ipaddr.IPv4.isValidCIDR(options.serviceCidr)) throw badCidr(options.serviceCidr);
    const [, bits] = ipaddr.IPv4.parseCIDR(options.serviceCidr);
    if (bits < 12 || bits > 28) throw badCidr(options.serviceCidr);
    this.#first = toNumber(ipaddr.IPv4.networkAddressFromCIDR(options.serviceCidr).toString());
    this.#size = 2 ** (32 - bits);
  }

  /** The address of the `kubernetes` Service. */
  get apiAddress(): string {
    return toAddress(this.#first + 1);
  }

  /**
   * Gives `next` its addresses and ports, in place, and the claims to write with it. StatusError 422 when a wanted one is
   * taken or out of range. Tolerates specs that validation will refuse.
   */
  claim(next: KubeObject, previous: KubeObject | undefined): { conditions: Condition[]; operations: Operation[] } {
    const service = next as Service;
    const before = previous ? claimKeys(previous as Service) : new Set<string>();
    if (service.spec) {
      inherit(service.spec, (previous as Service | undefined)?.spec);
      const errors: FieldError[] = [];
      this.#claimAddress(service, before, errors);
      this.#claimPorts(service.spec, before, errors);
      if (errors.length > 0) throw invalid('', 'Service', service.metadata.name, errors);
    }
    return changes(before, claimKeys(service), service.metadata);
  }

  /** Operations that free all that `service` holds. */
  release(service: KubeObject): Operation[] {
    return [...claimKeys(service as Service)].map((key) => ({ type: 'delete', key }));
  }

  #claimAddress(service: Service, before: ReadonlySet<string>, errors: FieldError[]): void {
    const spec = service.spec as ServiceSpec;
    if (spec.type === 'ExternalName') {
      for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) delete spec[field];
      return;
    }
    spec.clusterIP ||= spec.clusterIPs?.[0] ?? '';
    const isApi = service.metadata.namespace === 'default' && service.metadata.name === 'kubernetes';
    if (spec.clusterIP === '') spec.clusterIP = isApi ? this.apiAddress : this.#freeAddress();
    else if (spec.clusterIP !== 'None') this.#checkAddress(spec.clusterIP, before, errors);
    spec.clusterIPs = [spec.clusterIP];
    spec.ipFamilies = ['IPv4'];
    spec.ipFamilyPolicy ||= 'SingleStack';
  }

  #checkAddress(address: string, before: ReadonlySet<string>, errors: FieldError[]): void {
    const key = addressKey(address);
    if (before.has(key)) return;
    const error = (why: string): FieldError => ({
      type: 'Invalid',
      field: 'spec.clusterIPs',
      value: [address],
      detail: `failed to allocate IP ${address}: ${why}`,
    });
    const offset = ipaddr.IPv4.isValidFourPartDecimal(address) ? toNumber(address) - this.#first : -1;
    if (offset < 1 || offset > this.#size - 2) {
      errors.push(error(`the provided IP is not in the valid range ${this.#cidr}`));
    } else if (this.#store.get(key)) errors.push(error('provided IP is already allocated'));
  }

  /** A free address, by preference from the upper part: the lower one is left to people who choose their own. */
  #freeAddress(): string {
    const lower = Math.min(Math.max(16, this.#size / 16), 256);
    const upper = this.#size - 1 - lower;
    return (
      this.#probe(lower, upper) ?? this.#probe(2, Math.min(lower, this.#size - 1) - 2) ?? rangeFull('service IPs', this.#cidr)
    );
  }

  #probe(from: number, count: number): string | undefined {
    if (count <= 0) return undefined;
    const start = this.#random.int(count);
    for (let i = 0; i < Math.min(count, probesMax); i++) {
      const address = toAddress(this.#first + from + ((start + i) % count));
      if (!this.#store.get(addressKey(address))) return address;
    }
    return undefined;
  }

  #claimPorts(spec: ServiceSpec, before: ReadonlySet<string>, errors: FieldError[]): void {
    if (!usesNodePorts(spec)) return;
    const { from, to } = this.#ports;
    const taken = new Set<string>();
    (spec.ports ?? []).forEach((port, index) => {
      if (!port.nodePort) return;
      const key = portKey(port);
      const error = (detail: string) =>
        errors.push({ type: 'Invalid', field: `spec.ports[${index}].nodePort`, value: port.nodePort, detail });
      if (before.has(key)) taken.add(key);
      else if (port.nodePort < from || port.nodePort > to) {
        error(`provided port is not in the valid range. The range of valid ports is ${from}-${to}`);
      } else if (taken.has(key) || this.#store.get(key)) error('provided port is already allocated');
      taken.add(key);
    });
    for (const port of spec.ports ?? []) {
      if (!port.nodePort) port.nodePort = this.#freePort(port, taken);
      taken.add(portKey(port));
    }
  }

  #freePort(port: ServicePort, taken: ReadonlySet<string>): number {
    const { from, to } = this.#ports;
    const count = to - from + 1;
    const start = this.#random.int(count);
    for (let i = 0; i < count; i++) {
      const nodePort = from + ((start + i) % count);
      const key = portKey({ ...port, nodePort });
      if (!taken.has(key) && !this.#store.get(key)) return nodePort;
    }
    return rangeFull('node ports', `${from}-${to}`);
  }
}

/** What an update leaves out keeps its value; what the type no longer has goes. */
function inherit(next: ServiceSpec, previous: ServiceSpec | undefined): void {
  if (previous && next.type !== 'ExternalName' && previous.type !== 'ExternalName') {
    if (!next.clusterIP && !next.clusterIPs?.length) next.clusterIP = previous.clusterIP;
  }
  if (!usesNodePorts(next)) {
    const old = previous && usesNodePorts(previous) ? previous : undefined;
    for (const port of next.ports ?? []) {
      if (old?.ports?.some(({ nodePort }) => nodePort === port.nodePort)) delete port.nodePort;
    }
    return;
  }
  for (const port of next.ports ?? []) {
    if (port.nodePort) continue;
    const same = previous?.ports?.find((old) => old.port === port.port && protocolOf(old) === protocolOf(port));
    const reused = next.ports?.some(({ nodePort }) => nodePort !== undefined && nodePort === same?.nodePort);
    if (same?.nodePort && !reused) port.nodePort = same.nodePort;
  }
}

function usesNodePorts(spec: ServiceSpec): boolean {
  return spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
}

function protocolOf(port: ServicePort): string {
  return port.protocol || 'TCP';
}

const addressKey = (address: string) => `/claims/clusterip/${address}`;
const portKey = (port: ServicePort) => `/claims/nodeport/${protocolOf(port)}/${port.nodePort}`;

function claimKeys({ spec }: Service): Set<string> {
  const keys = new Set<string>();
  if (!spec) return keys;
  if (spec.type !== 'ExternalName' && spec.clusterIP && spec.clusterIP !== 'None') keys.add(addressKey(spec.clusterIP));
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') {
    for (const port of spec.ports ?? []) if (port.nodePort) keys.add(portKey(port));
  }
  return keys;
}

function changes(
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
  owner: { namespace?: string; name: string },
): { conditions: Condition[]; operations: Operation[] } {
  const added = [...after].filter((key) => !before.has(key));
  const dropped = [...before].filter((key) => !after.has(key));
  const value = Buffer.from(JSON.stringify({ namespace: owner.namespace, name: owner.name }));
  return {
    conditions: added.map((key) => ({ key, modRevision: 0 })),
    operations: [
      ...added.map((key): Operation => ({ type: 'put', key, value })),
      ...dropped.map((key): Operation => ({ type: 'delete', key })),
    ],
  };
}

function toNumber(address: string): number {
  return ipaddr.IPv4.parse(address).octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

function badCidr(cidr: string): ApiError {
  return new ApiError('BadCidr', `the service range must be IPv4 with a prefix of 12 to 28 bits: ${cidr}`, { cidr });
}

function rangeFull(what: string, range: string): never {
  throw failure(500, 'InternalError', internalError(`all ${what} of ${range} are in use`).message);
}
