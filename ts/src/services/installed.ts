/** The files of services where their manager looks for them. */
import { lstat, readdir, readFile, readlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ensureDirectory,
  errorCode,
  fsyncDirectory,
  isTemporaryName,
  writeFileAtomically,
} from '../files/atomic-write.ts';
import { isMarked } from './mark.ts';
import type { Present } from './plan.ts';

/** What is there under these names, and under all others that may be ours. */
export async function readInstalled(
  directory: string,
  mayBeOurs: (name: string) => boolean,
): Promise<ReadonlyMap<string, Present>> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const found = new Map<string, Present>();
  for (const name of names.filter(mayBeOurs).sort()) {
    const present = await look(join(directory, name));
    if (present !== undefined) found.set(name, present);
  }
  return found;
}

/** Writes files in the directory, which is made if it is missing. */
export async function install(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  if (files.size === 0) return;
  // As others make it, who keep units there that hold no secret.
  await ensureDirectory(directory, 0o755);
  for (const [name, text] of files) {
    await writeFileAtomically(join(directory, name), Buffer.from(text), {
      mode: 0o644,
      syncDirectory: false,
    });
  }
  await fsyncDirectory(directory);
}

/** Removes files of ours, and what a killed run left half written. */
export async function uninstall(directory: string, names: readonly string[]): Promise<void> {
  const left = await readdir(directory).catch((): string[] => []);
  for (const name of [...names, ...left.filter(isTemporaryName)]) {
    await unlink(join(directory, name)).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
  }
  if (left.length > 0) await fsyncDirectory(directory);
}

async function look(path: string): Promise<Present | undefined> {
  try {
    const stats = await lstat(path);
    if (stats.isSymbolicLink()) return { kind: 'foreign', what: `a link to ${await readlink(path)}` };
    if (!stats.isFile()) return { kind: 'foreign', what: 'no file' };
    const text = await readFile(path, 'utf8');
    return isMarked(text) ? { kind: 'ours', text } : { kind: 'foreign', what: 'a file that others wrote' };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    if (errorCode(error) === 'EACCES') return { kind: 'foreign', what: 'a file that cannot be read' };
    throw error;
  }
}
