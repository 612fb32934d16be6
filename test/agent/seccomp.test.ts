/** System call filters: the translation of profiles, and what containers may do under them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unsupported } from '../../src/agent/pods/unsupported.ts';
import { type SeccompProfile, SeccompProfiles, translateProfile } from '../../src/agent/runtime/seccomp.ts';
import type { PodSpec } from '../../src/machinery/types.ts';
import { getText } from './support/agent-client.ts';
import { image, Lab, until } from './support/lab.ts';

let lab: Lab;
test.before(async () => {
  lab = await Lab.open();
});
test.after(() => lab.close());

const none: ReadonlySet<string> = new Set();
const allow = 'SCMP_ACT_ALLOW';

test('a profile becomes the plain form: conditions are decided, names and arguments kept', () => {
  const profile: SeccompProfile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    archMap: [
      { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
      { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
    ],
    syscalls: [
      { names: ['read'], action: allow, args: [], includes: {}, excludes: {} },
      { name: 'mount', action: allow, includes: { caps: ['CAP_SYS_ADMIN'] } },
      { names: ['umount'], action: 'SCMP_ACT_ERRNO', errnoRet: 1, excludes: { caps: ['CAP_SYS_ADMIN'] } },
      { names: ['arm'], action: allow, includes: { arches: ['arm'] } },
      {
        names: ['intel'],
        action: allow,
        includes: { arches: ['amd64', 'x32'] },
        args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }],
      },
    ],
  };
  const plain = translateProfile(profile, { capabilities: none, compat: true });
  assert.equal(plain, {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    syscalls: [
      { names: ['read'], action: allow },
      { names: ['umount'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
      { names: ['intel'], action: allow, args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }] },
    ],
  });
  const capable = translateProfile(profile, { capabilities: new Set(['CAP_SYS_ADMIN']), compat: false });
  assert.equal(
    capable.syscalls.map(({ names }) => names[0]),
    ['read', 'mount', 'intel'],
  );
  assert.equal(capable.architectures, ['SCMP_ARCH_X86_64']);
});

test('a profile that cannot be had is refused, never left out', async () => {
  const folder = '/nowhere';
  const refusal = async (wanted: object, options: object = {}) =>
    new SeccompProfiles({ folder, ...options }).filter(wanted, none).then(
      () => '',
      (error: Error) => error.message,
    );
  assert.match(await refusal({ type: 'Localhost', localhostProfile: 'mine.json' }), '/nowhere/mine.json is not there');
  assert.match(await refusal({ type: 'Localhost', localhostProfile: '../mine.json' }), 'is not a path below the folder');
  assert.match(await refusal({ type: 'Localhost', localhostProfile: '/etc/passwd' }), 'is not a path below the folder');
  assert.match(await refusal({ type: 'Other' }), 'unknown type "Other"');
  assert.match(await refusal({ type: 'RuntimeDefault' }, { defaultFile: '/nowhere/default' }), '/nowhere/default is not there');
  assert.match(await refusal({ type: 'RuntimeDefault' }, { supported: false }), 'this kernel has no system call filters');
  const unconfined = new SeccompProfiles({ folder, supported: false });
  assert.is(await unconfined.filter({ type: 'Unconfined' }, none), undefined);
});

test('a pod that asks for what the machine lacks is refused with the reason', () => {
  const machine = { apparmor: false, selinux: false, pause: true };
  const said = (spec: object) => unsupported({ containers: [{ name: 'c' }], ...spec } as PodSpec, machine);
  assert.is(said({}), undefined);
  assert.is(said({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }), undefined);
  assert.is(said({ securityContext: { appArmorProfile: { type: 'Unconfined' } } }), undefined);
  assert.equal(said({ securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'x' } } }), {
    reason: 'AppArmor',
    message:
      'Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host (spec.securityContext.appArmorProfile)',
  });
  const labelled = { containers: [{ name: 'c', securityContext: { seLinuxOptions: { level: 's0' } } }] };
  assert.match(said(labelled)?.message ?? '', 'spec.containers[0].securityContext.seLinuxOptions');
  for (const [option, field] of [
    [{ resourceClaims: [{ name: 'gpu' }] }, 'spec.resourceClaims'],
    [{ containers: [{ name: 'c', volumeDevices: [{ name: 'd', devicePath: '/dev/x' }] }] }, 'spec.containers[0].volumeDevices'],
  ] as const) {
    assert.is(said(option)?.message, `Pod was rejected: ${field} is not supported by this version of the agent`);
  }
  assert.ok(unsupported({ containers: [], shareProcessNamespace: true }, { ...machine, pause: false }));
});

test('containers run under RuntimeDefault unless they say otherwise', async () => {
  mkdirSync(join(lab.dataDir, 'seccomp'), { recursive: true });
  const noFolders = {
    defaultAction: allow,
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 }],
  };
  writeFileSync(join(lab.dataDir, 'seccomp', 'no-folders.json'), JSON.stringify(noFolders));
  const script = 'grep Seccomp: /proc/self/status; mkdir /tmp/x && echo made; exec sleep 1000';
  const container = (name: string, securityContext?: object) => ({
    name,
    image,
    command: ['sh', '-c', script],
    ...(securityContext ? { securityContext } : {}),
  });
  const profile = (type: string, localhostProfile?: string) => ({ seccompProfile: { type, localhostProfile } });
  await lab.createPod('filtered', {
    containers: [
      container('default'),
      container('unconfined', profile('Unconfined')),
      container('privileged', { privileged: true }),
      container('local', profile('Localhost', 'no-folders.json')),
      { ...container('missing', profile('Localhost', 'missing.json')) },
    ],
  });
  await lab.podUntil('filtered', 'all but one run', ({ containerStatuses }) => {
    const of = (name: string) => containerStatuses?.find((status) => status.name === name);
    const waiting = of('missing')?.state?.waiting;
    return (
      waiting?.reason === 'CreateContainerConfigError' &&
      /missing\.json is not there/.test(waiting.message ?? '') &&
      ['default', 'unconfined', 'privileged', 'local'].every((name) => of(name)?.ready)
    );
  });
  const log = (name: string, lines: number) =>
    until(`the log of ${name}`, async () => {
      const { text } = await getText(lab.options.agentSocket, `/logs/default/filtered/${name}`);
      return text.split('\n').length > lines ? text : undefined;
    });
  assert.is(await log('default', 2), 'Seccomp:\t2\nmade\n');
  assert.is(await log('unconfined', 2), 'Seccomp:\t0\nmade\n');
  assert.is(await log('privileged', 2), 'Seccomp:\t0\nmade\n');
  assert.match(await log('local', 2), /^Seccomp:\t2\nmkdir: .*not permitted/);
});

test.run();
