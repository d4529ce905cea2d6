/**
 * A proxy that talks to the store itself (native mode), as the runs beside it must know it.
 *
 * **The rule.** In native mode the auth dir is the proxy's mirror of the store, and while the proxy starts, the
 * mirror is no witness: with PostgreSQL the proxy removes all of it and fills it again row by row, and may die at
 * any point of that; nothing that is missing then was deleted. So, before it starts such a proxy, `start`
 *
 * 1. has a full sync succeed: what the mirror holds is in the store, and in its history;
 * 2. puts a new marker into the mirror, which no base knows, and notes which process becomes the proxy and which
 *    directory the mirror is (its inode and birth time). Both under the lock, so that no run is between its listing
 *    and its base.
 *
 * From then on, until a run has put down a base for the new marker (or for the one that it writes into a re-made
 * mirror), the auth dir is a first join: a union, without deletions. That holds whatever becomes of the proxy:
 * refused by the store, killed before, in the middle of or after the clearing, or started twice.
 *
 * 3. What is left is the time before the clearing: a run that put down its base then would take the clearing for
 *    deletions, and a file that it put into the directory then would make the proxy's own `rmdir` fail. So while
 *    that process lives and the mirror still is the directory that it began with (or none), runs plan nothing for
 *    the auth dir. The clearing makes a new directory; that is the evidence. From then on the process only adds and
 *    overwrites, until it ends, and what goes missing was deleted.
 *
 * S3 and Git clear nothing (CLIProxyAPI since 6.7.40), so there 3 does not apply. Overwriting by an older version is
 * no matter of this rule: superseded versions never win.
 *
 * A proxy that does not clear although we think so is waited for as long as `STARTING_MS`: several times what it
 * gives itself (30 s to connect and 30 s for the rest, cmd/server/main.go).
 */
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../credential/json.ts';
import { errorCode, writeFileAtomically } from '../files/atomic-write.ts';
import { identify, isAlive, type ProcessIdentity } from '../files/process.ts';
import { KINDS_BY_PRIORITY } from '../settings/store-settings.ts';
import type { StoreKind } from '../stores/store.ts';
import type { Permissions } from './model.ts';
import { unusable } from './state.ts';

/** What `start` notes of the native proxy that it becomes: `native-proxy.json` in the state directory. */
export interface NativeProxy {
  readonly process: ProcessIdentity;
  readonly store: StoreKind;
  readonly authDir: string;
  /** Which directory the auth dir was when the proxy was started: `directoryIdentity`. */
  readonly directory: string;
  /** When that was, in milliseconds of `monotonicMs`. */
  readonly at: number;
}

/**
 * - `none`: no native proxy runs.
 * - `starting`: it may yet clear its auth dir.
 * - `running`: the auth dir is its mirror, filled or being filled.
 */
export type NativePhase = 'none' | 'starting' | 'running';

/** After this a proxy that has not cleared its mirror is taken for one that does not. Milliseconds. */
export const STARTING_MS = 5 * 60_000;

/**
 * The phase, from what is noted and what is there. Pure.
 *
 * @param alive Whether the noted process lives; undefined if that cannot be told.
 * @param directory The identity of the auth dir now; undefined if it is not there.
 */
export function nativePhase(
  noted: Pick<NativeProxy, 'store' | 'directory' | 'at'> | undefined,
  alive: boolean | undefined,
  directory: string | undefined,
  now: number,
): NativePhase {
  if (!noted || alive === false) return 'none';
  if (noted.store !== 'postgres') return 'running';
  const untouched = directory === undefined || directory === noted.directory;
  return untouched && Math.abs(now - noted.at) < STARTING_MS ? 'starting' : 'running';
}

/** The native proxy that runs on this host now, with its phase; undefined if none does. */
export async function findNativeProxy(
  stateDir: string,
): Promise<(NativeProxy & { readonly phase: Exclude<NativePhase, 'none'> }) | undefined> {
  const proxy = await readNote(stateDir);
  if (!proxy) return undefined;
  const phase = nativePhase(proxy, isAlive(proxy.process), directoryIdentity(proxy.authDir), monotonicMs());
  return phase === 'none' ? undefined : { ...proxy, phase };
}

/**
 * Notes that a process becomes, or is, the native proxy. The auth dir must be there, and the host's lock held unless
 * only the process is another (a child in the place of its parent).
 */
export async function noteNativeProxy(
  stateDir: string,
  noted: Pick<NativeProxy, 'store' | 'authDir'> & Partial<NativeProxy>,
  pid: number,
): Promise<NativeProxy> {
  const proxy: NativeProxy = {
    directory: directoryIdentity(noted.authDir) ?? '',
    at: monotonicMs(),
    ...noted,
    process: identify(pid),
  };
  const text = `${JSON.stringify({ format: 1, ...proxy }, null, 1)}\n`;
  await writeFileAtomically(notePath(stateDir), Buffer.from(text));
  return proxy;
}

/** What tells a directory from one that is made in its place later; undefined if there is none. */
export function directoryIdentity(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found?.isDirectory() ? `${found.dev}:${found.ino}:${found.birthtimeNs}` : undefined;
}

/** The same clock for all processes since the machine was started; it stands still while the machine sleeps. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function isStoreKind(value: unknown): value is StoreKind {
  return KINDS_BY_PRIORITY.some((kind) => kind === value);
}

async function readNote(stateDir: string): Promise<NativeProxy | undefined> {
  try {
    const note: unknown = JSON.parse(await readFile(notePath(stateDir), 'utf8'));
    if (!isObject(note) || !isObject(note.process)) return undefined;
    const { store, authDir, directory = '', at = 0 } = note;
    const { pid, started, realm } = note.process;
    if (typeof pid !== 'number' || typeof started !== 'string' || typeof realm !== 'string') return undefined;
    if (!isStoreKind(store) || typeof authDir !== 'string' || typeof directory !== 'string') return undefined;
    return {
      process: { pid, started, realm },
      store,
      authDir,
      directory,
      at: typeof at === 'number' ? at : 0,
    };
  } catch (error) {
    // Damaged: written in one step, so by nobody of ours. What it would have said is on the safe side of a first join.
    if (errorCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw unusable(notePath(stateDir), error);
  }
}

function notePath(stateDir: string): string {
  return join(stateDir, 'native-proxy.json');
}

/** The request with what a native proxy forbids while it runs. */
export function besideProxy<T extends { readonly authDir: string; readonly permissions: Permissions }>(
  request: T,
  proxy: Awaited<ReturnType<typeof findNativeProxy>>,
): T & { readonly authBusy: string | undefined } {
  const fills = proxy?.phase === 'starting' && proxy.authDir === request.authDir;
  return {
    ...request,
    permissions: { ...request.permissions, ...(proxy?.store === 'git' && { proxyPushes: true }) },
    authBusy: fills
      ? `the proxy (process ${proxy.process.pid}) is about to fill it from the store`
      : undefined,
  };
}
