/** The checks that the level restricted has besides those of baseline. Source: Kubernetes documentation, "Pod Security Standards". Pure. */
import { isUnconfined, seccompFields } from './baseline.ts';
import {
  type Check,
  containersWhere,
  distinct,
  everyContainer,
  type Finding,
  isWindows,
  plural,
  quoted,
  type Security,
  type Subject,
  setters,
  theContainers,
  windowsSince,
} from './findings.ts';

const onlyCapability = 'NET_BIND_SERVICE';
const harmlessVolumes = new Set([
  ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim', 'projected', 'secret'],
]);

/** From 1.25 on it does not ask of pods for Windows what means nothing there. */
const notOnWindows =
  (look: Check['look']): Check['look'] =>
  (subject, version) =>
    version >= windowsSince && isWindows(subject.spec) ? undefined : look(subject, version);

export const restrictedChecks: Check[] = [
  {
    id: 'allowPrivilegeEscalation',
    since: 8,
    look: notOnWindows(({ spec }) => {
      const bad = containersWhere(spec, ({ allowPrivilegeEscalation }) => allowPrivilegeEscalation !== false);
      if (bad.length === 0) return undefined;
      const detail = `${theContainers(bad)} must set securityContext.allowPrivilegeEscalation=false`;
      return { reason: 'allowPrivilegeEscalation != false', detail };
    }),
  },
  { id: 'capabilities_restricted', since: 22, overrides: 'capabilities_baseline', look: notOnWindows(capabilities) },
  { id: 'restrictedVolumes', overrides: 'hostPathVolumes', look: volumes },
  { id: 'runAsNonRoot', look: runAsNonRoot },
  {
    id: 'runAsUser',
    since: 23,
    look({ spec }) {
      const who = setters(
        spec.securityContext?.runAsUser === 0,
        containersWhere(spec, ({ runAsUser }) => runAsUser === 0),
      );
      return who === '' ? undefined : { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` };
    },
  },
  { id: 'seccompProfile_restricted', since: 19, overrides: 'seccompProfile_baseline', look: notOnWindows(seccomp) },
];

function capabilities({ spec }: Subject): Finding | undefined {
  const refused = ({ capabilities: given }: Security) => (given?.add ?? []).filter((name) => name !== onlyCapability);
  const keeping = containersWhere(spec, ({ capabilities: given }) => !given?.drop?.includes('ALL'));
  const adding = containersWhere(spec, (security) => refused(security).length > 0);
  const names = distinct(everyContainer(spec).flatMap(({ securityContext }) => refused(securityContext ?? {})));
  const details = [
    ...(keeping.length > 0 ? [`${theContainers(keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding.length > 0
      ? [`${theContainers(adding)} must not include ${quoted(names)} in securityContext.capabilities.add`]
      : []),
  ];
  return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') };
}

function volumes({ spec }: Subject): Finding | undefined {
  const typeOf = ({ name: _, ...sources }: { name: string }) =>
    Object.entries(sources).find(([, source]) => source != null)?.[0] ?? 'unknown';
  const bad = (spec.volumes ?? []).filter((volume) => !harmlessVolumes.has(typeOf(volume)));
  if (bad.length === 0) return undefined;
  const types = distinct(bad.map(typeOf));
  const named = `${plural('volume', bad.length)} ${quoted(bad.map(({ name }) => name))}`;
  const use = bad.length === 1 ? 'uses' : 'use';
  const detail = `${named} ${use} ${plural('restricted volume type', types.length)} ${quoted(types)}`;
  return { reason: 'restricted volume types', detail };
}

function runAsNonRoot({ spec }: Subject): Finding | undefined {
  const reason = 'runAsNonRoot != true';
  const pod = spec.securityContext?.runAsNonRoot;
  const who = setters(
    pod === false,
    containersWhere(spec, (security) => security.runAsNonRoot === false),
  );
  if (who !== '') return { reason, detail: `${who} must not set securityContext.runAsNonRoot=false` };
  const silent = pod ? [] : containersWhere(spec, (security) => security.runAsNonRoot == null);
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${theContainers(silent)} must set securityContext.runAsNonRoot=true` };
}

function seccomp({ spec }: Subject): Finding | undefined {
  const said = seccompFields(spec);
  if (said) return said;
  const pod = spec.securityContext?.seccompProfile;
  const isSafe = pod != null && !isUnconfined(pod);
  const silent = isSafe ? [] : containersWhere(spec, ({ seccompProfile }) => seccompProfile == null);
  if (silent.length === 0) return undefined;
  const detail = `pod or ${theContainers(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`;
  return { reason: 'seccompProfile', detail };
}
