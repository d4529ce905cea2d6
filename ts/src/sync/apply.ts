/**
 * The executor: carries a plan out, in batches. For each credential the order of `Action`s is kept: what is
 * replaced is kept first, the store comes before local files, and the base is written last, so that a crash at
 * any point leaves the old or the new version in every place, and the next run goes on from there.
 */
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { CredentialName } from '../credential/name.ts';
import { contentOf, parseCredential, type Version, type VersionId, versionOf } from '../credential/version.ts';
import { fsyncDirectory } from '../files/atomic-write.ts';
import { type CommitOutcome, type HistoryEntry, type ObjectChange, type Reference, type Store, type StoreChange, StoreError } from '../stores/store.ts';
import { intentOf, nextDeletions, nextEntry, nextMarkers, type Outcome } from './base.ts';
import { localPath } from './local.ts';
import { type LocalOutcome, removeLocal, writeLocal } from './local-write.ts';
import {
  type Action,
  type Base,
  type BaseEntry,
  type CredentialPlan,
  type CredentialSnapshot,
  type Intent,
  type LocalPlace,
  type Plan,
  type Place,
  PLACES,
  type SeenVersion,
  type Snapshot,
  type StorePlace,
  winnerId,
} from './model.ts';
import { effectiveBase } from './plan.ts';
import type { State } from './state.ts';
import { serializeTombstone } from './tombstone-record.ts';

/** Credentials carried out between two writes of the base. */
const BATCH = 500;
const LOCAL_WRITES_AT_ONCE = 8;
/** Between writing a deleted file disabled and unlinking it: a proxy under load writes back what it holds. */
const DISABLED_BEFORE_UNLINK_MS = 300;

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
  /** Called before every batch; throws if the run must stop (lock lost, time is up). */
  readonly checkpoint: () => void;
  readonly onResult: (result: CredentialResult) => void;
}

export interface CredentialResult {
  readonly plan: CredentialPlan;
  readonly outcome: 'done' | 'lost' | 'failed';
  /** What failed, as a sentence, with the remedy in it. */
  readonly failures: readonly string[];
}

export interface ApplyReport {
  readonly base: Base;
  /** At least one credential changed while it was worked on: plan again. */
  readonly lost: boolean;
  /** What was left in each local place, for the second look; undefined for what was removed. */
  readonly written: Readonly<Record<LocalPlace, ReadonlyMap<CredentialName, Uint8Array | undefined>>>;
  /** The store failed as a whole in the middle: what was done is in the base. */
  readonly storeError: StoreError | undefined;
}

export async function apply(plan: Plan, snapshot: Snapshot, base: Base, context: ApplyContext): Promise<ApplyReport> {
  const written = { auth: new Map<CredentialName, Uint8Array | undefined>(), ccs: new Map<CredentialName, Uint8Array | undefined>() };
  const credentials = new Map(base.credentials);
  const leftIntents = new Map(base.intents);
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
    if (!seen) return;
    const entry = nextEntry(credential, seen, effectiveBase(base, snapshot, name), snapshot, outcome);
    if (entry) credentials.set(name, entry);
    else credentials.delete(name);
    if (outcome.complete) leftIntents.delete(name);
    if (outcome.complete && credential.decision.kind === 'spread') living.push(name);
  };
  for (const credential of idle) remember(credential, { complete: true, tags: {}, removed: [] });

  for (let start = 0; start < busy.length && !storeError; start += BATCH) {
    context.checkpoint();
    const batch = busy.slice(start, start + BATCH).map((credential) => work(credential, snapshot, base));
    try {
      await resolveBytes(batch, context.store);
      await keepOnHost(batch, context.state);
      await commitToStore(batch, leftIntents, snapshot, context);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Out of reach as a whole. What the store had already is found again by the notes that were made ahead.
      storeError = error;
    }
    if (!storeError) await writeLocalPlaces(batch, written, context);
    for (const item of batch) {
      const outcome = storeError ? 'failed' : item.lost ? 'lost' : item.failures.length > 0 ? 'failed' : 'done';
      lost ||= outcome === 'lost';
      if (storeError) continue;
      const complete = outcome === 'done' && !item.changedAgain;
      lost ||= item.changedAgain;
      remember(item.plan, { complete, tags: item.tags, tombstone: item.tombstoneTag, removed: item.removed, ...(item.winner && { winner: item.winner }) });
      if (complete && item.plan.decision.kind === 'delete' && !context.allowDelete.has(item.plan.name)) deleted.push(item.plan.name);
      context.onResult({ plan: item.plan, outcome, failures: item.failures });
    }
    if (context.storeId !== undefined) await context.state.saveBase(context.storeId, baseNow());
  }
  if (busy.length === 0 && context.storeId !== undefined) await context.state.saveBase(context.storeId, baseNow());
  return { base: baseNow(), lost, written, storeError };
}

/** One credential on its way through a batch. */
interface Work {
  readonly plan: CredentialPlan;
  readonly seen: CredentialSnapshot;
  readonly entry: BaseEntry | undefined;
  readonly bytes: Map<VersionId, Uint8Array>;
  winner: Version | undefined;
  readonly tags: Partial<Record<StorePlace, string>>;
  tombstoneTag: string | undefined;
  readonly removed: LocalPlace[];
  readonly failures: string[];
  lost: boolean;
  /** A program wrote while its file was replaced: what it wrote is back in place, to be planned. */
  changedAgain: boolean;
}

function work(plan: CredentialPlan, snapshot: Snapshot, base: Base): Work {
  const seen = snapshot.credentials.get(plan.name);
  if (!seen) throw new Error(`${plan.name} is in the plan and not in the snapshot`);
  const entry = effectiveBase(base, snapshot, plan.name);
  const bytes = new Map<VersionId, Uint8Array>();
  const add = (version: SeenVersion) => version.bytes && bytes.set(version.id, version.bytes);
  for (const place of PLACES) {
    const sighting = seen[place];
    if (sighting.kind === 'version') add(sighting.version);
  }
  if (plan.decision.kind === 'spread' && plan.decision.winner.from !== 'history') add(plan.decision.winner.version);
  return { plan, seen, entry, bytes, winner: undefined, tags: {}, tombstoneTag: undefined, removed: [], failures: [], lost: false, changedAgain: false };
}

/** Reads from the store the contents that the actions need and that no place read so far. */
async function resolveBytes(batch: readonly Work[], store: Store): Promise<void> {
  const wanted = new Map<string, { item: Work; id: VersionId }>();
  const references: Reference[] = [];
  for (const item of batch) {
    for (const id of neededVersions(item.plan)) {
      if (item.bytes.has(id)) continue;
      const reference = referenceTo(item, id);
      wanted.set(keyOf(reference), { item, id });
      references.push(reference);
    }
  }
  if (references.length > 0) {
    await store.read(references, (reference, answer) => {
      const want = wanted.get(keyOf(reference));
      if (!want) return;
      const { item, id } = want;
      const parsed = answer.kind === 'object' ? parseCredential(answer.bytes) : undefined;
      if (parsed?.ok && parsed.version.id === id) item.bytes.set(id, parsed.version.bytes);
      else if (answer.kind === 'failed') item.failures.push(`reading version ${id.slice(0, 12)} from the store failed: ${answer.reason}`);
      else if (reference.area === 'history') item.failures.push(`version ${id.slice(0, 12)} is not in the store's history any more`);
      else item.lost = true;
    });
  }
  for (const item of batch) {
    if (item.plan.decision.kind !== 'spread') continue;
    const bytes = item.bytes.get(winnerId(item.plan.decision.winner));
    const parsed = bytes && parseCredential(bytes);
    if (parsed?.ok) item.winner = parsed.version;
    else if (item.failures.length === 0) item.lost = true;
  }
}

function neededVersions({ actions, decision }: CredentialPlan): ReadonlySet<VersionId> {
  const kept = actions.flatMap((action) => (action.kind === 'keep' ? [action.version.id] : []));
  return new Set(decision.kind === 'spread' ? [winnerId(decision.winner), ...kept] : kept);
}

function referenceTo({ plan, seen }: Work, id: VersionId): Reference {
  const holds = (place: StorePlace) => {
    const sighting = seen[place];
    return sighting.kind === 'version' && sighting.version.id === id;
  };
  if (holds('store')) return { area: 'current', name: plan.name };
  if (holds('backup')) return { area: 'backup', name: plan.name };
  return { area: 'history', name: plan.name, id };
}

function keyOf(reference: Reference): string {
  return reference.area === 'history' ? `history ${reference.id} ${reference.name}` : `${reference.area} ${reference.name}`;
}

async function keepOnHost(batch: readonly Work[], state: State): Promise<void> {
  for (const item of batch) {
    if (stopped(item)) continue;
    for (const action of item.plan.actions) {
      if (action.kind === 'keep' && action.where === 'host') await keepVersionOnHost(item, action.version.id, state);
      if (action.kind === 'keep-aside' && action.where === 'host') await state.keepAside(item.plan.name, action.bytes);
    }
  }
}

async function keepVersionOnHost(item: Work, id: VersionId, state: State): Promise<void> {
  const bytes = item.bytes.get(id);
  if (bytes) await state.keep(item.plan.name, id, bytes);
}

async function commitToStore(batch: readonly Work[], intents: Map<CredentialName, Intent>, snapshot: Snapshot, context: ApplyContext): Promise<void> {
  const writing = batch.filter((item) => !stopped(item) && item.plan.actions.some(isStoreAction));
  if (writing.length === 0) return;
  for (const item of writing) {
    const writes = item.plan.actions.some((action) => action.kind === 'write' && isStorePlace(action.place));
    if (writes && item.winner) intents.set(item.plan.name, intentOf(item.winner, item.seen, item.entry, snapshot.now));
  }
  if (context.storeId !== undefined) await context.state.noteIntents(context.storeId, intents);
  const outcomes = await context.store.commit(writing.map((item) => storeChange(item, context.hostName)));
  for (const [index, item] of writing.entries()) await takeOutcome(item, outcomes[index], context);
}

async function takeOutcome(item: Work, outcome: CommitOutcome | undefined, { state, store }: ApplyContext): Promise<void> {
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
      item.failures.push(`${outcome.error.message}. ${outcome.error.remedy}`);
      // The local places may still be brought in step; what they lose is then kept here.
      for (const action of item.plan.actions) if (action.kind === 'keep') await keepVersionOnHost(item, action.version.id, state);
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
      if (content) keep.push({ id: action.version.id, bytes: content, host, reason: action.reason, replaces: replacedBy(action.version.id, plan, seen, entry) });
    }
    if (action.kind === 'keep-aside' && action.where === 'history') keepAside.push(action.bytes);
    if (action.kind === 'bury') tombstone = { kind: 'put', bytes: serializeTombstone(action.tombstone), seen: undefined };
    if (action.kind === 'unbury') tombstone = { kind: 'remove', seen: action.tag };
    if (action.kind === 'write' && isStorePlace(action.place) && winner) {
      places[action.place] = { kind: 'put', bytes: winner.bytes, seen: tagOf(seen, action.place), version: winner.id };
    }
    if (action.kind === 'remove' && isStorePlace(action.place)) {
      const tag = tagOf(seen, action.place);
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

/** What a version replaces once it is current: all that the places hold, and what was agreed before. */
function replacedBy(id: VersionId, { decision }: CredentialPlan, seen: CredentialSnapshot, entry: BaseEntry | undefined): readonly VersionId[] {
  if (decision.kind !== 'spread' || winnerId(decision.winner) !== id) return [];
  const ids = PLACES.flatMap((place) => {
    const sighting = seen[place];
    return sighting.kind === 'version' ? [sighting.version.id] : [];
  });
  if (entry?.agreed) ids.push(entry.agreed.id);
  return [...new Set(ids)].filter((other) => other !== id);
}

async function writeLocalPlaces(
  batch: readonly Work[],
  written: Record<LocalPlace, Map<CredentialName, Uint8Array | undefined>>,
  context: ApplyContext,
): Promise<void> {
  const limit = pLimit(LOCAL_WRITES_AT_ONCE);
  const touched = new Set<string>();
  const tasks: Promise<void>[] = [];
  const removals: { item: Work; place: LocalPlace; directory: string; action: Extract<Action, { kind: 'remove' }> }[] = [];
  for (const item of batch) {
    // A deletion needs its tombstone in the store, a spread does not need the store.
    if (item.lost || (item.failures.length > 0 && (item.plan.decision.kind === 'delete' || !item.winner))) continue;
    for (const action of item.plan.actions) {
      if ((action.kind !== 'write' && action.kind !== 'remove') || isStorePlace(action.place)) continue;
      const { place } = action;
      const directory = context.directories[place];
      if (directory === undefined) continue;
      touched.add(dirname(localPath(directory, item.plan.name)));
      if (action.kind === 'remove') removals.push({ item, place, directory, action });
      else tasks.push(limit(() => writeOne(item, place, directory, action, written, context.state)));
    }
  }
  await Promise.all(tasks);
  await removeAll(removals, written, context.state);
  for (const directory of touched) await fsyncDirectory(directory).catch(() => undefined);
}

async function writeOne(
  item: Work,
  place: LocalPlace,
  directory: string,
  action: Extract<Action, { kind: 'write' }>,
  written: Record<LocalPlace, Map<CredentialName, Uint8Array | undefined>>,
  state: State,
): Promise<void> {
  if (!item.winner) return;
  const { bytes } = item.winner;
  const outcome = await writeLocal(directory, item.plan.name, bytes, action.seen);
  if (await settle(item, outcome, place, state)) written[place].set(item.plan.name, bytes);
  if (outcome.kind === 'late-write' && outcome.sighting.kind === 'version') {
    // What the program wrote last takes the name again, and the next round plans it as the change that it is.
    const { version } = outcome.sighting;
    if (version.bytes) await writeLocal(directory, item.plan.name, version.bytes, { kind: 'version', version: item.winner });
  }
}

/**
 * Removes files, in the auth dir in two steps: first the same content with `disabled: true`, so that a running
 * proxy stops using and saving it, then the unlink.
 */
async function removeAll(
  removals: readonly { item: Work; place: LocalPlace; directory: string; action: Extract<Action, { kind: 'remove' }> }[],
  written: Record<LocalPlace, Map<CredentialName, Uint8Array | undefined>>,
  state: State,
): Promise<void> {
  const ready: { item: Work; place: LocalPlace; directory: string; seen: Action & { kind: 'remove' } }[] = [];
  for (const { item, place, directory, action } of removals) {
    const { seen } = action;
    if (place !== 'auth' || seen.kind !== 'version' || !seen.version.bytes) {
      ready.push({ item, place, directory, seen: action });
      continue;
    }
    const content = contentOf({ ...seen.version, bytes: seen.version.bytes });
    if (content.disabled === true) {
      ready.push({ item, place, directory, seen: action });
      continue;
    }
    const disabled = versionOf({ ...content, disabled: true });
    const outcome = await writeLocal(directory, item.plan.name, disabled.bytes, seen);
    if (await settle(item, outcome, place, state)) ready.push({ item, place, directory, seen: { ...action, seen: { kind: 'version', version: disabled } } });
  }
  if (ready.some(({ place }) => place === 'auth')) await sleep(DISABLED_BEFORE_UNLINK_MS);
  for (const { item, place, directory, seen } of ready) {
    const outcome = await removeLocal(directory, item.plan.name, seen.seen);
    if (!(await settle(item, outcome, place, state))) continue;
    item.removed.push(place);
    written[place].set(item.plan.name, undefined);
  }
}

/** Takes down how a local write ended; true if the file now is as it was to be. */
async function settle(item: Work, outcome: LocalOutcome, place: Place, state: State): Promise<boolean> {
  switch (outcome.kind) {
    case 'done':
      return true;
    case 'lost':
      item.lost = true;
      return false;
    case 'failed':
      item.failures.push(`writing the ${place === 'auth' ? 'auth dir' : 'CCS dir'} failed: ${outcome.reason}`);
      return false;
    case 'late-write': {
      item.changedAgain = true;
      const { sighting } = outcome;
      if (sighting.kind === 'invalid') await state.keepAside(item.plan.name, sighting.bytes);
      else if (sighting.version.bytes) await state.keep(item.plan.name, sighting.version.id, sighting.version.bytes);
      return false;
    }
  }
}

function stopped(item: Work): boolean {
  return item.lost || item.failures.length > 0;
}

function isStoreAction(action: Action): boolean {
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

function isStorePlace(place: Place): place is StorePlace {
  return place === 'store' || place === 'backup';
}

function tagOf(seen: CredentialSnapshot, place: StorePlace): string | undefined {
  const sighting = seen[place];
  return sighting.kind === 'version' || sighting.kind === 'invalid' ? sighting.tag : undefined;
}
