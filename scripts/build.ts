/** Bundles the entry points into dist/: one file each, so that a process loads only what it needs and starts fast. */
import { readdirSync, rmSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { build } from 'esbuild';
import { generateSchemas } from './generate-schemas.ts';

const out = 'dist';
generateSchemas();
const { metafile } = await build({
  entryPoints: {
    'peer-thread': 'src/node/peer-thread.ts',
    agent: 'src/agent/main.ts',
    executor: 'src/agent/host/executor-process.ts',
    unpack: 'src/agent/images/unpack-process.ts',
    main: 'src/cli/main.ts',
  },
  outdir: out,
  bundle: true,
  splitting: true,
  // Beside the entry points: modules find their neighbours by import.meta.url.
  chunkNames: 'chunk-[hash]',
  metafile: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minify: true,
  keepNames: true,
  logLevel: 'warning',
  // Native addons are loaded from node_modules; esbuild cannot bundle them.
  external: ['classic-level', '@lydell/node-pty', '@node-rs/*', 'msgpackr-extract', 'cbor-extract', 'osx-temperature-sensor'],
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
  },
});
for (const file of readdirSync(out)) {
  if (file.startsWith('chunk-') && !(`${out}/${file}` in metafile.outputs)) rmSync(`${out}/${file}`);
}
// The launcher compares times with this file, whatever order esbuild wrote them in.
const now = new Date();
await utimes(`${out}/main.js`, now, now);
