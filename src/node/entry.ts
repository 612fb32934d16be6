/** Where the other entry points are: beside this file's bundle in dist/, or in the source tree when run from there. */
import { fileURLToPath } from 'node:url';

const fromSource = import.meta.url.endsWith('.ts');

/** The file of an entry point: `peer-thread` or `agent`. */
export function entryFile(name: 'peer-thread' | 'agent'): string {
  const source = { 'peer-thread': './peer-thread.ts', agent: '../agent/main.ts' };
  return fileURLToPath(new URL(fromSource ? source[name] : `./${name}.js`, import.meta.url));
}
