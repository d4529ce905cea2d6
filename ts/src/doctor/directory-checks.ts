import { constants } from 'node:fs';
import { access, chmod, lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDirectory, errorCode, isTemporaryName } from '../files/atomic-write.ts';
import { removeTemporaryFiles } from '../files/leftovers.ts';
import { takeLock } from '../files/lock.ts';
import type { Settings } from '../settings/settings.ts';
import { shellWord } from '../sync/words.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

/** A temporary file that is older was left by a run that was killed. Milliseconds. */
const LEFTOVER_MS = 60_000;

/** Our directories, and the rights on what is in them. */
export function directoryChecks({ settings }: DoctorContext): readonly Check[] {
  if (!settings) return [];
  const { authDir, ccsDir, stateDir } = settings;
  const watched = [authDir, ...(ccsDir === undefined ? [] : [ccsDir])];
  return [
    { id: 'auth-dir', title: 'auth dir', look: () => directory(authDir) },
    {
      id: 'ccs-dir',
      title: 'CCS dir',
      async look() {
        if (ccsDir === undefined)
          return { status: 'skipped', message: 'CLIPROXY_CCS_DIR is empty: CCS is off' };
        if (!(await isThere(ccsDir)))
          return { status: 'ok', message: `${ccsDir} is not there: CCS is not used` };
        return directory(ccsDir);
      },
    },
    { id: 'state-dir', title: 'state directory', look: () => directory(stateDir) },
    { id: 'file-rights', title: "files' rights", look: () => fileRights(watched) },
    { id: 'leftovers', title: 'leftovers', look: () => leftovers(watched, settings) },
  ];
}

async function directory(path: string): Promise<Finding> {
  const word = shellWord(path);
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') {
      const message = `${path} cannot be looked at (${errorCode(error)})`;
      return { status: 'failed', message, remedy: `ls -ld ${word}` };
    }
    return {
      status: 'warning',
      message: `${path} is not there; the next run makes it`,
      remedy: `mkdir -p -m 700 ${word}`,
      fix: () => ensureDirectory(path),
    };
  }
  if (!found.isDirectory())
    return {
      status: 'failed',
      message: `${path} is no directory`,
      remedy: `mv ${word} ${shellWord(`${path}.away`)}`,
    };
  const { R_OK, W_OK, X_OK } = constants;
  const mayUse = await access(path, R_OK | W_OK | X_OK).then(
    () => true,
    () => false,
  );
  if (!mayUse) {
    const message = `this user may not list and write ${path}`;
    return { status: 'failed', message, remedy: `sudo chown -R "$(id -un)" ${word} && chmod 700 ${word}` };
  }
  if ((found.mode & 0o077) !== 0) {
    return {
      status: 'warning',
      message: `${path} is open to other users of this machine (mode ${(found.mode & 0o777).toString(8)})`,
      remedy: `chmod 700 ${word}`,
      fix: () => chmod(path, 0o700),
    };
  }
  return { status: 'ok', message: `${path}, for this user alone` };
}

async function fileRights(directories: readonly string[]): Promise<Finding> {
  const open: string[] = [];
  let count = 0;
  for (const path of await credentialFiles(directories)) {
    const found = await lstat(path).catch(() => undefined);
    if (!found?.isFile()) continue;
    count++;
    if ((found.mode & 0o077) !== 0) open.push(path);
  }
  if (open.length === 0) return { status: 'ok', message: `all ${count} login files are for this user alone` };
  return {
    status: 'warning',
    message: `${open.length} of ${count} login files are open to other users: ${shown(open)}`,
    remedy: `chmod 600 ${open.slice(0, 5).map(shellWord).join(' ')}`,
    fix: () => Promise.all(open.map((path) => chmod(path, 0o600))),
  };
}

async function leftovers(directories: readonly string[], { stateDir }: Settings): Promise<Finding> {
  const old: string[] = [];
  for (const path of directories) {
    for (const name of (await namesIn(path)).filter(isTemporaryName)) {
      const found = await lstat(join(path, name)).catch(() => undefined);
      if (found && Date.now() - found.mtimeMs > LEFTOVER_MS) old.push(join(path, name));
    }
  }
  if (old.length === 0) return { status: 'ok', message: 'no run has left half-written files behind' };
  return {
    status: 'warning',
    message: `a run that was killed left ${shown(old)}; the next one takes it away`,
    remedy: 'cliproxyapi-sync sync',
    async fix() {
      // Nobody else may be writing then.
      const lock = await takeLock(stateDir, 5_000);
      if (!lock) throw new Error('another run is under way');
      try {
        for (const path of directories) await removeTemporaryFiles(path);
      } finally {
        await lock.release();
      }
    },
  };
}

async function credentialFiles(directories: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const path of directories) {
    const names = await readdir(path, { recursive: true }).catch((): string[] => []);
    paths.push(...names.filter((name) => name.endsWith('.json')).map((name) => join(path, name)));
  }
  return paths;
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch(() => []);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function shown(paths: readonly string[]): string {
  return `${paths.slice(0, 3).join(', ')}${paths.length > 3 ? ', ...' : ''}`;
}
