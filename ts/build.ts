/**
 * Makes the five programs: `src/programs/NAME.ts` -> `dist/NAME.mjs`, one self-contained, executable ESM file
 * each. The output depends on the sources and the lock file alone, so two builds are equal byte for byte.
 */
import { chmod, readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const { version } = JSON.parse(await readFile(here('package.json'), 'utf8')) as { version: string };
const programs = ['hydrate', 'backup', 'start', 'wrapper', 'cliproxyapi-sync'];

await rm(here('dist'), { recursive: true, force: true });
await build({
  absWorkingDir: here('.'),
  entryPoints: programs.map((name) => `src/programs/${name}.ts`),
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  minify: true,
  legalComments: 'none',
  mainFields: ['module', 'main'],
  define: { PROGRAM_VERSION: JSON.stringify(version) },
  banner: {
    // Bundled CommonJS packages ask for Node's own modules through `require`.
    js: "#!/usr/bin/env node\nimport{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);",
  },
});
await Promise.all(programs.map((name) => chmod(here(`dist/${name}.mjs`), 0o755)));
