/** The opaque text by which a client asks for the next page of a list: a revision and the last key it was given. */
import { jsonComplaint } from '../machinery/json-text.ts';
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
  const alien = /[^A-Za-z0-9_-]/.exec(token);
  if (alien) throw refuse(`illegal base64 data at input byte ${alien.index}`);
  const text = Buffer.from(token, 'base64url').toString('utf8');
  const complaint = jsonComplaint(text);
  if (complaint !== undefined) throw refuse(complaint);
  const { v, rv, start } = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  if (v !== 1) throw refuse(`server does not recognize this encoded version ${JSON.stringify(String(v ?? ''))}`);
  if (!Number.isInteger(rv)) throw refuse('incorrect encoded start resourceVersion');
  if (typeof start !== 'string' || start === '') throw refuse('encoded start key empty');
  return { revision: Number(rv) < 0 ? undefined : Number(rv), startAfter: start };
}

const refuse = (why: string) => badRequest(`invalid continue token: continue key is not valid: ${why}`);
