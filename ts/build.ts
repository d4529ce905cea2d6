/**
 * Makes the five programs: `src/programs/NAME.ts` -> `dist/NAME.mjs`, one self-contained, executable ESM file
 * each. The output depends on the sources and the lock file alone, so two builds are equal byte for byte.
 *
 * A file has two parts. The first is what runs on every start (`programs/start-up.ts`). The second is everything
 * else, in a comment: Node parses all of a module before it runs any of it, and 800 kB of it take as long as
 * Node itself takes to start. The first part compiles the second when there is something to do.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const { version }: { version: string } = JSON.parse(await readFile(here('package.json'), 'utf8'));
const programs = ['hydrate', 'backup', 'start', 'wrapper', 'cliproxyapi-sync'];

/** Between the parts. What could end the comment is written differently inside it. */
const COMMENT = { start: '/*main:', end: '*/', endInside: '*@@/' };

const common: BuildOptions = {
  absWorkingDir: here('.'),
  bundle: true,
  write: false,
  platform: 'node',
  target: 'node20',
  minify: true,
  legalComments: 'none',
  mainFields: ['module', 'main'],
  define: { PROGRAM_VERSION: JSON.stringify(version) },
  logOverride: { 'empty-import-meta': 'error' },
};

/** Node's own modules are loaded where they are first used: all of them at once (http2, tls ...) take a while. */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    const builtins = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));
    onResolve({ filter: /^[a-z_:/0-9]+$/ }, ({ path, namespace }) => {
      if (!builtins.has(path) || namespace === 'builtin') return undefined;
      return { path: path.startsWith('node:') ? path : `node:${path}`, namespace: 'builtin' };
    });
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require('${path}')`,
    }));
  },
};

/** In the first part, the import of `commands/main.ts` is the way to the second. */
const secondPart: Plugin = {
  name: 'second-part',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/commands\/main\.ts$/ }, ({ path }) => ({ path, namespace: 'second-part' }));
    onLoad({ filter: /.*/, namespace: 'second-part' }, () => ({
      contents: `
        import { readFileSync } from 'node:fs';
        import { createRequire } from 'node:module';
        import { fileURLToPath } from 'node:url';
        import { Script } from 'node:vm';
        const filename = fileURLToPath(import.meta.url);
        const text = readFileSync(filename, 'utf8');
        // In pieces, so that it is not found here.
        const start = ${JSON.stringify([...COMMENT.start])}.join('');
        const code = text.slice(text.indexOf(start) + start.length, text.lastIndexOf(${JSON.stringify(COMMENT.end)}))
          .replaceAll(${JSON.stringify(COMMENT.endInside)}, ${JSON.stringify(COMMENT.end)});
        const compiled = new Script('(function(require,module){' + code + '\\n})', { filename }).runInThisContext();
        const part = { exports: {} };
        compiled(createRequire(import.meta.url), part);
        export const main = part.exports.main;`,
    }));
  },
};

const second = await output({
  entryPoints: ['src/commands/main.ts'],
  format: 'cjs',
  plugins: [lazyBuiltins],
});
if (second.includes(COMMENT.endInside))
  throw new Error(`the code has ${COMMENT.endInside} in it: choose another mark`);

await rm(here('dist'), { recursive: true, force: true });
await mkdir(here('dist'));
for (const program of programs) {
  const first = await output({
    entryPoints: [`src/programs/${program}.ts`],
    format: 'esm',
    plugins: [secondPart],
  });
  const text = `#!/usr/bin/env node\n${first}${COMMENT.start}${second.replaceAll(COMMENT.end, COMMENT.endInside)}${COMMENT.end}\n`;
  await writeFile(here(`dist/${program}.mjs`), text);
  await chmod(here(`dist/${program}.mjs`), 0o755);
}

async function output(options: BuildOptions): Promise<string> {
  const { outputFiles = [] } = await build({ ...common, ...options });
  return outputFiles[0]?.text ?? '';
}
