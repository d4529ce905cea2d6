/**
 * One run of `hydrate`, `backup` or `sync`: look, plan, apply, look again, under this host's lock. Never prints:
 * it reports events while it works and one report at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { CredentialName } from '../credential/name.ts';
import { errorWords } from '../files/atomic-write.ts';
import { removeTemporaryFiles } from '../files/leftovers.ts';
import type { Store } from '../stores/store.ts';
import { apply, type CredentialResult } from './apply.ts';
import { exclusively } from './exclusively.ts';
import { changedSince } from './local.ts';
import { writeMarker } from './local-write.ts';
import { type LookRequest, look } from './look.ts';
import { type GuardReport, LOCAL_PLACES, type LocalPlace, type Snapshot } from './model.ts';
import { besideProxy, findNativeProxy } from './native-proxy.ts';
import { putBackBy } from './put-back.ts';
import { emptyReport, makeReport, type RoundView, type RunReport } from './report.ts';
import { tidyHistory } from './retention.ts';
import type { HistoryKeep } from './rules/expendable.ts';
import type { State } from './state.ts';
import { Stopped } from './stopping.ts';
import { takeOver } from './take-over.ts';

/** How long a run waits for a native proxy that starts. Milliseconds. */
const MAX_STARTING_WAIT_MS = 10_000;
/** A run that keeps losing races to other hosts goes round this often, then gives up until the next run. */
const MAX_ROUNDS = 8;

export type { RunReport } from './report.ts';

export interface RunRequest extends LookRequest {
  /** Directories that may have been the auth dir before: what is new in them is taken over. */
  readonly otherAuthDirs?: readonly string[];
  readonly stateDir: string;
  readonly lockWaitMs: number;
  /** Makes the store; called once, with where it may remember things. */
  readonly openStore: (state: State) => Promise<Store>;
  /** How much history is kept: pruned after a run that did all it had to. Undefined: left as it is. */
  readonly historyKeep?: HistoryKeep;
  readonly onEvent?: (event: RunEvent) => void;
}

export type RunEvent =
  | { readonly kind: 'phase'; readonly text: string }
  | { readonly kind: 'progress'; readonly done: number; readonly total: number };

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

async function rounds(
  request: RunRequest,
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
  const { permissions } = request;
  const report = makeReport(store, last, [...results.values()], weaknesses, stopped, permissions);
  // What a run has just put back into a place, its snapshot does not tell: that must stay in history too.
  const foundAllInStep = last?.plan.credentials.every(({ actions }) => actions.length === 0) ?? false;
  if (report.exitCode === 0 && last && request.historyKeep && !request.dryRun) {
    const { historyKeep: keep, signal } = request;
    const said = await tidyHistory(keep, last.snapshot, store, state, { foundAllInStep, signal });
    for (const text of said) request.onEvent?.({ kind: 'phase', text });
  }
  return report;
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
  request: RunRequest,
  state: State,
  store: Store,
  checkpoint: () => void,
  results: Map<CredentialName, CredentialResult>,
): Promise<Round> {
  const { dryRun, onEvent } = request;
  checkpoint();
  if (request.authBusy === undefined && !dryRun)
    await takeOver(request.otherAuthDirs ?? [], request.authDir, state);
  onEvent?.({ kind: 'phase', text: 'looking at all places' });
  const seen = await look(request, state, store);
  const { base, plan: made, guard, local, directories, stateProblems, storeId } = seen;
  let { snapshot, storeError } = seen;
  const seenFirst = snapshot;
  const withPutBack = (result: CredentialResult): CredentialResult => ({
    ...result,
    putBack: putBackBy(result.plan, base, seenFirst),
  });
  if (dryRun) {
    for (const planned of made.credentials) {
      if (planned.actions.length > 0)
        results.set(planned.name, withPutBack({ plan: planned, outcome: 'done', failures: [] }));
    }
    return { snapshot, plan: made, guard, storeError, stateProblems, directories, lost: [], again: false };
  }

  checkpoint();
  snapshot = await markLocalPlaces(snapshot, directories);
  for (const directory of [directories.auth, directories.ccs]) {
    if (directory !== undefined) await removeTemporaryFiles(directory);
  }
  const total = made.credentials.filter(({ actions }) => actions.length > 0).length;
  let done = 0;
  const lost: CredentialName[] = [];
  if (total > 0) onEvent?.({ kind: 'phase', text: 'bringing credentials in step' });
  const applied = await apply(made, snapshot, base, {
    store,
    state,
    storeId,
    hostName: request.hostName,
    directories,
    allowDelete: request.allowDelete,
    signal: request.signal,
    checkpoint,
    onResult(result) {
      done++;
      const { name } = result.plan;
      if (result.outcome === 'lost') lost.push(name);
      else {
        results.delete(name);
        results.set(name, withPutBack(result));
      }
      onEvent?.({ kind: 'progress', done, total });
    },
  });
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
    guard,
    storeError,
    stateProblems,
    directories,
    lost,
    again: (applied.lost && !applied.storeError) || disturbed,
  };
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
      problems.push({
        subject: directory,
        place,
        reason: `cannot be written (${errorWords(error)})`,
        remedy: 'Give this user the right to write there, or free some space, and run again.',
      });
    }
  }
  return { ...snapshot, places, problems };
}
