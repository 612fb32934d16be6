/** The opaque text by which a client asks for the next page of a list: a revision and the last key it was given. */
import { badRequest } from '../machinery/status.ts';

export interface ContinueToken {
  /** Undefined: the rest as it is now. */
  revision: number | undefined;
  startAfter: string;
}

export function encodeContinue({ revision, startAfter }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 1, rv: revision ?? -1, start: startAfter })).toString('base64url');
}

/** StatusError 400 when it is not one of ours. */
export function decodeContinue(token: string): ContinueToken {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (v === 1 && Number.isInteger(rv) && typeof start === 'string') {
      return { revision: rv < 0 ? undefined : rv, startAfter: start };
    }
  } catch {
    // Not JSON: the same answer as for JSON of another shape.
  }
  throw badRequest('continue key is not valid');
}
