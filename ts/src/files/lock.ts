/** One process at a time in a directory. */
import { randomBytes } from 'node:crypto';
import { statSync, utimesSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isObject } from '../credential/json.ts';
import { errorCode } from './atomic-write.ts';
import { identify, isAlive, type ProcessIdentity, realm } from './process.ts';

/** A holder that has not shown a sign of life for this long is gone (another machine's, or a stopped one). */
const STALE_MS = 20_000;
const RETRY_MS = 100;
/** From taking the lock to the note of who has it; longer than that takes. */
const NOTE_MS = 1_000;
/** A claim that is older was left behind, whoever wrote it. */
const CLAIM_MS = 3_600_000;

export interface Lock {
  release(): Promise<void>;
  /** False once the lock was taken over, because this process stood still for too long: stop writing. */
  isHeld(): boolean;
}

/**
 * Takes the lock of a directory, which must exist, waiting for at most `waitMs`.
 *
 * The lock itself is proper-lockfile's (a directory whose time the holder renews). Beside it lies a note of who
 * holds it, so that the lock of a process of this host that was killed is taken over at once and not after `STALE_MS`.
 * Whoever is about to take it says so first, in a claim of its own: for one that is killed before it wrote the note.
 *
 * @returns Undefined if another process held it all the time.
 */
export async function takeLock(directory: string, waitMs: number): Promise<Lock | undefined> {
  const path = join(directory, 'lock');
  const deadline = Date.now() + waitMs;
  for (;;) {
    const taken = (await mayBeTaken(path, directory)) ? await tryToTake(path, directory) : undefined;
    if (taken) return taken;
    if (Date.now() >= deadline) return undefined;
    await sleep(RETRY_MS);
  }
}

async function mayBeTaken(path: string, directory: string): Promise<boolean> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || Date.now() - found.mtimeMs > STALE_MS) return true;
  // As old as can be: the library takes a stale lock over, in its own way. At once, before it may be another's.
  return (await holderIsDead(path, directory)) && makeOld(path);
}

async function tryToTake(path: string, directory: string): Promise<Lock | undefined> {
  const { lock } = await import('proper-lockfile');
  const owner = join(directory, OWNER);
  let held = true;
  let release: (() => Promise<void>) | undefined;
  const claim = await claimIn(directory);
  try {
    release = await lock(directory, {
      lockfilePath: path,
      realpath: false,
      stale: STALE_MS,
      update: STALE_MS / 4,
      onCompromised: () => {
        held = false;
      },
    });
    const giveBack = release;
    const ours = ownerOf(path);
    await writeFile(owner, JSON.stringify(ours), { mode: 0o600 });
    await removeDeadClaims(directory);
    // Two that found the same holder dead may both take its lock away, the second that of the first.
    const isHeld = () => held && identity(path) === ours.lock;
    return {
      isHeld,
      async release() {
        if (isHeld()) {
          await rm(owner, { force: true });
          await giveBack();
        }
        held = false;
      },
    };
  } catch (error) {
    if (errorCode(error) === 'ELOCKED') return undefined;
    await release?.().catch(() => undefined);
    throw error;
  } finally {
    await rm(claim, { force: true });
  }
}

/** How a directory's lock stands, for a person: nothing is changed. */
export type LockState =
  | { readonly kind: 'free' }
  /** `pid` is known where the holder is of this host. */
  | { readonly kind: 'held'; readonly pid: number | undefined }
  /** Its holder is gone: the next run takes it over. */
  | { readonly kind: 'stale'; readonly pid: number | undefined };

export async function inspectLock(directory: string): Promise<LockState> {
  const path = join(directory, 'lock');
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { kind: 'free' };
  const owner = await readProcess(join(directory, OWNER));
  const isStale = Date.now() - found.mtimeMs > STALE_MS || (await holderIsDead(path, directory));
  return { kind: isStale ? 'stale' : 'held', pid: owner?.pid };
}

interface Claimant extends ProcessIdentity {
  /** Which machine: not every system has a name for its boot. */
  readonly host: string;
}

interface Owner extends Claimant {
  /** Which lock it holds: a note that a killed process left says nothing of the lock that came after. */
  readonly lock: string;
}

function thisProcess(): Claimant {
  return { ...identify(process.pid), host: hostname() };
}

function ownerOf(lockPath: string): Owner {
  return { ...thisProcess(), lock: identity(lockPath) ?? '' };
}

function identity(lockPath: string): string | undefined {
  const found = statSync(lockPath, { throwIfNoEntry: false });
  return found && `${found.ino}-${found.birthtimeMs}`;
}

/**
 * Only true where it is certain; in doubt the lock's age decides.
 *
 * The order matters. A holder that has written no note for this lock yet was between its claim and its note when the
 * claims were listed, which was after the lock was seen and before the note was missed: so its claim is among them.
 */
async function holderIsDead(lockPath: string, directory: string): Promise<boolean> {
  const lock = identity(lockPath);
  if (lock === undefined) return false;
  const claims = await claimsIn(directory);
  const age =
    Date.now() - (statSync(lockPath, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY);
  const owner = await readProcess(join(directory, OWNER));
  if (owner?.lock === lock) return isGone(owner);
  // Programs of before claims write their note within milliseconds.
  if (age < NOTE_MS) return false;
  // One that cannot be read is being written, or is of a newer program.
  const claimants = await Promise.all(claims.map(readProcess));
  return claimants.length > 0 && claimants.every((claimant) => claimant && isGone(claimant));
}

/**
 * Only of this machine and boot: a directory may be shared, and the boot of another machine looks like one of this machine that
 * is over. The lock of one that is over is old by the time that the next has begun.
 */
function isGone(process: Claimant): boolean {
  return process.host === hostname() && process.realm === realm() && isAlive(process) === false;
}

const OWNER = 'lock-owner.json';
const CLAIM = /^lock-claim-[0-9a-f]+\.json$/;

/** Says that this process is about to take the lock. Gone again once the note is there, or the lock is another's. */
async function claimIn(directory: string): Promise<string> {
  const path = join(directory, `lock-claim-${randomBytes(8).toString('hex')}.json`);
  try {
    await writeFile(path, JSON.stringify(thisProcess()), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  }
  return path;
}

async function claimsIn(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch((): string[] => []);
  return names.filter((name) => CLAIM.test(name)).map((name) => join(directory, name));
}

/** What killed processes left; the lock held. */
async function removeDeadClaims(directory: string): Promise<void> {
  for (const path of await claimsIn(directory)) {
    const claimant = await readProcess(path);
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const isDead = (claimant && isGone(claimant)) || Date.now() - written > CLAIM_MS;
    if (isDead) await rm(path, { force: true });
  }
}

async function readProcess(path: string): Promise<(Claimant & { lock?: unknown }) | undefined> {
  try {
    const owner: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (!isObject(owner)) return undefined;
    const { pid, started = '', realm: of, host = '', lock } = owner;
    if (typeof pid !== 'number' || typeof started !== 'string' || typeof of !== 'string') return undefined;
    return typeof host === 'string' ? { pid, started, realm: of, host, lock } : undefined;
  } catch {
    return undefined;
  }
}

function makeOld(path: string): boolean {
  try {
    utimesSync(path, 0, 0);
    return true;
  } catch {
    return false;
  }
}
