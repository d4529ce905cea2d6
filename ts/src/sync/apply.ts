/**
 * The executor: carries a plan out, in batches. For each credential the order of `Action`s is kept: what is
 * replaced is kept first, the store comes before local files, and the base is written last, so that a crash at
 * any point leaves the old or the new version in every place, and the next run goes on from there.
 */
import type { CredentialName } from '../credential/name.ts';
import { type Store, StoreError } from '../stores/store.ts';
import { resolveBytes } from './apply/contents.ts';
import { syncNames, writeLocalPlaces } from './apply/local.ts';
import { commitToStore, isStoreAction, keepOnHost } from './apply/store.ts';
import { newWork, type Written } from './apply/work.ts';
import { nextDeletions, nextEntry, nextMarkers, type Outcome } from './base.ts';
import type { Base, CredentialPlan, LocalPlace, Plan, Snapshot } from './model.ts';
import { effectiveBase } from './plan.ts';
import type { PutBack } from './put-back.ts';
import { baseFor, intentFor } from './rules/change.ts';
import type { State } from './state.ts';

/** Credentials carried out together. */
const BATCH = 500;
/** Between writes of the base while only local files are written: it is some megabytes for 10,000 credentials. */
const SAVE_EVERY_MS = 5_000;

export interface ApplyContext {
  readonly store: Store;
  readonly state: State;
  /** The store's id; undefined where it has no marker, and then no base is kept. */
  readonly storeId: string | undefined;
  /** This host's name, for history. */
  readonly hostName: string;
  readonly directories: Readonly<Record<LocalPlace, string | undefined>>;
  /** Names that a person allowed to be deleted: the guard does not count them later. */
  readonly allowDelete: ReadonlySet<CredentialName>;
  /** Aborted when the store is to be waited for no longer. */
  readonly signal?: AbortSignal | undefined;
  /** Called before every batch; throws if the run must stop (lock lost, time is up). */
  readonly checkpoint: () => void;
  readonly onResult: (result: CredentialResult) => void;
}

export interface CredentialResult {
  readonly plan: CredentialPlan;
  readonly outcome: 'done' | 'lost' | 'failed';
  /** What failed, as a sentence, with the remedy in it. */
  readonly failures: readonly string[];
  /** Versions that had come back, and were replaced again. */
  readonly putBack?: readonly PutBack[];
}

export interface ApplyReport {
  readonly base: Base;
  /** At least one credential changed while it was worked on: plan again. */
  readonly lost: boolean;
  /** What was left in each local place, for the second look; undefined for what was removed. */
  readonly written: Written;
  /** The store failed as a whole in the middle: what was done is in the base. */
  readonly storeError: StoreError | undefined;
}

/**
 * Carries out what can be carried out.
 *
 * @throws Stopped between two batches, or while it waits for the store; never in the middle of local writes.
 */
export async function apply(
  plan: Plan,
  snapshot: Snapshot,
  base: Base,
  context: ApplyContext,
): Promise<ApplyReport> {
  const written: Written = { auth: new Map(), ccs: new Map() };
  // What belonged to another directory or store goes from every entry at once, since its marker goes too: else a
  // crash before the last batch would leave files that were never there to be missed, as if they were deleted.
  /* v8 ignore next -- for what is in the base, baseFor gives something of it */
  const credentials = new Map(
    [...base.credentials].map(([name, entry]) => [name, baseFor(base, snapshot, name) ?? entry]),
  );
  const leftIntents = new Map(
    [...base.intents].map(([name, intent]) => [name, intentFor(base, snapshot, intent)]),
  );
  const deleted: CredentialName[] = [];
  const living: CredentialName[] = [];
  let lost = false;
  let storeError: StoreError | undefined;
  const baseNow = (): Base => ({
    markers: nextMarkers(base, snapshot.places),
    credentials,
    deletions: nextDeletions(base, deleted, living, snapshot.now),
    intents: leftIntents,
  });

  const idle = plan.credentials.filter(({ actions }) => actions.length === 0);
  const busy = plan.credentials.filter(({ actions }) => actions.length > 0);
  const remember = (credential: CredentialPlan, outcome: Outcome) => {
    const { name } = credential;
    const seen = snapshot.credentials.get(name);
    /* v8 ignore if -- a plan is of its snapshot's credentials */
    if (!seen) return;
    const entry = nextEntry(credential, seen, effectiveBase(base, snapshot, name), snapshot, outcome);
    if (entry) credentials.set(name, entry);
    else credentials.delete(name);
    if (outcome.complete && isConfirmed(credential, snapshot)) leftIntents.delete(name);
    if (outcome.complete && credential.decision.kind === 'spread') living.push(name);
  };
  await syncNames(base, snapshot, context.directories);
  for (const credential of idle) remember(credential, idleOutcome(credential));

  let saved = Date.now();
  const save = async () => {
    if (context.storeId !== undefined) await context.state.saveBase(context.storeId, baseNow());
    saved = Date.now();
  };

  for (let start = 0; start < busy.length && !storeError; start += BATCH) {
    context.checkpoint();
    const batch = busy.slice(start, start + BATCH).map((credential) => newWork(credential, snapshot, base));
    try {
      await resolveBytes(batch, context);
      await keepOnHost(batch, context.state);
      await commitToStore(batch, leftIntents, snapshot, context);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Out of reach as a whole. What the store had already is found again by the notes that were made ahead.
      storeError = error;
    }
    if (!storeError) await writeLocalPlaces(batch, written, context);
    for (const item of batch) {
      const outcome = storeError
        ? 'failed'
        : item.lost
          ? 'lost'
          : item.failures.length > 0
            ? 'failed'
            : 'done';
      lost ||= outcome === 'lost';
      if (storeError) continue;
      const failedBeyond = item.failures.length > item.unwritten.length;
      const complete = !item.lost && !item.changedAgain && !failedBeyond;
      lost ||= item.changedAgain;
      remember(item.plan, {
        complete,
        tags: item.tags,
        tombstone: item.tombstoneTag,
        removed: item.removed,
        unwritten: item.unwritten,
        ...(item.winner && { winner: item.winner }),
      });
      const { decision, name } = item.plan;
      const counts = decision.kind === 'delete' && !decision.tombstone.forgotten;
      if (complete && counts && !context.allowDelete.has(name)) deleted.push(name);
      context.onResult({ plan: item.plan, outcome, failures: item.failures });
    }
    // Without it the next run would only agree anew on what it finds; but what the store was given is to be known.
    const wroteStore = batch.some((item) => item.plan.actions.some(isStoreAction));
    if (wroteStore || Date.now() - saved > SAVE_EVERY_MS) await save();
  }
  await save();
  return { base: baseNow(), lost, written, storeError };
}

/** What is already as it is to be, its content where a place told it: so the base learns what it never knew. */
function idleOutcome({ decision }: CredentialPlan): Outcome {
  const winner =
    decision.kind === 'spread' && decision.winner.from !== 'history' ? decision.winner.version : undefined;
  return { complete: true, tags: {}, removed: [], ...(winner && { winner }) };
}

/** Whether the base now knows what a noted store write came to: not while the store is out of reach. */
function isConfirmed({ decision, pending }: CredentialPlan, { places }: Snapshot): boolean {
  return places.store.kind === 'listed' && pending.length === 0 && decision.kind !== 'held';
}
