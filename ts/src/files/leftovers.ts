/** Temporary files of processes that were killed while they wrote. */
import { lstat, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isTemporaryName } from './atomic-write.ts';

/** Nobody still writes one that is older. */
const LEFT_MS = 24 * 60 * 60 * 1000;

/**
 * Removes those of `writeFileAtomically` in a directory and below it that are older than a day. What cannot be listed
 * or removed stays: it is looked for again another day.
 */
export async function removeLeftTemporaryFiles(directory: string): Promise<void> {
  const paths = await readdir(directory, { recursive: true }).catch((): string[] => []);
  for (const path of paths.filter(isTemporaryName)) {
    const file = join(directory, path);
    const status = await lstat(file).catch(() => undefined);
    if (status?.isFile() && Date.now() - status.mtimeMs > LEFT_MS) await unlink(file).catch(() => undefined);
  }
}
