/**
 * System call filters: profiles in the form that container engines share (conditions on capabilities and processors) become
 * the plain form of the runtime. RuntimeDefault is the profile of the machine's containers-common package, Localhost a file of
 * the folder `seccomp` in the agent's data folder.
 *
 * A filter costs a container's start by its processors: one is cheap, each further one not. So of a profile's
 * sub-architectures only the 32-bit one is kept, and only where this kernel runs such programs at all.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { errorCode, errorMessage } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';

export const defaultProfileFile = '/usr/share/containers/seccomp.json';

/** As in `linux.seccomp` of config.json. */
export interface OciSeccomp {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures: string[];
  syscalls: { names: string[]; action: string; errnoRet?: number; args?: OciSeccompArg[] }[];
}

export interface OciSeccompArg {
  index: number;
  value: number;
  valueTwo?: number;
  op: string;
}

export interface Condition {
  caps?: string[];
  arches?: string[];
  minKernel?: string;
}

export interface SeccompProfile {
  defaultAction?: string;
  defaultErrnoRet?: number;
  architectures?: string[];
  archMap?: { architecture: string; subArchitectures?: string[] }[];
  syscalls?: {
    name?: string;
    names?: string[];
    action: string;
    errnoRet?: number;
    args?: OciSeccompArg[] | null;
    includes?: Condition;
    excludes?: Condition;
  }[];
}

export interface SeccompTarget {
  /** `CAP_…` that the container may hold. */
  capabilities: ReadonlySet<string>;
  /** The kernel runs 32-bit programs. */
  compat: boolean;
}

const architecture = 'SCMP_ARCH_X86_64';
const compatArchitecture = 'SCMP_ARCH_X86';
const arch = 'amd64';

/** Pure. AgentError 'ContainerConfig' when the profile is none. */
export function translateProfile(profile: SeccompProfile, target: SeccompTarget): OciSeccomp {
  const { defaultAction, defaultErrnoRet, syscalls = [] } = profile;
  if (typeof defaultAction !== 'string' || !Array.isArray(syscalls)) throw invalid('it has no defaultAction or no syscalls');
  const named = [
    ...(profile.architectures ?? []),
    ...(profile.archMap?.find((entry) => entry.architecture === architecture)?.subArchitectures ?? []),
  ];
  const rules = syscalls.filter(({ includes, excludes }) => applies(includes, true, target) && applies(excludes, false, target));
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    architectures: [architecture, ...(target.compat && named.includes(compatArchitecture) ? [compatArchitecture] : [])],
    syscalls: rules.map(({ name, names, action, errnoRet, args }) => ({
      names: names ?? (name ? [name] : []),
      action,
      ...(errnoRet === undefined ? {} : { errnoRet }),
      ...(args?.length ? { args } : {}),
    })),
  };
}

/** Included when every condition holds; excluded when any does. */
function applies(condition: Condition | undefined, include: boolean, { capabilities }: SeccompTarget): boolean {
  const { caps = [], arches = [], minKernel } = condition ?? {};
  // Older kernels than a profile names are older than this agent can run on.
  if (include) return caps.every((name) => capabilities.has(name)) && (arches.length === 0 || arches.includes(arch));
  return !caps.some((name) => capabilities.has(name)) && !arches.includes(arch) && minKernel === undefined;
}

function invalid(why: string, cause?: unknown): AgentError {
  return new AgentError('ContainerConfig', `seccomp profile: ${why}`, {}, cause);
}

export interface WantedProfile {
  type?: string;
  localhostProfile?: string;
}

export interface SeccompOptions {
  /** Folder of the Localhost profiles. */
  folder: string;
  defaultFile?: string;
  /** False when the kernel has no filters. */
  supported?: boolean;
  compat?: boolean;
}

/** The profiles of this machine. What is read of RuntimeDefault is kept: every container needs it. */
export class SeccompProfiles {
  readonly #options: Required<SeccompOptions>;
  #default: Promise<SeccompProfile> | undefined;

  constructor(options: SeccompOptions) {
    this.#options = {
      defaultFile: defaultProfileFile,
      supported: existsSync('/proc/sys/kernel/seccomp/actions_avail'),
      compat: existsSync('/proc/sys/abi/vsyscall32'),
      ...options,
    };
  }

  /**
   * The filter of a container that may hold `capabilities`; undefined: none. A container that names no profile gets
   * RuntimeDefault. AgentError 'ContainerConfig' when the one it gets cannot be had.
   */
  async filter(wanted: WantedProfile | undefined, capabilities: ReadonlySet<string>): Promise<OciSeccomp | undefined> {
    const { supported, compat, folder, defaultFile } = this.#options;
    const type = wanted?.type ?? 'RuntimeDefault';
    if (type === 'Unconfined') return undefined;
    if (!supported) throw invalid('this kernel has no system call filters; only Unconfined can be had');
    if (type === 'Localhost') {
      const name = wanted?.localhostProfile ?? '';
      const inside = normalize(name);
      if (!name || isAbsolute(name) || inside.startsWith('..'))
        throw invalid(`"${name}" is not a path below the folder of profiles`);
      return translateProfile(await readProfile(join(folder, inside)), { capabilities, compat });
    }
    if (type !== 'RuntimeDefault') throw invalid(`unknown type "${type}"`);
    this.#default ??= readProfile(defaultFile).catch((error: unknown) => {
      // The package may be installed later.
      this.#default = undefined;
      throw error;
    });
    return translateProfile(await this.#default, { capabilities, compat });
  }
}

async function readProfile(file: string): Promise<SeccompProfile> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as SeccompProfile;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw invalid(`${file} is not there`, error);
    throw invalid(`${file}: ${errorMessage(error)}`, error);
  }
}
