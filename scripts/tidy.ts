/** Checks what the linter cannot: the dependency rules between rooms, file sizes, names, and that nothing is left half done. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';

/** What each room of src may import besides itself. docs/ARCHITECTURE.md shows the same. */
const rooms: Record<string, string[]> = {
  lib: [],
  consensus: ['lib'],
  gossip: ['lib'],
  transport: ['lib'],
  store: ['lib'],
  machinery: ['lib'],
  cel: ['lib', 'machinery'],
  api: ['lib', 'machinery', 'cel', 'store'],
  scheduler: ['lib', 'machinery'],
  controllers: ['lib', 'machinery'],
  agent: ['lib', 'machinery'],
  node: ['lib', 'machinery', 'store', 'consensus', 'gossip', 'transport', 'api', 'scheduler', 'controllers', 'agent'],
  cli: ['lib', 'machinery', 'node'],
};
/** The command line prints what the daemon tells it of consensus. */
const typeOnly: Record<string, string[]> = { cli: ['consensus'] };

const linesMax = 500;
const readmeLinesMax = 20;
const bannedNames = new Set(['utils', 'helpers', 'common', 'misc', 'manager', 'util', 'helper']);
const leftovers = /\b(TODO|FIXME|XXX|HACK)\b|\.(skip|only)\(|@ts-(ignore|nocheck|expect-error)|biome-ignore(?! \S+: \S)/;

const problems: string[] = [];

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

function checkImports(file: string, text: string): void {
  const room = file.split('/')[1] as string;
  for (const [statement, , target] of text.matchAll(/^(import|export)\b[^;]*?from '([^']+)'|import\('([^']+)'\)/gm)) {
    const specifier = target ?? /import\('([^']+)'\)/.exec(statement)?.[1] ?? '';
    if (!specifier.startsWith('.')) {
      const libp2p = /^(@?libp2p|@chainsafe\/libp2p|@multiformats\/multiaddr)/.test(specifier);
      if (libp2p && room !== 'transport') problems.push(`${file}: only transport may import ${specifier}`);
      continue;
    }
    const path = normalize(join(dirname(file), specifier));
    const other = path.startsWith('src/') ? path.split('/')[1] : undefined;
    if (other === undefined || other === room) continue;
    const allowed = rooms[room]?.includes(other) || (statement.startsWith('import type') && typeOnly[room]?.includes(other));
    if (!allowed) problems.push(`${file}: ${room} may not import ${other} (${specifier})`);
  }
}

for (const file of filesBelow('src').filter((path) => path.endsWith('.ts'))) {
  const text = readFileSync(file, 'utf8');
  const lines = text.split('\n').length;
  const name = basename(file, '.ts');
  if (!rooms[file.split('/')[1] as string])
    problems.push(`${file}: this room is not in docs/ARCHITECTURE.md nor in scripts/tidy.ts`);
  if (lines > linesMax) problems.push(`${file}: ${lines} lines; a file is read in one sitting (at most ${linesMax})`);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) problems.push(`${file}: file names are in kebab-case`);
  if (bannedNames.has(name)) problems.push(`${file}: a name that says what it holds, not "${name}"`);
  checkImports(file, text);
}

for (const file of ['src', 'test', 'bench', 'scripts']
  .flatMap(filesBelow)
  .filter((path) => path.endsWith('.ts') && path !== 'scripts/tidy.ts')) {
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((line, index) => {
      if (leftovers.test(line)) problems.push(`${file}:${index + 1}: something unfinished or switched off: ${line.trim()}`);
    });
}

for (const room of Object.keys(rooms)) {
  const readme = `src/${room}/README.md`;
  if (!statSync(readme, { throwIfNoEntry: false })) problems.push(`${readme} is missing`);
  else if (readFileSync(readme, 'utf8').trimEnd().split('\n').length > readmeLinesMax)
    problems.push(`${readme} has more than ${readmeLinesMax} lines`);
}

const dependencies = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
  'dependencies' | 'devDependencies',
  Record<string, string>
>;
const documented = readFileSync('docs/DEPENDENCIES.md', 'utf8');
for (const name of [...Object.keys(dependencies.dependencies), ...Object.keys(dependencies.devDependencies)]) {
  if (!documented.includes(`\`${name}\``)) problems.push(`docs/DEPENDENCIES.md says nothing about ${name}`);
}

for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? 'tidy' : `${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
