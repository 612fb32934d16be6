/**
 * What a pod asks that this agent or this machine cannot give. Said at once and in words, instead of running the pod without
 * it: a pod that believes itself confined, or to have a device, must not run when it is not so.
 */
import { isIPv4 } from 'node:net';
import type { Container, PodSpec } from '../../machinery/types.ts';
import { kernelSecurity } from '../runtime/kernel-security.ts';
import { pauseSupported } from '../runtime/pause.ts';
import type { Refusal } from './admission.ts';
import { everyAddress } from './host-ports.ts';

/** Machine facts; a test gives its own. */
export interface Abilities {
  apparmor: boolean;
  selinux: boolean;
  /** There is a program for the first process of a shared process namespace. */
  pause: boolean;
}

const machineAbilities: Abilities = { ...kernelSecurity, pause: pauseSupported };

/** Undefined: everything can be done. */
export function unsupported(spec: PodSpec, abilities: Abilities = machineAbilities): Refusal | undefined {
  const containers: [string, Container][] = [
    ...spec.containers.map((container, index): [string, Container] => [`spec.containers[${index}]`, container]),
    ...(spec.initContainers ?? []).map((container, index): [string, Container] => [`spec.initContainers[${index}]`, container]),
  ];
  const contexts = [
    { at: 'spec.securityContext', context: spec.securityContext },
    ...containers.map(([at, { securityContext }]) => ({ at: `${at}.securityContext`, context: securityContext })),
  ];
  for (const { at, context } of contexts) {
    if (context?.appArmorProfile?.type === 'Localhost' && !abilities.apparmor) {
      return refusal('AppArmor', `Cannot enforce AppArmor: AppArmor is not enabled on the host (${at}.appArmorProfile)`);
    }
    if (context?.seLinuxOptions && !abilities.selinux) {
      return refusal('SELinux', `Cannot enforce SELinux: SELinux is not enabled on the host (${at}.seLinuxOptions)`);
    }
  }
  if (spec.shareProcessNamespace && !abilities.pause) return option('spec.shareProcessNamespace', 'on this kind of processor');
  if (spec.resourceClaims?.length) return option('spec.resourceClaims');
  if (spec.os?.name === 'windows') {
    return refusal('PodOSNotSupported', "Failed to admit pod as the OS field doesn't match node OS");
  }
  // The pod network knows no others, and one such rule would keep all rules from being written.
  const ports = containers.flatMap(([at, { ports = [] }]) => ports.map((port) => ({ at, port })));
  const address = ports.find(({ port: { hostPort, hostIP = '' } }) => hostPort && !everyAddress.has(hostIP) && !isIPv4(hostIP));
  if (address) return option(`${address.at}.ports: hostIP ${address.port.hostIP}`);
  const devices = containers.find(([, { volumeDevices }]) => volumeDevices?.length);
  return devices && option(`${devices[0]}.volumeDevices`);
}

function option(field: string, where = 'by this version of the agent'): Refusal {
  return refusal('UnsupportedOption', `${field} is not supported ${where}`);
}

function refusal(reason: string, why: string): Refusal {
  return { reason, message: `Pod was rejected: ${why}` };
}
