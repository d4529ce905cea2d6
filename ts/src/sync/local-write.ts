/** Writing and removing single files in the auth dir and the CCS dir, each on the condition of what was seen there. */
import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CredentialName } from '../credential/name.ts';
import { ensureDirectory, errorCode, writeFileAtomically } from '../files/atomic-write.ts';
import { localPath, MARKER_NAME, readDescriptor, readLocal } from './local.ts';
import type { Sighting } from './model.ts';
import { newMarkerId } from './state.ts';

export type LocalOutcome =
  | { readonly kind: 'done' }
  /** A program that held the old file open wrote to it while it was replaced: what it wrote, to be kept. */
  | { readonly kind: 'late-write'; readonly sighting: Extract<Sighting, { kind: 'version' | 'invalid' }> }
  /** The file is no longer as the plan saw it. Plan again. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'failed'; readonly reason: string };

/** A write in place takes microseconds; one that has begun is waited for this long, in milliseconds. */
const LATE_WRITE_MS = 300;

/**
 * Puts bytes in the place of what was seen, atomically, 0600. The directory entry is durable only after the
 * caller's `fsyncDirectory` of `dirname(localPath(...))`.
 */
export async function writeLocal(
  directory: string,
  name: CredentialName,
  bytes: Uint8Array,
  seen: Sighting,
): Promise<LocalOutcome> {
  const path = localPath(directory, name);
  const old = seen.kind === 'absent' ? undefined : openOld(path);
  try {
    await ensureParents(directory, path);
    if (seen.kind === 'absent') {
      await writeFileAtomically(path, bytes, { createOnly: true, syncDirectory: false });
      return { kind: 'done' };
    }
    await writeFileAtomically(path, bytes, {
      syncDirectory: false,
      beforeRename: () => {
        if (!isSame(readLocal(path), seen)) throw new LostRace();
      },
    });
    /* v8 ignore next -- gone when it was to be opened, and back as it was seen by the last look */
    return old === undefined ? { kind: 'done' } : await lookForLateWrite(old, seen);
  } catch (error) {
    return outcomeOf(error, path);
  } finally {
    if (old !== undefined) closeSync(old);
  }
}

/** Removes a file that still is as it was seen. */
export async function removeLocal(
  directory: string,
  name: CredentialName,
  seen: Sighting,
): Promise<LocalOutcome> {
  const path = localPath(directory, name);
  const old = openOld(path);
  try {
    const now = readLocal(path);
    if (now.kind === 'absent') return { kind: 'done' };
    if (!isSame(now, seen)) return { kind: 'lost' };
    await unlink(path);
    /* v8 ignore next -- as above */
    return old === undefined ? { kind: 'done' } : await lookForLateWrite(old, seen);
  } catch (error) {
    return outcomeOf(error, path);
  } finally {
    if (old !== undefined) closeSync(old);
  }
}

/** Makes the directory if missing and puts a new marker into it. Returns the marker's id. */
export async function writeMarker(directory: string): Promise<string> {
  const id = newMarkerId();
  await ensureDirectory(directory);
  await writeFileAtomically(join(directory, MARKER_NAME), Buffer.from(`${id}\n`));
  return id;
}

class LostRace extends Error {}

function openOld(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

async function lookForLateWrite(descriptor: number, seen: Sighting): Promise<LocalOutcome> {
  const deadline = Date.now() + LATE_WRITE_MS;
  for (;;) {
    const now = readDescriptor(descriptor);
    if (isSame(now, seen)) return { kind: 'done' };
    if (now.kind === 'version') return { kind: 'late-write', sighting: now };
    if (Date.now() >= deadline)
      return now.kind === 'invalid' && now.bytes.length > 0
        ? { kind: 'late-write', sighting: now }
        : { kind: 'done' };
    await sleep(10);
  }
}

function isSame(now: Sighting, seen: Sighting): boolean {
  const bytes = bytesOf(now);
  const before = bytesOf(seen);
  if (bytes === undefined || before === undefined) return now.kind === 'absent' && seen.kind === 'absent';
  return Buffer.compare(bytes, before) === 0;
}

function bytesOf(sighting: Sighting): Uint8Array | undefined {
  if (sighting.kind === 'version') return sighting.version.bytes;
  return sighting.kind === 'invalid' ? sighting.bytes : undefined;
}

/** The folders between a place and a file in it: made if missing, and none of them a link. */
async function ensureParents(directory: string, path: string): Promise<void> {
  const parent = dirname(path);
  if (parent === directory) {
    // Asked for every file, and there nearly always.
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return;
    return ensureDirectory(directory);
  }
  if (parent === dirname(parent)) throw new Error(`${path} is not below ${directory}`);
  await ensureParents(directory, parent);
  const status = lstatSync(parent, { throwIfNoEntry: false });
  if (status?.isSymbolicLink())
    throw Object.assign(new Error(`${parent} is a symbolic link`), { code: 'ELOOP' });
  await ensureDirectory(parent);
}

function outcomeOf(error: unknown, path: string): LocalOutcome {
  const code = errorCode(error);
  if (error instanceof LostRace || code === 'EEXIST') return { kind: 'lost' };
  if (code === undefined) throw error;
  return { kind: 'failed', reason: `${path}: ${FAILURES[code] ?? code}` };
}

const RIGHTS = '`cliproxyapi-sync doctor` says how to correct the rights; then run again';

const FAILURES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full (ENOSPC); free some space and run again',
  EDQUOT: 'the disk quota is used up (EDQUOT); free some space and run again',
  EACCES: `this user may not write there (EACCES); ${RIGHTS}`,
  EPERM: `this user may not write there (EPERM); ${RIGHTS}`,
  EROFS: 'the file system is read-only (EROFS)',
  ENAMETOOLONG: 'the name is too long for this file system (ENAMETOOLONG)',
  ENOTDIR: 'a file has the name of one of the folders above it (ENOTDIR)',
  ELOOP: 'one of the folders above it is a symbolic link, which is not followed (ELOOP)',
  EIO: 'the disk failed (EIO); nothing was replaced',
  EMFILE: 'too many open files (EMFILE); run again',
};
