import { KontikiError } from '../lib/errors.ts';

/** What a command tells its user; printed without a stack. */
export type CliErrorCode = 'Usage' | 'NotRoot' | 'DaemonNotRunning' | 'LabExists' | 'NoLab' | 'NotReady' | 'CommandFailed';

export class CliError extends KontikiError<CliErrorCode> {}
