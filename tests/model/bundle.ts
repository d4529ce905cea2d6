/**
 * Makes the search over the real programs: they stay as they are, and what they import of Node (files, time, chance)
 * and the lock is replaced by the stand-ins. A variant is the same with one line of a program broken.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

export interface Variant extends Edit {
  readonly name: string;
  /** What is broken besides, in other files: where one line alone is covered by another since. */
  readonly also?: readonly Edit[];
}

export interface Edit {
  /** Below `ts/src`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export type Search = typeof import('./search.ts');

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const SOURCES = here('../../ts/src/');
const STAND_INS: Readonly<Record<string, string>> = {
  'node:fs': 'fs.ts',
  'node:fs/promises': 'fs-promises.ts',
  'node:timers/promises': 'timers-promises.ts',
  'node:crypto': 'crypto.ts',
};

/** Builds and loads the search; each call gives one of its own. */
export async function loadSearch(variant?: Variant): Promise<Search> {
  const directory = await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-model-'));
  try {
    const file = join(directory, 'search.mjs');
    await bundle('search.ts', file, variant);
    return (await import(pathToFileURL(file).href)) as Search;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Makes one file out of an entry in this folder and the programs under test. */
export async function bundle(entry: string, outfile: string, variant?: Variant): Promise<void> {
  await build({
    entryPoints: [here(entry)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    sourcemap: 'inline',
    nodePaths: [here('../../ts/node_modules')],
    plugins: [standIns, ...(variant ? [variant, ...(variant.also ?? [])].map(broken) : [])],
    logLevel: 'error',
  });
}

const standIns: Plugin = {
  name: 'stand-ins',
  setup({ onResolve }) {
    onResolve({ filter: /^node:/ }, ({ path, importer }) => {
      const file = STAND_INS[path];
      return importer.startsWith(SOURCES) && file !== undefined ? { path: here(`stand-ins/${file}`) } : null;
    });
    onResolve({ filter: /files\/lock\.ts$/ }, () => ({ path: here('stand-ins/lock.ts') }));
    onResolve({ filter: /files\/process\.ts$/ }, () => ({ path: here('stand-ins/process.ts') }));
    onResolve({ filter: /^\.\/plan\.ts$/ }, ({ importer }) =>
      importer.endsWith('/src/sync/look.ts') ? { path: here('stand-ins/plan.ts') } : null,
    );
  },
};

function broken({ file, find, replace }: Edit): Plugin {
  return {
    name: `variant of ${file}`,
    setup({ onLoad }) {
      onLoad({ filter: new RegExp(`/src/${file.replaceAll('.', '\\.')}$`) }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        if (text.split(find).length !== 2) throw new Error(`${file} has changed, mend the variant: ${find}`);
        return { contents: text.replace(find, () => replace), loader: 'ts' };
      });
    },
  };
}
