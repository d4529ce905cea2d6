/** One look at all places, and what the planner makes of it. Writes nothing of its own. */
import { statSync } from 'node:fs';
import type { CredentialName } from '../credential/name.ts';
import { type Store, StoreError, type StoreListing, type StoreMarker } from '../stores/store.ts';
import { EMPTY_BASE } from './base.ts';
import { consultHistory } from './consult.ts';
import { busyListing, type LocalListing, listLocal } from './local.ts';
import type { Base, GuardReport, LocalPlace, Permissions, Plan, Problem, Snapshot } from './model.ts';
import { plan } from './plan.ts';
import type { RoundView } from './report.ts';
import type { Choice } from './rules/choice.ts';
import { takeSnapshot, withNames } from './snapshot.ts';
import { newMarkerId, type State, StateError } from './state.ts';
import { untilAborted } from './stopping.ts';

/** Layout of our records in the store: a store with a higher number is left alone. */
export const STORE_FORMAT = 1;

/** What is in the listing and is not there when it is read is looked for so often: then the listing is wrong. */
const MAX_LOOKS = 4;

export interface LookRequest {
  readonly permissions: Permissions;
  readonly authDir: string;
  /** Why the auth dir is to be left alone for the moment, if so. */
  readonly authBusy?: string | undefined;
  /** Undefined: CCS is off. A directory that does not exist counts as off too. */
  readonly ccsDir: string | undefined;
  /** This host's name, for tombstones and history. */
  readonly hostName: string;
  /** Whether nothing is to be written: then the store is not made either. */
  readonly dryRun: boolean;
  readonly allowDelete: ReadonlySet<CredentialName>;
  readonly choices?: Choices;
  /** Aborted when the caller can wait no longer. */
  readonly signal?: AbortSignal;
}

/**
 * What a person chose by name: the plan is then for these credentials alone. Asked once, at the first look that the
 * store takes part in; later looks of the same run hold on to the answer.
 */
export interface Choices {
  choose(snapshot: Snapshot, base: Base): ReadonlyMap<CredentialName, Choice>;
}

/** `choose`, asked once. */
export function askedOnce(choose: Choices['choose']): Choices {
  let answer: ReadonlyMap<CredentialName, Choice> | undefined;
  return {
    choose(snapshot, base) {
      answer ??= choose(snapshot, base);
      return answer;
    },
  };
}

export interface Look extends RoundView {
  readonly base: Base;
  /** The store's id; undefined where it has no marker yet. */
  readonly storeId: string | undefined;
  readonly local: Readonly<Record<LocalPlace, LocalListing | undefined>>;
}

/**
 * Looks at all places and plans. A store that is out of reach is in `storeError`, and the plan goes by the base.
 *
 * @throws StateError if the state, or the store, was written by a newer program; Stopped when the time is up.
 */
export async function look(request: LookRequest, state: State, store: Store): Promise<Look> {
  const { permissions, dryRun } = request;
  const directories = {
    auth: request.authBusy === undefined ? request.authDir : undefined,
    ccs: existing(request.ccsDir),
  };
  const [listedStore, auth, ccs] = await Promise.all([
    untilAborted(request.signal, listStore(store, permissions.store && !dryRun)),
    request.authBusy === undefined ? listLocal('auth', request.authDir) : busyListing(request.authBusy),
    directories.ccs === undefined ? undefined : listLocal('ccs', directories.ccs),
  ]);
  const local = { auth, ccs };
  let storeError = listedStore.error;
  const storeId = listedStore.listing?.marker?.id ?? (storeError ? store.remembered()?.id : undefined);
  const { base, problems: stateProblems } = await loadBase(state, storeId);

  const now = Date.now();
  const view = async (
    listing: StoreListing | undefined,
    looks = 1,
  ): Promise<{ snapshot: Snapshot; plan: Plan }> => {
    /* v8 ignore next -- without a listing there is the error for which there is none */
    const reason = storeError?.message ?? '';
    const listings = {
      local,
      store: listing ? ({ kind: 'listed', listing } as const) : ({ kind: 'failed', reason } as const),
    };
    const { snapshot: taken, torn } = await takeSnapshot(listings, directories, base, store, now);
    if (listing && torn.length > 0 && looks < MAX_LOOKS) {
      const next = await store.list();
      // Another store by now: it has a base of its own.
      if (next.marker?.id !== listing.marker?.id) throw madeAnew(store);
      return view({ ...next, present: listing.present, marker: listing.marker }, looks + 1);
    }
    const choices = listing ? request.choices?.choose(taken, base) : undefined;
    const snapshot = choices ? withNames(taken, choices.keys()) : taken;
    const options = {
      allowDelete: request.allowDelete,
      host: request.hostName,
      ...(choices && { choices }),
    };
    const planned = (seen: Snapshot) =>
      request.choices
        ? only(plan(base, seen, permissions, options), choices)
        : plan(base, seen, permissions, options);
    const made = planned(snapshot);
    if (made.consult.length === 0) return { snapshot, plan: made };
    const consulted = await consultHistory(snapshot, made.consult, store);
    return { snapshot: consulted, plan: planned(consulted) };
  };
  const seen = await untilAborted(request.signal, view(listedStore.listing)).catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error;
    storeError = error;
    return view(undefined);
  });
  const snapshot = request.choices ? about(seen.snapshot, seen.plan) : seen.snapshot;
  return {
    snapshot,
    plan: seen.plan,
    guard: seen.plan.guard,
    storeError,
    stateProblems,
    base,
    storeId,
    local,
    directories,
  };
}

function madeAnew(store: Store): StoreError {
  const message = `${store.location} was emptied or made anew while it was looked at`;
  return new StoreError('unreachable', message, 'Nothing was changed. Run again.');
}

/** The part of a plan that is about what was chosen. */
function only(made: Plan, chosen: ReadonlyMap<CredentialName, Choice> = new Map()): Plan {
  const names = made.guard?.names.filter((name) => chosen.has(name)) ?? [];
  const guard: GuardReport | undefined =
    made.guard && names.length > 0 ? { ...made.guard, names } : undefined;
  return {
    credentials: made.credentials.filter(({ name }) => chosen.has(name)),
    consult: made.consult.filter((name) => chosen.has(name)),
    guard,
  };
}

/** What of a snapshot is to be said where the plan is for some credentials alone. */
function about(snapshot: Snapshot, { credentials: planned }: Plan): Snapshot {
  const names = new Set(planned.map(({ name }) => name));
  const credentials = new Map([...snapshot.credentials].filter(([name]) => names.has(name)));
  const problems: readonly Problem[] = [];
  return { ...snapshot, credentials, problems };
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

/**
 * Refuses a store that a newer program wrote.
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

function existing(directory: string | undefined): string | undefined {
  if (directory === undefined) return undefined;
  try {
    // One that is there and cannot be looked at is not off: listing it says why.
    return statSync(directory, { throwIfNoEntry: false }) && directory;
  } catch {
    return directory;
  }
}
