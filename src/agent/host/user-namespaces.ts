/**
 * User namespaces and mounts that show a file's owner as a namespace has it (user_namespaces(7), mount_setattr(2)). No tool of
 * Debian 12 makes either of what we need, so a few lines of perl (always installed there) make the system calls.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../../lib/errors.ts';
import { AgentError } from '../errors.ts';
import type { Executor } from '../types.ts';

/** User and group ids of one namespace: 0 up to this number inside. */
export const idsPerNamespace = 65_536;

/** A namespace by the file it is bound to, and the id outside that is 0 inside. */
export interface IdMapping {
  namespace: string;
  firstId: number;
}

export interface NewNamespaces {
  /** Files that exist, to which the new namespaces are bound. The others belong to the user namespace. */
  files: { user: string } & Partial<Record<'net' | 'ipc' | 'uts', string>>;
  firstId: number;
  /** Of the new UTS namespace. */
  hostname?: string;
}

/** The processors whose numbers of the older system calls we know; the newer ones are the same everywhere. */
const oldCalls = {
  x64: { mount: 165, sethostname: 170, unshare: 272 },
  arm64: { mount: 40, sethostname: 161, unshare: 97 },
}[process.arch as string];

const cloneFlags = { user: 0x1000_0000, net: 0x4000_0000, ipc: 0x0800_0000, uts: 0x0400_0000 };

/**
 * Arguments: numbers of unshare, mount and sethostname, the flags, the first id, how many ids, the host name or '', then pairs
 * KIND FILE. The child makes the namespaces, its parent (whose ids count on the machine) says which ids they have.
 */
const makeProgram = `
use strict;
my ($unshare, $mount, $sethostname, $flags, $first, $count, $name, @files) = @ARGV;
pipe(my $told, my $tell) && pipe(my $heard, my $say) or die "pipe: $!\\n";
my $child = fork() // die "fork: $!\\n";
if (!$child) {
  close($told); close($say);
  syscall($unshare + 0, $flags + 0) == 0 or die "unshare: $!\\n";
  syswrite($tell, "1");
  sysread($heard, my $go, 1) or exit 1;
  if ($name ne "") { syscall($sethostname + 0, $name, length($name)) == 0 or die "sethostname: $!\\n"; }
  syswrite($tell, "2");
  sysread($heard, $go, 1);
  exit 0;
}
close($tell); close($heard);
sysread($told, my $ready, 1) or exit 1;
for my $kind ("uid", "gid") {
  open(my $map, ">", "/proc/$child/\${kind}_map") or die "\${kind}_map: $!\\n";
  syswrite($map, "0 $first $count\\n") or die "\${kind}_map: $!\\n";
  close($map);
}
syswrite($say, "1");
sysread($told, $ready, 1) or exit 1;
while (my ($kind, $file) = splice(@files, 0, 2)) {
  my ($source, $none) = ("/proc/$child/ns/$kind", "");
  syscall($mount + 0, $source, $file, $none, 4096, 0) == 0 or die "mount $file: $!\\n";
}
close($say);
waitpid($child, 0);
`;

/** Arguments: the namespace's file, the flags of open_tree, then pairs SOURCE TARGET. */
const mapProgram = `
use strict;
my ($namespace, $flags, @pairs) = @ARGV;
open(my $user, "<", $namespace) or die "$namespace: $!\\n";
my $here = "";
while (my ($source, $target) = splice(@pairs, 0, 2)) {
  my $tree = syscall(428, -100, $source, $flags + 0);
  die "open_tree $source: $!\\n" if $tree < 0;
  my $attributes = pack("Q4", 0x100000, 0, 0, fileno($user));
  syscall(442, $tree, $here, 0x1000, $attributes, 32) == 0 or die "mount_setattr $source: $!\\n";
  syscall(429, $tree, $here, -100, $target, 4) == 0 or die "move_mount $target: $!\\n";
}
`;

const openTreeClone = 0x1 | 0o2000000;
const openTreeRecursive = 0x8000;

/** Makes the namespaces. AgentError 'CommandFailed'; then some of them may be bound already. */
export async function makeNamespaces(executor: Executor, { files, firstId, hostname = '' }: NewNamespaces): Promise<void> {
  if (!oldCalls) throw new AgentError('Sandbox', `user namespaces are not known on ${process.arch}`);
  const kinds = Object.entries(files) as [keyof typeof cloneFlags, string][];
  const flags = kinds.reduce((sum, [kind]) => sum + cloneFlags[kind], 0);
  const numbers = [oldCalls.unshare, oldCalls.mount, oldCalls.sethostname, flags, firstId, idsPerNamespace].map(String);
  await executor.check('perl', ['-e', makeProgram, ...numbers, hostname, ...kinds.flat()]);
}

/**
 * Mounts each source on its target (both exist) so that the owner of a file on disk, N, is the namespace's N. What is mounted
 * below a source comes along with `recursive`, unmapped. AgentError 'CommandFailed' where a file system cannot do it.
 */
export async function mountMapped(
  executor: Executor,
  { namespace }: IdMapping,
  mounts: readonly { source: string; target: string }[],
  { recursive = false } = {},
): Promise<void> {
  const flags = openTreeClone | (recursive ? openTreeRecursive : 0);
  const pairs = mounts.flatMap(({ source, target }) => [source, target]);
  await executor.check('perl', ['-e', mapProgram, namespace, String(flags), ...pairs]);
}

/**
 * Why this machine cannot give pods user ids of their own; undefined: it can. Tries it below `folder`: a namespace, a mapped
 * mount of the disk, and an overlay on that.
 */
export async function whyNoUserNamespaces(executor: Executor, folder: string): Promise<string | undefined> {
  const dir = await mkdtemp(join(folder, 'user-namespace-'));
  const at = (name: string) => join(dir, name);
  try {
    await executor.check('sh', ['-c', 'cd "$0" && mkdir disk mapped upper work root && : > user', dir]);
    await makeNamespaces(executor, { files: { user: at('user') }, firstId: idsPerNamespace });
    const mapping = { namespace: at('user'), firstId: idsPerNamespace };
    await mountMapped(executor, mapping, [{ source: at('disk'), target: at('mapped') }]);
    const options = 'lowerdir=mapped,upperdir=upper,workdir=work';
    await executor.check('mount', ['-t', 'overlay', 'overlay', '-o', options, 'root'], { cwd: dir });
    return undefined;
  } catch (error) {
    return errorMessage(error);
  } finally {
    for (const name of ['root', 'mapped', 'user']) await executor.run('umount', [at(name)]);
    await rm(dir, { recursive: true, force: true });
  }
}
