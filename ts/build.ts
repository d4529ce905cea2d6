/**
 * Makes the five programs: `src/programs/NAME.ts` -> `dist/NAME.mjs`, one self-contained, executable ESM file
 * each. The output depends on the sources and the lock file alone, so two builds are equal byte for byte.
 *
 * A file has two parts. The first is what runs on every start (`programs/start-up.ts`). The second is everything
 * else, in a comment: Node parses all of a module before it runs any of it, and 800 kB of it take as long as
 * Node itself takes to start. The first part compiles the second when there is something to do.
 */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// eslint-disable-next-line @typescript-eslint/no-unsafe-assignment -- npm wrote it
const { version }: { version: string } = JSON.parse(await readFile(here('package.json'), 'utf8'));
const programs = ['hydrate', 'backup', 'start', 'wrapper', 'cliproxyapi-sync'];

/** Between the parts. What could end the comment is written differently inside it. */
const COMMENT = { start: '/*main:', end: '*/', endInside: '*@@/' };

/** Without the dashes Node takes an `--env-file` among our arguments for its own, and ends with 9 if it is missing. */
const FIRST_LINE = '#!/usr/bin/env -S node --';

/** Called by its command line: the one thing that npm's esbuild and the Nix package have in common. */
const ESBUILD = process.env.ESBUILD ?? here('node_modules/esbuild/bin/esbuild');
const OPTIONS = [
  '--bundle',
  '--platform=node',
  '--target=node20',
  '--minify',
  '--legal-comments=none',
  '--main-fields=module,main',
  `--define:PROGRAM_VERSION=${JSON.stringify(version)}`,
  '--log-level=warning',
  '--log-override:empty-import-meta=error',
];

/** Stands for `node:` where esbuild must not look: an alias applies to the module that replaces it, too. */
const BUILTIN = 'builtin-node:';

/** In the first part, what `#main` stands for is the way to the second. */
const SECOND_PART = `
  import { readFileSync } from 'node:fs';
  import { createRequire } from 'node:module';
  import { fileURLToPath } from 'node:url';
  import { Script } from 'node:vm';
  import { openCodeCache } from ${JSON.stringify(here('src/programs/code-cache.ts'))};
  const require = createRequire(import.meta.url);
  // In a function, since the texts, a megabyte each, would otherwise stay as long as the process.
  const { script, cache } = (() => {
    const filename = fileURLToPath(import.meta.url);
    const text = readFileSync(filename, 'utf8');
    // In pieces, so that it is not found here.
    const start = ${JSON.stringify([...COMMENT.start])}.join('');
    const code = text.slice(text.indexOf(start) + start.length, text.lastIndexOf(${JSON.stringify(COMMENT.end)}))
      .replaceAll(${JSON.stringify(COMMENT.endInside)}, ${JSON.stringify(COMMENT.end)});
    const cache = openCodeCache(code, require);
    return { cache, script: new Script('(function(require,module){' + code + '\\n})', { filename, ...cache?.found }) };
  })();
  const part = { exports: {} };
  script.runInThisContext()(require, part);
  export async function main(program, args) {
    const exitCode = await part.exports.main(program, args);
    if (exitCode === 0 && (!cache?.found || script.cachedDataRejected)) cache?.keep(script.createCachedData());
    return exitCode;
  }`;

// Outside the project: its tsconfig.json is not for these.
const temporary = await mkdtemp(join(tmpdir(), 'build-'));
try {
  const second = await secondPart();
  if (second.includes(COMMENT.endInside))
    throw new Error(`the code has ${COMMENT.endInside} in it: choose another mark`);
  await writeFile(join(temporary, 'second-part.mjs'), SECOND_PART);

  await rm(here('dist'), { recursive: true, force: true });
  await mkdir(here('dist'));
  for (const program of programs) {
    const first = bundle(`src/programs/${program}.ts`, [
      '--format=esm',
      `--alias:#main=${join(temporary, 'second-part.mjs')}`,
    ]);
    const text = `${FIRST_LINE}\n${first}${COMMENT.start}${second.replaceAll(COMMENT.end, COMMENT.endInside)}${COMMENT.end}\n`;
    await writeFile(here(`dist/${program}.mjs`), text);
    await chmod(here(`dist/${program}.mjs`), 0o755);
  }
} finally {
  await rm(temporary, { recursive: true });
}

/** Node's own modules are loaded where they are first used: all of them at once (http2, tls ...) take a while. */
async function secondPart(): Promise<string> {
  const aliases: string[] = [];
  for (const [index, name] of builtinModules.entries()) {
    const path = join(temporary, `builtin-${index}.cjs`);
    await writeFile(path, `module.exports = require('${BUILTIN}${name}')`);
    aliases.push(`--alias:${name}=${path}`, `--alias:node:${name}=${path}`);
  }
  const options = ['--format=cjs', `--external:${BUILTIN}*`, ...aliases];
  return bundle('src/commands/main.ts', options).replaceAll(BUILTIN, 'node:');
}

function bundle(entry: string, options: readonly string[]): string {
  return execFileSync(ESBUILD, [entry, ...OPTIONS, ...options], {
    cwd: here('.'),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 * 1024,
  });
}
