/**
 * One run of `hydrate`, `backup` or `sync`: look, plan, apply, look again, under this host's lock. Never prints:
 * it reports events while it works and one report at the end.
 */
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CredentialName } from '../credential/name.ts';
import { type Store, StoreError, type StoreListing, type StoreMarker } from '../stores/store.ts';
import { apply, type CredentialResult } from './apply.ts';
import { EMPTY_BASE } from './base.ts';
import { exclusively } from './exclusively.ts';
import { busyListing, changedSince, type LocalListing, listLocal } from './local.ts';
import { removeLeftovers, writeMarker } from './local-write.ts';
import {
  type Base,
  type GuardReport,
  LOCAL_PLACES,
  type LocalPlace,
  type Permissions,
  type Plan,
  type Problem,
  type Snapshot,
} from './model.ts';
import { findNativeProxy } from './native-proxy.ts';
import { plan } from './plan.ts';
import { emptyReport, makeReport, type RoundView, type RunReport } from './report.ts';
import { consultHistory, takeSnapshot } from './snapshot.ts';
import { newMarkerId, type State, StateError } from './state.ts';
import { takeOver } from './take-over.ts';

/** Layout of our records in the store: a store with a higher number is left alone. */
export const STORE_FORMAT = 1;
/** How long a run waits for a native proxy that starts. Milliseconds. */
const MAX_STARTING_WAIT_MS = 10_000;
/** A run that keeps losing races to other hosts goes round this often, then gives up until the next run. */
const MAX_ROUNDS = 8;

export type { RunReport } from './report.ts';

export interface RunRequest {
  readonly permissions: Permissions;
  readonly authDir: string;
  /** Directories that may have been the auth dir before: what is new in them is taken over. */
  readonly otherAuthDirs?: readonly string[];
  /** Undefined: CCS is off. A directory that does not exist counts as off too. */
  readonly ccsDir: string | undefined;
  readonly stateDir: string;
  /** This host's name, for tombstones and history. */
  readonly hostName: string;
  readonly lockWaitMs: number;
  /** Nothing is written, anywhere; the report holds the plan that a run would carry out. */
  readonly dryRun: boolean;
  readonly allowDelete: ReadonlySet<CredentialName>;
  /** Makes the store; called once, with where it may remember things. */
  readonly openStore: (state: State) => Promise<Store>;
  /** Aborted when the caller can wait no longer: the run stops between two steps. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
}

export type RunEvent =
  | { readonly kind: 'phase'; readonly text: string }
  | { readonly kind: 'progress'; readonly done: number; readonly total: number };

/** Thrown inside a run to end it; what was done is in the base. */
class Stopped extends Error {}

/**
 * Runs once.
 *
 * @throws StateError if the state cannot be used or was written by a newer program. Nothing was changed then.
 */
export async function run(request: RunRequest): Promise<RunReport> {
  await proxyHasStarted(request);
  const report = await exclusively(request, async (state, lock) => {
    const store = await request.openStore(state);
    try {
      const proxy = await findNativeProxy(request.stateDir);
      return await rounds(besideProxy(request, proxy), state, store, () => {
        if (request.signal?.aborted) throw new Stopped('the time for this run is up');
        if (lock && !lock.isHeld())
          throw new Stopped('this process stood still for so long that another run took over');
      });
    } finally {
      await store.close().catch(() => undefined);
    }
  });
  if (report) return report;
  const seconds = Math.round(request.lockWaitMs / 1000);
  return emptyReport(75, `another run on this host has held ${request.stateDir}/lock for ${seconds} s`);
}

/** A native start takes a moment, and the change that a run was started for should not wait for the next one. */
async function proxyHasStarted({ stateDir, authDir, lockWaitMs, dryRun, signal }: RunRequest): Promise<void> {
  const deadline = Date.now() + Math.min(lockWaitMs, MAX_STARTING_WAIT_MS);
  while (!dryRun && !signal?.aborted && Date.now() < deadline) {
    const proxy = await findNativeProxy(stateDir);
    if (proxy?.phase !== 'starting' || proxy.authDir !== authDir) return;
    await sleep(100);
  }
}

/** The request with what a native proxy forbids while it runs. See `native-proxy.ts`. */
function besideProxy(
  request: RunRequest,
  proxy: Awaited<ReturnType<typeof findNativeProxy>>,
): RunRequest & { readonly authBusy: string | undefined } {
  const fills = proxy?.phase === 'starting' && proxy.authDir === request.authDir;
  return {
    ...request,
    permissions: { ...request.permissions, ...(proxy?.store === 'git' && { proxyPushes: true }) },
    authBusy: fills
      ? `the proxy (process ${proxy.process.pid}) is about to fill it from the store`
      : undefined,
  };
}

type RoundRequest = ReturnType<typeof besideProxy>;

async function rounds(
  request: RoundRequest,
  state: State,
  store: Store,
  checkpoint: () => void,
): Promise<RunReport> {
  const results = new Map<CredentialName, CredentialResult>();
  let last: RoundView | undefined;
  let stopped: string | undefined;
  try {
    for (let count = 1; ; count++) {
      const before: RoundView | undefined = last;
      const current = await round(request, state, store, checkpoint, results);
      last = {
        ...current,
        // A later round finds the files put back and the damaged state gone; a person is to hear of them all the same.
        guard: bothGuards(before?.guard, current.guard),
        stateProblems: [...(before?.stateProblems ?? []), ...current.stateProblems],
      };
      if (!current.again) break;
      if (count === MAX_ROUNDS) {
        const names = current.lost.length > 0 ? current.lost.join(', ') : 'the same credentials';
        stopped = `other hosts or programs kept changing ${names} through ${MAX_ROUNDS} rounds`;
        break;
      }
      // Hosts that collided once should not meet again in step.
      if (current.lost.length > 0) await sleep(Math.random() * 100 * 2 ** Math.min(count, 5));
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    stopped = error.message;
  }
  const weaknesses = await newWeaknesses(store, state);
  return makeReport(store, last, [...results.values()], weaknesses, stopped, request.permissions);
}

interface Round extends RoundView {
  /** Credentials that someone else changed while they were worked on. */
  readonly lost: readonly CredentialName[];
  readonly again: boolean;
}

function bothGuards(a: GuardReport | undefined, b: GuardReport | undefined): GuardReport | undefined {
  if (!a || !b) return a ?? b;
  return { names: [...new Set([...a.names, ...b.names])], total: Math.max(a.total, b.total) };
}

async function round(
  request: RoundRequest,
  state: State,
  store: Store,
  checkpoint: () => void,
  results: Map<CredentialName, CredentialResult>,
): Promise<Round> {
  const { permissions, dryRun, onEvent } = request;
  const writesStore = permissions.store && !dryRun;
  const auth = request.authBusy === undefined ? request.authDir : undefined;
  const directories = { auth, ccs: existing(request.ccsDir) };
  checkpoint();
  if (auth !== undefined && !dryRun) await takeOver(request.otherAuthDirs ?? [], auth, state);
  onEvent?.({ kind: 'phase', text: 'looking at all places' });
  const [listedStore, listedAuth, ccs] = await Promise.all([
    untilAborted(request.signal, listStore(store, writesStore)),
    auth === undefined ? busyListing(request.authBusy ?? '') : listLocal('auth', auth),
    directories.ccs === undefined ? undefined : listLocal('ccs', directories.ccs),
  ]);
  const local: Record<LocalPlace, LocalListing | undefined> = { auth: listedAuth, ccs };
  let storeError = listedStore.error;
  const storeId = listedStore.listing?.marker?.id ?? (storeError ? store.remembered()?.id : undefined);
  const { base, problems: stateProblems } = await loadBase(state, storeId);

  const now = Date.now();
  const view = async (listing: StoreListing | undefined): Promise<{ snapshot: Snapshot; made: Plan }> => {
    const listings = {
      local,
      store: listing
        ? ({ kind: 'listed', listing } as const)
        : ({ kind: 'failed', reason: storeError?.message ?? 'it was not listed' } as const),
    };
    const snapshot = await takeSnapshot(listings, directories, base, store, now);
    const options = { allowDelete: request.allowDelete, host: request.hostName };
    const made = plan(base, snapshot, permissions, options);
    if (made.consult.length === 0) return { snapshot, made };
    const consulted = await consultHistory(snapshot, made.consult, store);
    return { snapshot: consulted, made: plan(base, consulted, permissions, options) };
  };
  const seen = await untilAborted(request.signal, view(listedStore.listing)).catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error;
    storeError = error;
    return view(undefined);
  });
  const { made } = seen;
  let { snapshot } = seen;
  if (dryRun) {
    for (const planned of made.credentials) {
      if (planned.actions.length > 0)
        results.set(planned.name, { plan: planned, outcome: 'done', failures: [] });
    }
    return { snapshot, plan: made, guard: made.guard, storeError, stateProblems, lost: [], again: false };
  }

  checkpoint();
  snapshot = await markLocalPlaces(snapshot, directories);
  for (const directory of [directories.auth, directories.ccs]) {
    if (directory !== undefined) await removeLeftovers(directory);
  }
  const total = made.credentials.filter(({ actions }) => actions.length > 0).length;
  let done = 0;
  const lost: CredentialName[] = [];
  if (total > 0) onEvent?.({ kind: 'phase', text: 'bringing credentials in step' });
  const applied = await untilAborted(
    request.signal,
    apply(made, snapshot, base, {
      store,
      state,
      storeId,
      hostName: request.hostName,
      directories,
      allowDelete: request.allowDelete,
      checkpoint,
      onResult(result) {
        done++;
        const { name } = result.plan;
        if (result.outcome === 'lost') lost.push(name);
        else {
          results.delete(name);
          results.set(name, result);
        }
        onEvent?.({ kind: 'progress', done, total });
      },
    }),
  );
  const disturbed = LOCAL_PLACES.some((place) => {
    const directory = directories[place];
    const listing = local[place];
    return (
      directory !== undefined &&
      listing?.state.kind === 'listed' &&
      changedSince(place, directory, listing, applied.written[place])
    );
  });
  storeError ??= applied.storeError;
  return {
    snapshot,
    plan: made,
    guard: made.guard,
    storeError,
    stateProblems,
    lost,
    again: (applied.lost && !applied.storeError) || disturbed,
  };
}

async function listStore(
  store: Store,
  writes: boolean,
): Promise<{ listing?: StoreListing; error?: StoreError }> {
  try {
    const listing = await store.list();
    checkMarker(listing.marker, store);
    if (!writes) return { listing };
    const marker = await store.prepare({ id: listing.marker?.id ?? newMarkerId(), format: STORE_FORMAT });
    checkMarker(marker, store);
    return { listing: { ...listing, present: true, marker } };
  } catch (error) {
    if (error instanceof StoreError) return { error };
    throw error;
  }
}

/** What the store was found to be weak in, unless this host's user was told before. */
async function newWeaknesses(store: Store, state: State): Promise<readonly string[]> {
  const weaknesses = store.weaknesses?.() ?? [];
  const memory = state.memory(`told of ${store.location}`);
  const told = JSON.stringify(weaknesses);
  if (weaknesses.length === 0 || memory.read().weaknesses === told) return [];
  await memory.write({ weaknesses: told });
  return weaknesses;
}

/** Refuses a store that a newer program wrote.
 *
 * @throws StateError `newer`.
 */
export function checkMarker(marker: StoreMarker | undefined, store: Store): void {
  if (marker && marker.format > STORE_FORMAT) {
    throw new StateError(
      'newer',
      `${store.location} was written by a newer cliproxyapi-sync (format ${marker.format}, this one knows ${STORE_FORMAT}); it is left alone`,
      'Update cliproxyapi-sync on this host.',
    );
  }
}

async function loadBase(
  state: State,
  storeId: string | undefined,
): Promise<{ base: Base; problems: readonly Problem[] }> {
  return storeId === undefined ? { base: EMPTY_BASE, problems: [] } : state.loadBase(storeId);
}

/** Gives each local place that has none its marker. The base still takes it for a first join in this run. */
async function markLocalPlaces(
  snapshot: Snapshot,
  directories: Readonly<Record<LocalPlace, string | undefined>>,
): Promise<Snapshot> {
  const places = { ...snapshot.places };
  const problems = [...snapshot.problems];
  for (const place of LOCAL_PLACES) {
    const state = places[place];
    const directory = directories[place];
    if (directory === undefined || state.kind !== 'listed' || state.marker !== undefined) continue;
    try {
      places[place] = { ...state, marker: await writeMarker(directory) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push({
        subject: directory,
        place,
        reason: `cannot be written (${reason})`,
        remedy: 'Give this user the right to write there, or free some space, and run again.',
      });
    }
  }
  return { ...snapshot, places, problems };
}

function existing(directory: string | undefined): string | undefined {
  if (directory === undefined) return undefined;
  try {
    statSync(directory);
    return directory;
  } catch {
    return undefined;
  }
}

/** Ends the wait, not the work: what was under way may still arrive, and the next run finds it. */
async function untilAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Stopped('the time for this run is up'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}
