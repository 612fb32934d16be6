/** Which pod has which address, in a file: an address must stay with its pod when the agent restarts. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from '../../lib/logger.ts';
import { AgentError } from '../errors.ts';
import { readOptional, writeReplacing } from '../host/atomic-file.ts';
import { formatAddress, nextAddress, type PodRange, parseAddress } from './address.ts';

interface State {
  podCidr: string;
  nodeIp: string;
  /** The address given out last. */
  previous: number;
  /** Pod uid → address. */
  pods: Record<string, string>;
  /** Kernel settings as they were before, to put back. */
  sysctls: Record<string, string>;
}

export class AddressBook {
  readonly #file: string;
  readonly #logger: Logger;
  #range: PodRange | undefined;
  #state: State = { podCidr: '', nodeIp: '', previous: 0, pods: {}, sysctls: {} };
  /** The write under way, and whether another must follow it. */
  #writing: Promise<void> | undefined;
  #waiting: Promise<void> | undefined;

  constructor(file: string, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
  }

  /** Reads what is there. Addresses of another range are forgotten: their pods cannot keep them. */
  async open(range: PodRange, nodeIp: string): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true });
    await this.load();
    if (this.#state.podCidr !== range.cidr) Object.assign(this.#state, { previous: 0, pods: {} });
    Object.assign(this.#state, { podCidr: range.cidr, nodeIp });
    this.#range = range;
    await this.#write();
  }

  /** Only reads; for who wants to take everything down. */
  async load(): Promise<void> {
    this.#state = (await this.#read()) ?? this.#state;
  }

  get sysctls(): Record<string, string> {
    return this.#state.sysctls;
  }

  /** Notes how a kernel setting was before the first change. */
  async rememberSysctl(path: string, value: string): Promise<void> {
    if (path in this.#state.sysctls) return;
    this.#state.sysctls[path] = value;
    await this.#write();
  }

  find(podUid: string): string | undefined {
    return this.#state.pods[podUid];
  }

  pods(): string[] {
    return Object.keys(this.#state.pods);
  }

  /** The pod's address; on disk before this resolves. AgentError 'Network' when none is free. */
  async claim(podUid: string): Promise<string> {
    const range = this.#range;
    if (!range) throw new AgentError('Network', 'the pod network is not started');
    const present = this.find(podUid);
    if (present) return present;
    const taken = new Set(Object.values(this.#state.pods).map((text) => parseAddress(text) ?? 0));
    const address = nextAddress(range, taken, this.#state.previous);
    if (address === undefined) {
      throw new AgentError('Network', `all addresses of ${range.cidr} are taken by ${taken.size} pods`, { podCidr: range.cidr });
    }
    const ip = formatAddress(address);
    this.#state.previous = address;
    this.#state.pods[podUid] = ip;
    await this.#write();
    return ip;
  }

  async release(podUid: string): Promise<void> {
    if (!(podUid in this.#state.pods)) return;
    delete this.#state.pods[podUid];
    await this.#write();
  }

  async remove(): Promise<void> {
    await this.#waiting;
    await this.#writing;
    await rm(this.#file, { force: true });
    this.#state = { podCidr: '', nodeIp: '', previous: 0, pods: {}, sysctls: {} };
    this.#range = undefined;
  }

  async #read(): Promise<State | undefined> {
    const text = await readOptional(this.#file);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as State;
    } catch (error) {
      this.#logger.error({ file: this.#file, error }, 'the address book cannot be read; pods get new addresses');
      return undefined;
    }
  }

  /** Resolves when the state as it is now is on disk. Changes during a write are gathered into the next one. */
  #write(): Promise<void> {
    if (!this.#writing) {
      this.#writing = this.#writeNow();
      return this.#writing;
    }
    this.#waiting ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#waiting = undefined;
        this.#writing = this.#writeNow();
        return this.#writing;
      });
    return this.#waiting;
  }

  #writeNow(): Promise<void> {
    return writeReplacing(this.#file, JSON.stringify(this.#state)).finally(() => {
      this.#writing = undefined;
    });
  }
}
