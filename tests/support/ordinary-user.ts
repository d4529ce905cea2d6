import { execFileSync } from 'node:child_process';

/** Who may do everything is told nothing: root's tests of what is not allowed run as somebody else meanwhile. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** Runs as a user without any rights of its own, also where the tests run as root; all of this process does so. */
export async function asOrdinaryUser<T>(run: () => Promise<T> | T): Promise<T> {
  if (!isRoot) return run();
  process.setegid?.(NOBODY);
  process.seteuid?.(NOBODY);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

/** Makes that user the owner of a directory and all in it. */
export function giveToOrdinaryUser(path: string): void {
  if (isRoot) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, path]);
}
