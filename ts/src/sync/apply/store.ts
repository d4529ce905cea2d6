/** A batch's writes to the store, each noted in the state ahead of it. */
import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import type {
  CommitOutcome,
  HistoryEntry,
  ObjectChange,
  PruneEntry,
  Store,
  StoreChange,
} from '../../stores/store.ts';
import { intentOf } from '../base.ts';
import {
  type Action,
  type BaseEntry,
  type CredentialPlan,
  type CredentialSnapshot,
  type Intent,
  isStorePlace,
  type Snapshot,
  type StorePlace,
  winnerId,
} from '../model.ts';
import { buriedVersions } from '../rules/tombstone.ts';
import { tombstoneIn, versionsIn } from '../sightings.ts';
import type { State } from '../state.ts';
import { untilAborted } from '../stopping.ts';
import { serializeTombstone } from '../tombstone-record.ts';
import { sentences } from '../words.ts';
import { deletedUnnamed, replacedUnnamed } from './unnamed.ts';
import { stopped, type Work } from './work.ts';

export interface StoreContext {
  readonly store: Store;
  readonly state: State;
  readonly storeId: string | undefined;
  readonly hostName: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Commits a batch's store actions.
 *
 * @param intents The notes of writes that no base confirms yet; those of this batch are added.
 * @throws StoreError if the store is out of reach as a whole; Stopped if it takes longer than the run may.
 */
export async function commitToStore(
  batch: readonly Work[],
  intents: Map<CredentialName, Intent>,
  snapshot: Snapshot,
  context: StoreContext,
): Promise<void> {
  const writing = batch.filter((item) => !stopped(item) && item.plan.actions.some(isStoreAction));
  if (writing.length === 0) return;
  for (const item of writing) {
    const writes = item.plan.actions.some((action) => action.kind === 'write' && isStorePlace(action.place));
    if (writes && item.winner)
      intents.set(item.plan.name, intentOf(item.winner, item.seen, item.entry, snapshot.now));
  }
  /* v8 ignore else -- nothing is planned for a store before it has its marker */
  if (context.storeId !== undefined) await context.state.noteIntents(context.storeId, intents);
  await supersede(writing.flatMap(deletedUnnamed), context);
  const changes = writing.map((item) => storeChange(item, context.hostName));
  const outcomes = await untilAborted(context.signal, context.store.commit(changes));
  for (const [index, item] of writing.entries()) await takeOutcome(item, outcomes[index], context);
  const done = writing.filter((_, index) => outcomes[index]?.kind === 'done');
  await supersede(done.flatMap(replacedUnnamed), context);
}

/** Remembers in the store what was replaced or deleted, where no record in history and no tombstone names it. */
async function supersede(entries: readonly PruneEntry[], { store, signal }: StoreContext): Promise<void> {
  if (entries.length > 0) await untilAborted(signal, store.prune(entries));
}

async function takeOutcome(
  item: Work,
  outcome: CommitOutcome | undefined,
  { state, store }: StoreContext,
): Promise<void> {
  switch (outcome?.kind) {
    case 'done':
      if (outcome.current !== undefined) item.tags.store = outcome.current;
      if (outcome.backup !== undefined) item.tags.backup = outcome.backup;
      item.tombstoneTag = outcome.tombstone;
      return;
    case 'lost':
      item.lost = true;
      return;
    case 'failed': {
      item.failures.push(sentences(outcome.error.message, outcome.error.remedy));
      // The local places may still be brought in step; what they lose is then kept here.
      for (const action of item.plan.actions)
        if (action.kind === 'keep') await keepVersionOnHost(item, action.version.id, state);
      return;
    }
    case undefined:
      throw new Error(`the ${store.kind} store gave no answer for ${item.plan.name}`);
  }
}

function storeChange({ plan, seen, entry, bytes, winner }: Work, host: string): StoreChange {
  const keep: HistoryEntry[] = [];
  const keepAside: Uint8Array[] = [];
  let tombstone: ObjectChange | undefined;
  const places: Partial<Record<StorePlace, ObjectChange>> = {};
  for (const action of plan.actions) {
    if (action.kind === 'keep' && action.where === 'history') {
      const content = bytes.get(action.version.id);
      /* v8 ignore else -- resolveBytes has it, or has stopped the item */
      if (content)
        keep.push({
          id: action.version.id,
          bytes: content,
          host,
          reason: action.reason,
          replaces: replacedBy(action.version.id, plan, seen, entry),
        });
    }
    if (action.kind === 'keep-aside' && action.where === 'history') keepAside.push(action.bytes);
    if (action.kind === 'bury')
      tombstone = { kind: 'put', bytes: serializeTombstone(action.tombstone), seen: action.over };
    if (action.kind === 'unbury') tombstone = { kind: 'remove', seen: action.tag };
    if (action.kind === 'write' && isStorePlace(action.place) && winner) {
      places[action.place] = {
        kind: 'put',
        bytes: winner.bytes,
        seen: tagOf(seen, action.place),
        version: winner.id,
      };
    }
    if (action.kind === 'remove' && isStorePlace(action.place)) {
      const tag = tagOf(seen, action.place);
      /* v8 ignore else -- what was seen there has a tag, or there is nothing to remove */
      if (tag !== undefined) places[action.place] = { kind: 'remove', seen: tag };
    }
  }
  return {
    name: plan.name,
    keep,
    ...(keepAside.length > 0 && { keepAside }),
    ...(tombstone && { tombstone }),
    ...(places.store && { current: places.store }),
    ...(places.backup && { backup: places.backup }),
  };
}

/**
 * What a version replaces once it is current: all that the places hold, what was agreed before, what was deleted before,
 * and what a person had it made of.
 */
function replacedBy(
  id: VersionId,
  { decision }: CredentialPlan,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
): readonly VersionId[] {
  if (decision.kind !== 'spread' || winnerId(decision.winner) !== id) return [];
  const agreed = entry?.agreed ? [entry.agreed.id] : [];
  // The earlier tombstone goes, and a host that never saw it may still hold what it named.
  const earlier = tombstoneIn(seen);
  const deleted = earlier ? buriedVersions(earlier) : [];
  const madeOf = decision.madeOf === undefined ? [] : [decision.madeOf];
  return [...new Set([...versionsIn(seen), ...agreed, ...deleted, ...madeOf])].filter(
    (other) => other !== id,
  );
}

/** Keeps on this host what a batch replaces and no store can keep. */
export async function keepOnHost(batch: readonly Work[], state: State): Promise<void> {
  for (const item of batch) {
    if (stopped(item)) continue;
    for (const action of item.plan.actions) {
      if (action.kind === 'keep' && action.where === 'host')
        await keepVersionOnHost(item, action.version.id, state);
      if (action.kind === 'keep-aside' && action.where === 'host')
        await state.keepAside(item.plan.name, action.bytes);
    }
  }
}

async function keepVersionOnHost(item: Work, id: VersionId, state: State): Promise<void> {
  const bytes = item.bytes.get(id);
  /* v8 ignore else -- resolveBytes has them, or has stopped the item */
  if (bytes) await state.keep(item.plan.name, id, bytes);
}

/** Whether a step is one of the store's. */
export function isStoreAction(action: Action): boolean {
  switch (action.kind) {
    case 'keep':
    case 'keep-aside':
      return action.where === 'history';
    case 'bury':
    case 'unbury':
      return true;
    case 'write':
    case 'remove':
      return isStorePlace(action.place);
  }
}

function tagOf(seen: CredentialSnapshot, place: StorePlace): string | undefined {
  const sighting = seen[place];
  return sighting.kind === 'version' || sighting.kind === 'invalid' ? sighting.tag : undefined;
}
