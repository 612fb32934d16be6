/**
 * Mount points below a folder: found in the kernel's own table, taken down deepest first, and a folder is only ever deleted
 * when nothing below it is mounted. Deleting through a bind mount would delete the user's files.
 */
import { readFile, rm } from 'node:fs/promises';
import { AgentError } from '../errors.ts';
import type { Executor } from '../types.ts';

/** Mount points at or below `dir`, deepest and newest first. */
export async function mountsBelow(dir: string): Promise<string[]> {
  return mountPointsBelow(await readFile('/proc/self/mountinfo', 'utf8'), dir);
}

/** The same from the text of /proc/PID/mountinfo (proc(5)). */
export function mountPointsBelow(mountinfo: string, dir: string): string[] {
  const found: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const escaped = line.split(' ')[4];
    if (!escaped) continue;
    const point = unescaped(escaped);
    if (point === dir || point.startsWith(`${dir}/`)) found.push(point);
  }
  return found.reverse().sort((a, b) => b.split('/').length - a.split('/').length);
}

function unescaped(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

const lockedFlags = ['ro', 'nosuid', 'nodev', 'noexec'];

/**
 * Of the mount that holds a path: what a user namespace may not take away when it binds it elsewhere and changes its access.
 * From the text of /proc/PID/mountinfo; a later mount covers an earlier one. Pure.
 */
export function lockedFlagsAt(mountinfo: string, path: string): string[] {
  let best = { point: '', flags: [] as string[] };
  for (const line of mountinfo.split('\n')) {
    const [, , , , escaped, options] = line.split(' ');
    if (!escaped || !options) continue;
    const point = unescaped(escaped);
    const holds = path === point || path.startsWith(point === '/' ? '/' : `${point}/`);
    if (holds && point.length >= best.point.length) best = { point, flags: options.split(',') };
  }
  return lockedFlags.filter((flag) => best.flags.includes(flag));
}

/** AgentError 'StillMounted' when something below `dir` resists. */
export async function unmountBelow(dir: string, executor: Executor): Promise<void> {
  const points = await mountsBelow(dir);
  if (points.length === 0) return;
  await executor.run('umount', points);
  const busy = await mountsBelow(dir);
  if (busy.length === 0) return;
  // A busy one is detached: it goes when its last user does, and nothing below it can be reached through the path.
  for (const point of busy) await executor.run('umount', ['--lazy', point]);
  const left = await mountsBelow(dir);
  if (left.length) throw new AgentError('StillMounted', `still mounted: ${left.join(', ')}`, { mounts: left });
}

/** Unmounts all below `dir`, then deletes it. */
export async function removeTree(dir: string, executor: Executor): Promise<void> {
  await unmountBelow(dir, executor);
  await rm(dir, { recursive: true, force: true });
}
