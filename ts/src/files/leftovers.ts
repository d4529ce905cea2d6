/** Temporary files of `writeFileAtomically` whose writers were killed. What cannot be listed or removed stays. */
import { lstat, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isTemporaryName } from './atomic-write.ts';

/** Nobody still writes one that is older. */
const LEFT_MS = 24 * 60 * 60 * 1000;

/** Removes them from a directory, where nobody else is writing: under this host's lock. */
export async function removeTemporaryFiles(directory: string): Promise<void> {
  const names = await readdir(directory).catch((): string[] => []);
  for (const name of names.filter(isTemporaryName))
    await unlink(join(directory, name)).catch(() => undefined);
}

/** Removes those that are older than a day from a directory and all below it, whoever else writes there. */
export async function removeOldTemporaryFiles(directory: string): Promise<void> {
  const paths = await readdir(directory, { recursive: true }).catch((): string[] => []);
  for (const path of paths.filter(isTemporaryName)) {
    const file = join(directory, path);
    const status = await lstat(file).catch(() => undefined);
    if (status?.isFile() && Date.now() - status.mtimeMs > LEFT_MS) await unlink(file).catch(() => undefined);
  }
}
