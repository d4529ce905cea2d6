/** A batch's writes to the auth dir and the CCS dir. */
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { CredentialName } from '../../credential/name.ts';
import { contentOf, versionOf } from '../../credential/version.ts';
import { errorWords, fsyncDirectory, hasCode } from '../../files/atomic-write.ts';
import { localPath } from '../local.ts';
import { type LocalOutcome, removeLocal, writeLocal } from '../local-write.ts';
import {
  type Action,
  type Base,
  isStorePlace,
  LOCAL_PLACES,
  type LocalPlace,
  type Sighting,
  type Snapshot,
} from '../model.ts';
import { type State, StateError } from '../state.ts';
import type { Work, Written } from './work.ts';

const LOCAL_WRITES_AT_ONCE = 8;
/** Between writing a deleted file disabled and unlinking it: a proxy under load writes back what it holds. */
const DISABLED_BEFORE_UNLINK_MS = 300;

export interface LocalContext {
  readonly state: State;
  readonly directories: Readonly<Record<LocalPlace, string | undefined>>;
}

/** Writes and removes files, each on the condition that it is as the plan saw it. */
export async function writeLocalPlaces(
  batch: readonly Work[],
  written: Written,
  context: LocalContext,
): Promise<void> {
  const limit = pLimit(LOCAL_WRITES_AT_ONCE);
  const touched = new Set<string>();
  const tasks: Promise<void>[] = [];
  const removals: {
    item: Work;
    place: LocalPlace;
    directory: string;
    action: Extract<Action, { kind: 'remove' }>;
  }[] = [];
  for (const item of batch) {
    // A deletion needs its tombstone in the store, a spread does not need the store.
    if (item.lost || (item.failures.length > 0 && (item.plan.decision.kind === 'delete' || !item.winner)))
      continue;
    for (const action of item.plan.actions) {
      if ((action.kind !== 'write' && action.kind !== 'remove') || isStorePlace(action.place)) continue;
      const { place } = action;
      const directory = context.directories[place];
      /* v8 ignore if -- a place without a directory is not listed, and nothing is planned for it */
      if (directory === undefined) continue;
      touched.add(dirname(localPath(directory, item.plan.name)));
      if (action.kind === 'remove') removals.push({ item, place, directory, action });
      else tasks.push(limit(() => writeOne(item, place, directory, action, written, context.state)));
    }
  }
  await Promise.all(tasks);
  await removeAll(removals, written, context.state);
  for (const folder of touched) await syncFolder(folder);
}

/**
 * Makes the names of files durable that this run saw and the base does not know yet. Who made them need not have done
 * so: other programs do not, and a run that was killed had no time to. What the base has and the disk has lost with
 * the power would read as deleted, everywhere. A content that is lost is none of that: it is healed.
 *
 * @throws StateError if the disk does not do it: then nothing may be remembered.
 */
export async function syncNames(
  base: Base,
  { credentials }: Snapshot,
  directories: LocalContext['directories'],
): Promise<void> {
  const folders = new Set<string>();
  for (const [name, seen] of credentials) {
    for (const place of LOCAL_PLACES) {
      const directory = directories[place];
      const sighting = seen[place];
      if (directory === undefined || sighting.kind !== 'version') continue;
      if (base.credentials.get(name)?.at[place] === sighting.version.id) continue;
      const root = resolve(directory);
      // With the folders that it is in.
      for (
        let folder = dirname(localPath(root, name));
        folder.length >= root.length;
        folder = dirname(folder)
      )
        folders.add(folder);
    }
  }
  for (const folder of folders) await syncFolder(folder);
}

async function syncFolder(folder: string): Promise<void> {
  try {
    await fsyncDirectory(folder);
  } catch (error) {
    // Removed meanwhile, with all that was in it.
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return;
    throw new StateError(
      'unusable',
      `cannot make sure that what is in ${folder} is on the disk: ${errorWords(error)}`,
      'Look at that disk (`dmesg`) and run again; nothing was lost.',
      { cause: error },
    );
  }
}

async function writeOne(
  item: Work,
  place: LocalPlace,
  directory: string,
  action: Extract<Action, { kind: 'write' }>,
  written: Written,
  state: State,
): Promise<void> {
  /* v8 ignore if -- resolveBytes has the winner, or has stopped the item */
  if (!item.winner) return;
  const { bytes } = item.winner;
  const outcome = await writeLocal(directory, item.plan.name, bytes, action.seen);
  if (await settle(item, outcome, place, state)) written[place].set(item.plan.name, bytes);
  await putBackLateWrite(outcome, directory, item.plan.name, { kind: 'version', version: item.winner });
}

/** What a program wrote last takes the name again, and the next round plans it as the change that it is. */
async function putBackLateWrite(
  outcome: LocalOutcome,
  directory: string,
  name: CredentialName,
  inItsPlace: Sighting,
): Promise<void> {
  if (outcome.kind !== 'late-write' || outcome.sighting.kind !== 'version') return;
  const { bytes } = outcome.sighting.version;
  /* v8 ignore else -- what was read from a descriptor has its bytes */
  if (bytes) await writeLocal(directory, name, bytes, inItsPlace);
}

/**
 * Removes files, in the auth dir in two steps: first the same content with `disabled: true`, so that a running
 * proxy stops using and saving it, then the unlink.
 */
async function removeAll(
  removals: readonly {
    item: Work;
    place: LocalPlace;
    directory: string;
    action: Extract<Action, { kind: 'remove' }>;
  }[],
  written: Written,
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
    if (await settle(item, outcome, place, state))
      ready.push({
        item,
        place,
        directory,
        seen: { ...action, seen: { kind: 'version', version: disabled } },
      });
  }
  if (ready.some(({ place }) => place === 'auth')) await sleep(DISABLED_BEFORE_UNLINK_MS);
  for (const { item, place, directory, seen } of ready) {
    const outcome = await removeLocal(directory, item.plan.name, seen.seen);
    if (!(await settle(item, outcome, place, state))) {
      await putBackLateWrite(outcome, directory, item.plan.name, { kind: 'absent' });
      continue;
    }
    item.removed.push(place);
    written[place].set(item.plan.name, undefined);
  }
}

/** Takes down how a local write ended; true if the file now is as it was to be. */
async function settle(item: Work, outcome: LocalOutcome, place: LocalPlace, state: State): Promise<boolean> {
  switch (outcome.kind) {
    case 'done':
      return true;
    case 'lost':
      item.lost = true;
      return false;
    case 'failed':
      if (item.plan.decision.kind === 'spread') item.unwritten.push(place);
      item.failures.push(
        `writing the ${place === 'auth' ? 'auth dir' : 'CCS dir'} failed: ${outcome.reason}`,
      );
      return false;
    case 'late-write': {
      item.changedAgain = true;
      const { sighting } = outcome;
      if (sighting.kind === 'invalid') {
        await state.keepAside(item.plan.name, sighting.bytes);
        return false;
      }
      const { id, bytes } = sighting.version;
      /* v8 ignore else -- as above */
      if (bytes) await state.keep(item.plan.name, id, bytes);
      return false;
    }
  }
}
