import { constants } from 'node:fs';
import { access, readFile, realpath, stat } from 'node:fs/promises';
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path';
import { printable } from '../credential/name.ts';
import { errorCode } from '../files/atomic-write.ts';
import { depthOf } from '../settings/proxy-environment.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { lookup } from '../settings/variables.ts';

/**
 * The proxy's program: `CLIPROXY_BIN`, or the first `cliproxyapi` in PATH that is not ours. Ours is installed
 * under that name too, as a link to a bundle or as a small script that runs one.
 *
 * @param self The file of the running program, as in `process.argv[1]`.
 * @returns An absolute path to something executable.
 * @throws SettingsError if there is none.
 */
export async function findProxyProgram(
  { proxyProgram, environment }: Pick<Settings, 'proxyProgram' | 'environment'>,
  self: string,
): Promise<string> {
  if (depthOf(environment) >= MAX_DEPTH) {
    throw new SettingsError(
      'the program that was taken for the proxy is cliproxyapi-sync itself',
      'Set CLIPROXY_BIN to the path of the proxy.',
    );
  }
  const bundles = await ourBundles(self);
  if (isAbsolute(proxyProgram)) {
    const shown = printable(proxyProgram);
    const problem = await problemOf(proxyProgram);
    if (problem !== undefined) {
      throw new SettingsError(
        `CLIPROXY_BIN (${shown}) ${problem}`,
        'Set CLIPROXY_BIN to the path of the proxy.',
      );
    }
    if (await isOurs(proxyProgram, bundles)) {
      throw new SettingsError(
        `CLIPROXY_BIN (${shown}) is cliproxyapi-sync itself, not the proxy`,
        'Set CLIPROXY_BIN to the path of the proxy.',
      );
    }
    return proxyProgram;
  }
  let skipped = false;
  // Relative entries would make it depend on where the command was typed.
  const directories = (lookup(environment, 'PATH') ?? '').split(delimiter).filter((path) => isAbsolute(path));
  for (const directory of directories) {
    const candidate = join(directory, proxyProgram);
    if ((await problemOf(candidate)) !== undefined) continue;
    if (!(await isOurs(candidate, bundles))) return candidate;
    skipped = true;
  }
  throw new SettingsError(
    `the proxy's program "${printable(proxyProgram)}" is not in PATH${skipped ? ' (only the wrapper of that name is)' : ''}`,
    'Install CLIProxyAPI, or set CLIPROXY_BIN to its path.',
  );
}

/** In every bundle that holds this file, however it is called or minified. */
const MARK = 'cliproxyapi-sync: this file is not the proxy';

/** A wrapper that a person wrote may hide us from `isOurs`; more rounds than this are a circle. */
const MAX_DEPTH = 3;

/** Bundles are under 1 MB and scripts small; the proxy has tens of megabytes. */
const MAX_OUR_BYTES = 4 * 1024 * 1024;

async function problemOf(path: string): Promise<string | undefined> {
  try {
    if (!(await stat(path)).isFile()) return 'is not a file';
    await access(path, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
    return code === 'EACCES'
      ? 'may not be executed by this user'
      : `cannot be executed (${code ?? 'unknown error'})`;
  }
}

/** The paths under which scripts around our programs may name them. */
async function ourBundles(self: string): Promise<readonly string[]> {
  const files = [self, await realpath(self).catch(() => self)];
  const names = ['hydrate', 'backup', 'start', 'wrapper', 'cliproxyapi-sync'].map((name) => `${name}.mjs`);
  return [
    ...new Set(files.flatMap((file) => [basename(file), ...names].map((name) => join(dirname(file), name)))),
  ];
}

async function isOurs(path: string, bundles: readonly string[]): Promise<boolean> {
  if ((await stat(path)).size > MAX_OUR_BYTES) return false;
  // What may be executed but not read is no script.
  const content = await readFile(path).catch(() => Buffer.alloc(0));
  return content.includes(MARK) || bundles.some((bundle) => content.includes(bundle));
}
