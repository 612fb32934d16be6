/** Bundles the entry points into dist/: one file each, so that a process loads only what it needs and starts fast. */
import { existsSync } from 'node:fs';
import { rm, utimes } from 'node:fs/promises';
import { build } from 'esbuild';
import { generateSchemas } from './generate-schemas.ts';

const out = 'dist';
if (!existsSync('node_modules/esbuild')) throw new Error('the dependencies are not installed; run: npm ci');
await rm(`${out}/chunks`, { recursive: true, force: true });
await generateSchemas();
await build({
  entryPoints: {
    'peer-thread': 'src/node/peer-thread.ts',
    agent: 'src/agent/main.ts',
    executor: 'src/agent/host/executor-process.ts',
    main: 'src/cli/main.ts',
  },
  outdir: out,
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
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
// The launcher compares times with this file, whatever order esbuild wrote them in.
const now = new Date();
await utimes(`${out}/main.js`, now, now);
