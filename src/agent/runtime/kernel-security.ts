/** Which security modules the running kernel has switched on. Fixed for as long as the machine is up. */
import { existsSync, readFileSync } from 'node:fs';

export interface KernelSecurity {
  apparmor: boolean;
  selinux: boolean;
}

export const kernelSecurity: KernelSecurity = {
  apparmor: switchedOn('/sys/module/apparmor/parameters/enabled'),
  selinux: existsSync('/sys/fs/selinux/enforce'),
};

function switchedOn(file: string): boolean {
  return existsSync(file) && readFileSync(file, 'utf8').trim() === 'Y';
}
