/** The auth dir and the CCS dir: what they hold now. Nothing here writes. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CredentialName, parseName } from '../credential/name.ts';
import { parseCredential } from '../credential/version.ts';
import { errorCode, errorWords, hasCode } from '../files/atomic-write.ts';
import { MAX_OBJECT_BYTES } from '../stores/store.ts';
import type { LocalPlace, PlaceState, Problem, Sighting } from './model.ts';

/** The marker's file name. It does not end in `.json`, so the proxy never loads it. */
export const MARKER_NAME = '.cliproxyapi-sync';

/** A file that is being written in place is looked at again this often, this far apart (milliseconds). */
const SETTLE_TRIES = 4;
const SETTLE_PAUSE_MS = 100;
/** No auth dir nests or holds more than this. */
const MAX_DEPTH = 16;
const MAX_FILES = 100_000;

export interface LocalListing {
  readonly state: PlaceState;
  readonly sightings: ReadonlyMap<CredentialName, Sighting>;
  /** CCS dir: names that lie in `auth-paused/`. */
  readonly paused: ReadonlySet<CredentialName>;
  /** Folders that could not be looked into: nothing below them is known. */
  readonly hidden: readonly string[];
  readonly problems: readonly Problem[];
  /** By name, what changes whenever a file is written or replaced; for `changedSince`. */
  readonly stamps: ReadonlyMap<CredentialName, string>;
}

/**
 * Lists and reads one local place.
 *
 * A directory that is missing is an empty one without a marker (a first join). One that cannot be listed in full
 * is `failed`. Links, folders and special files in the place of a credential are reported and `unreadable`.
 */
export async function listLocal(place: LocalPlace, directory: string): Promise<LocalListing> {
  const scan = newScan(place, directory);
  try {
    if (!exists(directory))
      return listing(scan, { kind: 'listed', marker: undefined, folds: false }, new Map(), new Set());
    walk(scan, '', place === 'auth' ? MAX_DEPTH : 0);
    const paused = place === 'ccs' ? pausedNames(directory) : new Set<CredentialName>();
    const sightings = await readAll(scan);
    return listing(
      scan,
      { kind: 'listed', marker: readMarker(directory), folds: foldsCase(directory, sightings) },
      sightings,
      paused,
    );
  } catch (error) {
    return listing(scan, { kind: 'failed', reason: listingReason(directory, error) }, new Map(), new Set());
  }
}

/** The listing of a place that is not to be looked at for the moment. */
export function busyListing(reason: string): LocalListing {
  const nothing = newScan('auth', '');
  return listing(nothing, { kind: 'busy', reason }, new Map(), new Set());
}

/**
 * Whether a place was changed by anyone else since it was listed.
 *
 * @param written What this run itself left there since: bytes, or undefined for what it removed.
 */
export function changedSince(
  place: LocalPlace,
  directory: string,
  listing: LocalListing,
  written: ReadonlyMap<CredentialName, Uint8Array | undefined>,
): boolean {
  const scan: Scan = newScan(place, directory);
  try {
    if (exists(directory)) walk(scan, '', place === 'auth' ? MAX_DEPTH : 0);
  } catch {
    // What cannot be listed is the next run's to report.
    return false;
  }
  const ours = (name: CredentialName, path: string) => {
    const bytes = written.get(name);
    return bytes !== undefined && holds(path, bytes);
  };
  const names = new Set([...scan.files.keys(), ...listing.stamps.keys(), ...written.keys()]);
  return [...names].some((name) => {
    const path = scan.files.get(name);
    if (written.has(name)) return path === undefined ? written.get(name) !== undefined : !ours(name, path);
    return (path === undefined ? undefined : stampOf(path)) !== listing.stamps.get(name);
  });
}

/** Whether a regular file has just these bytes. */
function holds(path: string, bytes: Uint8Array): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    const status = fstatSync(descriptor);
    return (
      status.isFile() &&
      status.size === bytes.length &&
      Buffer.compare(readWhole(descriptor, status.size), bytes) === 0
    );
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}

/** One file as it is now, once: for the last look before it is replaced. Never follows a link, never blocks. */
export function readLocal(path: string): Sighting {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return { kind: 'absent' };
    if (code === 'ELOOP' || code === 'EMLINK') return { kind: 'unreadable', reason: 'is a symbolic link' };
    if (code === 'ENXIO') return { kind: 'unreadable', reason: 'is a socket' };
    return { kind: 'unreadable', reason: `cannot be read (${errorWords(error)})` };
  }
  try {
    return readDescriptor(descriptor);
  } catch (error) {
    return { kind: 'unreadable', reason: `cannot be read (${errorWords(error)})` };
  } finally {
    closeSync(descriptor);
  }
}

/** What an open file holds. */
export function readDescriptor(descriptor: number): Sighting {
  const status = fstatSync(descriptor);
  if (status.isDirectory()) return { kind: 'unreadable', reason: 'is a folder' };
  if (!status.isFile()) return { kind: 'unreadable', reason: 'is not a regular file' };
  if (status.size > MAX_OBJECT_BYTES) {
    return {
      kind: 'unreadable',
      reason: `is ${status.size} bytes long, more than the ${MAX_OBJECT_BYTES} that any credential has`,
      isOther: true,
    };
  }
  const bytes = readWhole(descriptor, status.size);
  const parsed = parseCredential(bytes);
  return parsed.ok
    ? { kind: 'version', version: parsed.version, since: status.ctimeMs }
    : { kind: 'invalid', reason: parsed.reason, bytes, since: status.mtimeMs };
}

/**
 * From the first byte, wherever an earlier reading of the same descriptor ended: a late write is looked for more
 * than once. A file that grew meanwhile is cut after one byte more, and so never passes for the whole.
 */
function readWhole(descriptor: number, size: number): Uint8Array {
  const buffer = Buffer.alloc(size + 1);
  let length = 0;
  while (length < buffer.length) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, length);
    if (count === 0) break;
    length += count;
  }
  return buffer.subarray(0, length);
}

/** The path of a credential below a place. */
export function localPath(directory: string, name: CredentialName): string {
  return join(directory, ...name.split('/'));
}

/**
 * The id in a place's marker; undefined if there is none or it is damaged (then it is a first join).
 *
 * @throws The system's error if it cannot be told: a disk that fails just then makes no first join, which would bring
 *   back what was deleted there.
 */
export function readMarker(directory: string): string | undefined {
  try {
    const text = readFileSync(join(directory, MARKER_NAME), 'utf8').trim();
    return /^[0-9a-f-]{36}$/.test(text) ? text : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined;
    throw error;
  }
}

/** The directory into which CCS moves the files of paused accounts. */
export function pausedDirectory(ccsDirectory: string): string {
  return join(dirname(ccsDirectory), 'auth-paused');
}

interface Scan {
  readonly place: LocalPlace;
  readonly directory: string;
  readonly files: Map<CredentialName, string>;
  readonly unreadable: Map<CredentialName, string>;
  readonly hidden: string[];
  readonly problems: Problem[];
  readonly stamps: Map<CredentialName, string>;
  count: number;
}

function newScan(place: LocalPlace, directory: string): Scan {
  return {
    place,
    directory,
    files: new Map(),
    unreadable: new Map(),
    hidden: [],
    problems: [],
    stamps: new Map(),
    count: 0,
  };
}

/** Device, inode, size and modification time in nanoseconds; undefined if there is nothing. */
function stampOf(path: string): string | undefined {
  const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return status && `${status.dev}:${status.ino}:${status.size}:${status.mtimeNs}`;
}

function listing(
  scan: Scan,
  state: PlaceState,
  sightings: ReadonlyMap<CredentialName, Sighting>,
  paused: ReadonlySet<CredentialName>,
): LocalListing {
  return { state, sightings, paused, hidden: scan.hidden, problems: scan.problems, stamps: scan.stamps };
}

function walk(scan: Scan, below: string, depth: number): void {
  const here = join(scan.directory, below);
  for (const entry of readdirSync(here, { withFileTypes: true })) {
    /* v8 ignore if -- so many files take a test longer than all others together */
    if (++scan.count > MAX_FILES) throw new Error(`it holds more than ${MAX_FILES} files`);
    const relative = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.name.startsWith('.')) continue;
    const check = parseName(relative);
    if (entry.isDirectory()) {
      // A folder named like a credential is no credential, and may hold some.
      if (depth > 0) walkInto(scan, relative, depth - 1);
      else scan.hidden.push(relative);
      if (!entry.name.endsWith('.json')) continue;
    }
    if (entry.isSymbolicLink() && !entry.name.endsWith('.json')) {
      // A linked folder is not followed; what an earlier run saw below it is unknown, not gone.
      scan.hidden.push(relative);
      if (depth > 0 && pointsToDirectory(join(here, entry.name)))
        report(scan, relative, 'is a symbolic link to a folder, which is not followed');
      continue;
    }
    if (check.ok) {
      const unusual = entry.isFile() ? undefined : unusualKind(entry);
      if (unusual === undefined) scan.files.set(check.name, join(here, entry.name));
      else scan.unreadable.set(check.name, unusual);
    } else if (check.kind === 'refused' && relative.endsWith('.json')) {
      report(scan, relative, check.reason);
    }
  }
}

function walkInto(scan: Scan, relative: string, depth: number): void {
  try {
    walk(scan, relative, depth);
  } catch (error) {
    /* v8 ignore if -- too many files, as above */
    if (errorCode(error) === undefined) throw error;
    scan.hidden.push(relative);
    report(scan, relative, `cannot be listed (${errorCode(error)})`);
  }
}

function report(scan: Scan, subject: string, reason: string): void {
  scan.problems.push({
    subject,
    place: scan.place,
    reason,
    remedy: 'Put a regular file with a plain name there, or move it away.',
  });
}

function unusualKind(entry: {
  isSymbolicLink(): boolean;
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}): string {
  if (entry.isSymbolicLink()) return 'is a symbolic link, which is not followed';
  if (entry.isDirectory()) return 'is a folder';
  if (entry.isFIFO()) return 'is a named pipe';
  if (entry.isSocket()) return 'is a socket';
  return 'is not a regular file';
}

function pointsToDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Reads all files; those that may be half-written, or vanish while a program replaces them, are looked at again. */
async function readAll(scan: Scan): Promise<Map<CredentialName, Sighting>> {
  const sightings = new Map<CredentialName, Sighting>();
  for (const [name, reason] of scan.unreadable)
    sightings.set(name, { kind: 'unreadable', reason, isOther: true });
  let unsettled = [...scan.files];
  for (let attempt = 1; unsettled.length > 0; attempt++) {
    unsettled = unsettled.filter(([name, path]) => {
      // Before it is read, so that a write after that shows.
      const stamp = stampOf(path);
      const sighting = readLocal(path);
      sightings.set(name, sighting);
      /* v8 ignore else -- removed between the listing and this look */
      if (stamp !== undefined) scan.stamps.set(name, stamp);
      return sighting.kind === 'invalid' || sighting.kind === 'absent';
    });
    if (attempt === SETTLE_TRIES) break;
    if (unsettled.length > 0) await sleep(SETTLE_PAUSE_MS);
  }
  return sightings;
}

function pausedNames(ccsDirectory: string): ReadonlySet<CredentialName> {
  try {
    return new Set(
      readdirSync(pausedDirectory(ccsDirectory)).flatMap((name) => {
        const check = parseName(name);
        return check.ok ? [check.name] : [];
      }),
    );
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return new Set();
    throw error;
  }
}

/** Whether the file system keeps one file for names that differ in case: seen on a name that is there. */
function foldsCase(directory: string, sightings: ReadonlyMap<CredentialName, Sighting>): boolean {
  const known = exists(join(directory, MARKER_NAME))
    ? MARKER_NAME
    : [...sightings.keys()].find((name) => !name.includes('/') && isAsLongInCapitals(name));
  if (known === undefined) return false;
  // All of them have small letters, those of their ending.
  const swapped = known.toUpperCase();
  if (readdirSync(directory).includes(swapped)) return false;
  return exists(join(directory, swapped));
}

/** Some letters take more bytes so, and a name may then be longer than any can be. */
function isAsLongInCapitals(name: string): boolean {
  return Buffer.byteLength(name.toUpperCase()) === Buffer.byteLength(name);
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function listingReason(directory: string, error: unknown): string {
  const code = errorCode(error);
  const marker = join(directory, MARKER_NAME);
  if (error instanceof Error && 'path' in error && error.path === marker)
    return `its marker ${marker} cannot be read (${code})`;
  if (code === 'ENOTDIR') return `${directory} is not a directory`;
  if (code === 'EACCES' || code === 'EPERM') return `${directory} may not be listed by this user (${code})`;
  return `${directory} cannot be listed: ${errorWords(error)}`;
}
