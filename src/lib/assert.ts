/** Invariants. They stay on in production: a broken one crashes the process, which is safer than going on. */
export class BrokenInvariant extends Error {
  constructor(message: string) {
    super(`broken invariant: ${message}`);
    this.name = 'BrokenInvariant';
  }
}

/** Throws BrokenInvariant unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BrokenInvariant(message);
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never, where: string): never {
  throw new BrokenInvariant(`${where}: unexpected ${JSON.stringify(value)}`);
}
