/** Which user and groups a container's process gets, from the pod, the image and the image's /etc/passwd and /etc/group. Pure. */
import { AgentError } from '../errors.ts';

export interface ProcessUser {
  uid: number;
  gid: number;
  additionalGids: number[];
}

export interface UserRequest {
  /** `USER` of the image: '', 'name', '1000', 'name:group', '1000:1000'. */
  imageUser: string;
  image: string;
  container: string;
  /** NAME_NAMESPACE(UID), for messages. */
  podLabel: string;
  runAsUser?: number;
  runAsGroup?: number;
  runAsNonRoot?: boolean;
  supplementalGroups: readonly number[];
  /** The groups that the image gives the user do not count. */
  strictGroups: boolean;
  fsGroup?: number;
  passwd: string;
  group: string;
}

/** AgentError 'ContainerConfig' when a name is unknown or root is not allowed. */
export function resolveUser(request: UserRequest): ProcessUser {
  const { runAsUser, runAsGroup, imageUser } = request;
  const [userPart = '', groupPart = ''] = imageUser.split(':');
  const named = runAsUser !== undefined ? String(runAsUser) : userPart || '0';
  const entry = passwdEntry(request.passwd, named);
  const numeric = /^\d+$/.test(named);
  if (request.runAsNonRoot) checkNotRoot(request, numeric, named);
  if (!numeric && !entry) {
    throw new AgentError('ContainerConfig', `unable to find user ${named}: no matching entries in passwd file`);
  }
  const uid = entry?.uid ?? Number(named);
  const gid = runAsGroup ?? (runAsUser === undefined && groupPart ? groupId(request.group, groupPart) : (entry?.gid ?? 0));
  const extra = new Set([...request.supplementalGroups, ...(request.fsGroup === undefined ? [] : [request.fsGroup])]);
  if (entry && !request.strictGroups) for (const id of groupsWith(request.group, entry.name)) extra.add(id);
  // With the primary group among them, a process that drops groups cannot reach files that deny its own group (CVE-2022-36109).
  extra.add(gid);
  return { uid, gid, additionalGids: [...extra].sort((a, b) => a - b) };
}

function checkNotRoot(request: UserRequest, numeric: boolean, named: string): void {
  const where = `(pod: "${request.podLabel}", container: ${request.container})`;
  if (request.runAsUser === 0) {
    throw new AgentError('ContainerConfig', `container's runAsUser breaks non-root policy ${where}`);
  }
  if (request.runAsUser !== undefined) return;
  if (!numeric) {
    throw new AgentError(
      'ContainerConfig',
      `container has runAsNonRoot and image has non-numeric user (${named}), cannot verify user is non-root ${where}`,
    );
  }
  if (Number(named) === 0) {
    throw new AgentError('ContainerConfig', `container has runAsNonRoot and image will run as root ${where}`);
  }
}

function passwdEntry(passwd: string, nameOrId: string): { name: string; uid: number; gid: number } | undefined {
  for (const line of passwd.split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name && uid && gid && (name === nameOrId || uid === nameOrId)) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

function groupId(group: string, nameOrId: string): number {
  if (/^\d+$/.test(nameOrId)) return Number(nameOrId);
  for (const line of group.split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === nameOrId && gid) return Number(gid);
  }
  throw new AgentError('ContainerConfig', `unable to find group ${nameOrId}: no matching entries in group file`);
}

function groupsWith(group: string, user: string): number[] {
  return group.split('\n').flatMap((line) => {
    const [, , gid, members] = line.split(':');
    return gid && members?.split(',').includes(user) ? [Number(gid)] : [];
  });
}
