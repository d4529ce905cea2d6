/**
 * `make dependencies`: the table in docs/dependencies.md, from what is really in the bundles. The test beside the
 * other tests of bundles says when the page is behind.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { isObject } from './src/credential/json.ts';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PAGE = here('../docs/dependencies.md');
/** Our own code, among the folders of packages. */
const US = '';
const MARKS = { start: '<!-- by `make dependencies`: -->\n', end: '<!-- end -->' };

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly repository: string;
  /** Minified, of all that is in a bundle. */
  readonly bytes: number;
  /** The direct dependencies that bring it; empty for one of those. */
  readonly through: readonly string[];
  /** The lock file has the SHA-512 of what is installed. */
  readonly isPinned: boolean;
  readonly hasInstallScript: boolean;
}

/** Every package of which code is in the bundles, by name; and how large a bundle is. */
export async function bundledPackages(): Promise<{
  readonly packages: readonly BundledPackage[];
  readonly total: number;
}> {
  const { metafile } = await build({
    absWorkingDir: here('.'),
    // The part that all programs share: the others are three lines each, and import nothing.
    entryPoints: ['src/commands/main.ts'],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    minify: true,
    mainFields: ['module', 'main'],
    metafile: true,
    write: false,
    logLevel: 'error',
  });
  const [output] = Object.values(metafile.outputs);
  const bytes = new Map<string, number>();
  const imported = new Map<string, Set<string>>();
  for (const [path, { bytesInOutput }] of Object.entries(output?.inputs ?? {})) {
    const folder = folderOf(path);
    if (folder !== undefined) bytes.set(folder, (bytes.get(folder) ?? 0) + bytesInOutput);
  }
  for (const [path, { imports }] of Object.entries(metafile.inputs)) {
    const from = folderOf(path) ?? US;
    const into = imported.get(from) ?? new Set();
    for (const { path: to } of imports) {
      const folder = folderOf(to);
      if (folder !== undefined) into.add(folder);
    }
    imported.set(from, into);
  }
  const direct = [...(imported.get(US) ?? [])].filter((folder) => bytes.has(folder));
  const reached = new Map(direct.map((folder) => [folder, reach(folder, imported)]));
  const lock = object(JSON.parse(await readFile(here('package-lock.json'), 'utf8')));
  const locked = object(lock.packages);
  const packages = [...bytes].map(async ([folder, size]): Promise<BundledPackage> => {
    const own = object(JSON.parse(await readFile(here(`${folder}/package.json`), 'utf8')));
    const pin = object(locked[folder]);
    return {
      name: nameOf(folder),
      version: text(own.version),
      license: text(own.license),
      repository: repositoryOf(own.repository),
      bytes: size,
      through: direct.includes(folder)
        ? []
        : direct
            .filter((each) => reached.get(each)?.has(folder))
            .map(nameOf)
            .sort(),
      isPinned: text(pin.integrity).startsWith('sha512-') && pin.version === own.version,
      hasInstallScript: pin.hasInstallScript === true,
    };
  });
  const sorted = (await Promise.all(packages)).sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    packages: sorted,
    total: Object.values(output?.inputs ?? {}).reduce((sum, input) => sum + input.bytesInOutput, 0),
  };
}

/** All that `folder` imports, whatever is between. */
function reach(folder: string, imported: ReadonlyMap<string, ReadonlySet<string>>): ReadonlySet<string> {
  const found = new Set([folder]);
  // A set goes on to what is added while it is walked.
  for (const each of found) for (const next of imported.get(each) ?? []) found.add(next);
  return found;
}

/** `node_modules/NAME`, or deeper where two versions are installed; undefined for our own code. */
function folderOf(path: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
}

function nameOf(folder: string): string {
  return folder.replace(/^.*node_modules\//, '');
}

function repositoryOf(value: unknown): string {
  const url = typeof value === 'string' ? value : text(object(value).url);
  const path =
    /^(?:github:)?([\w.-]+\/[\w.-]+)$/.exec(url)?.[1] ?? /github\.com[/:]([\w.-]+\/[\w.-]+)/.exec(url)?.[1];
  return path?.replace(/\.git$/, '') ?? url;
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new Error('package-lock.json or a package.json is not as npm writes it');
  return value;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The table of the page. Shares are whole percents, so that not every change of ours changes the page. */
export function table(packages: readonly BundledPackage[], total: number): string {
  const rows = packages.map(({ name, version, license, bytes, repository, through }) => {
    const share = (100 * bytes) / total;
    return `| ${name} | ${version} | ${license} | ${share < 1 ? '< 1' : Math.round(share)} % | ${through.join(', ')} | ${repository} |`;
  });
  return [
    '| package | version | licence | share | through | kept at github.com/ |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

/** The table that the page has. */
export async function writtenTable(): Promise<string> {
  const page = await readFile(PAGE, 'utf8');
  return page.slice(page.indexOf(MARKS.start) + MARKS.start.length, page.indexOf(MARKS.end));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { packages, total } = await bundledPackages();
  const page = await readFile(PAGE, 'utf8');
  const start = page.indexOf(MARKS.start) + MARKS.start.length;
  await writeFile(PAGE, page.slice(0, start) + table(packages, total) + page.slice(page.indexOf(MARKS.end)));
}
