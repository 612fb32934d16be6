/** What an unreadable database looks like. */
import { errorCode, errorMessage } from './errors.ts';

/**
 * Whether `error`, or what caused it, says that the disk has lost or changed what was written, or cannot read it any more: damage
 * that no second attempt mends. Codes of LevelDB (classic-level) and of the system.
 */
export function isRot(error: unknown): boolean {
  const code = errorCode(error);
  if (code === 'LEVEL_CORRUPTION' || code === 'EIO') return true;
  if (code === 'LEVEL_IO_ERROR' && /No such file|Input\/output error/.test(errorMessage(error))) return true;
  return error instanceof Error && error.cause !== undefined && isRot(error.cause);
}
