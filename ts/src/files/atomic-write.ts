import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fsync,
  linkSync,
  lstatSync,
  openSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { chmod, lstat, mkdir, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

export interface AtomicWriteOptions {
  /** Permission bits of the new file, whatever the umask. Default 0600: contents are secrets. */
  readonly mode?: number;
  /**
   * Called when the new bytes are safe on disk under the temporary name, just before they take the name: the
   * last moment to look at the target. If it throws, the target is untouched and the temporary file is gone.
   */
  readonly beforeRename?: () => Promise<void> | void;
  /**
   * Only create: if something has the name by then, EEXIST is thrown and it is untouched. Default false.
   */
  readonly createOnly?: boolean;
  /**
   * Whether the directory is made durable too before this returns. False for many files in one directory: then
   * the caller MUST call `fsyncDirectory` once after the last one, before it relies on any.
   */
  readonly syncDirectory?: boolean;
}

/**
 * Gives `path` these bytes in one step: a reader, and a machine that lost power, has the old file or the new
 * one, whole. A symbolic link at `path` is replaced, never written through. The directory must exist.
 *
 * The temporary name never ends in `.json` and starts with a dot, so that no program that watches the directory
 * for credentials loads it.
 *
 * @throws The system's error (EACCES, ENOSPC, EROFS, EISDIR ...) or what `beforeRename` threw.
 */
export async function writeFileAtomically(
  path: string,
  bytes: Uint8Array,
  { mode = 0o600, beforeRename, createOnly = false, syncDirectory = true }: AtomicWriteOptions = {},
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, temporaryName());
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  // Each of these calls takes microseconds; through the thread pool it would take ten times as long. But for fsync,
  // which waits for the disk, and of which several may wait together.
  const file = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  try {
    try {
      writeFileSync(file, bytes);
      // The umask took bits from the mode that `open` was given.
      fchmodSync(file, mode);
      await fsyncFile(file);
    } finally {
      closeSync(file);
    }
    await beforeRename?.();
    await (createOnly ? createByLink(temporary, path) : rename(temporary, path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  if (syncDirectory) await fsyncDirectory(directory);
}

/** `link` refuses to replace, which `rename` cannot be asked for; file systems without links get the next best. */
async function createByLink(temporary: string, path: string): Promise<void> {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error;
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
      throw Object.assign(new Error(`EEXIST: file already exists, ${path}`), { code: 'EEXIST' });
    return rename(temporary, path);
  }
  unlinkSync(temporary);
}

const fsyncFile = promisify(fsync);

/** Makes the names in a directory durable: what was created, renamed or removed in it survives a power loss. */
export async function fsyncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    // Some network and FUSE file systems cannot; they make names durable in their own way, or not at all.
    if (!hasCode(error, 'EINVAL', 'ENOTSUP', 'EBADF', 'EISDIR')) throw error;
  } finally {
    await directory.close();
  }
}

/** Systems write names back on their own well within this: ext4 every 5 s, others every 30 s. */
const WRITTEN_BACK_MS = 10 * 60_000;

/**
 * Makes a directory and the missing ones above it, durably, each with `mode` (default 0700) whatever the umask.
 * One that is there already keeps its mode. A symbolic link to a directory counts as one: what must not be
 * reached through a link is for the caller to check.
 *
 * @throws The system's error; ENOTDIR or EEXIST if something else has the name.
 */
export function ensureDirectory(path: string, mode = 0o700): Promise<void> {
  return makeDirectory(path, mode, MAX_TRIES);
}

/** Another program may remove what was just made above it; where the system makes none (`/proc`), no try helps. */
const MAX_TRIES = 3;

async function makeDirectory(path: string, mode: number, tries: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST') {
      const found = await directoryStatus(path);
      if (!found) throw error;
      return makeNameDurable(path, found);
    }
    if (code !== 'ENOENT' || dirname(path) === path || tries === 1) throw error;
    await makeDirectory(dirname(path), mode, MAX_TRIES);
    return makeDirectory(path, mode, tries - 1);
  }
  await chmod(path, mode);
  await fsyncDirectory(dirname(path));
  await makeNameDurable(dirname(path), await lstat(dirname(path)));
}

/** Whoever made a directory may have been killed before its name was durable, and those above it. */
async function makeNameDurable(path: string, { birthtimeMs }: Stats): Promise<void> {
  const parent = dirname(path);
  if (parent === path || Date.now() - birthtimeMs >= WRITTEN_BACK_MS) return;
  try {
    await fsyncDirectory(parent);
  } catch (error) {
    // One that may not be read was not made by us.
    if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
  }
  return makeNameDurable(parent, await lstat(parent));
}

/** Whether this is the name of a temporary file of `writeFileAtomically`: left by a crash if it is old. */
export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(basename(name));
}

function temporaryName(): string {
  return `.cliproxyapi-sync-${randomBytes(8).toString('hex')}.tmp`;
}

const TEMPORARY = /^\.cliproxyapi-sync-[0-9a-f]{16}\.tmp$/;

/** Undefined if it is something else. Throws ENOTDIR for a link to a file, ENOENT for one to nothing. */
async function directoryStatus(path: string): Promise<Stats | undefined> {
  const found: Stats = await lstat(path);
  if (!found.isSymbolicLink()) return found.isDirectory() ? found : undefined;
  await (await open(path, constants.O_RDONLY | constants.O_DIRECTORY)).close();
  return found;
}

/** Whether it is a system error with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = errorCode(error);
  return code !== undefined && codes.includes(code);
}

/** What failed, in short: the code of a system error, the message of any other. */
export function errorWords(error: unknown): string {
  return errorCode(error) ?? (error instanceof Error ? error.message : String(error));
}

/** The code of a system error, such as ENOENT; undefined for any other error. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
