import { sha256 } from '../../credential/version.ts';
import { configMetadataKey, historyMetadataKey, metadataBytes } from '../history-metadata.ts';
import { asideKey, CONFIG_KEY, configHistoryKey, historyKey, objectKey } from '../layout.ts';
import {
  type CommitOutcome,
  type CommitStep,
  type ConfigChange,
  type ConfigOutcome,
  type StoreChange,
  StoreError,
  type Tag,
} from '../store.ts';
import type { Draft } from './draft.ts';

/**
 * Puts one change into the draft, as far as its conditions hold: what a step that is lost was to be preceded by
 * stays in it.
 *
 * @param now What history says of when a version arrived: a Git server has no clock to ask.
 */
export function draftChange(draft: Draft, change: StoreChange, now: number): CommitOutcome {
  const { name, keep, keepAside = [] } = change;
  const tags: { current?: Tag; backup?: Tag; tombstone?: Tag } = {};
  let step: CommitStep = 'keep';
  try {
    for (const entry of keep) {
      if (draft.has(historyKey(name, entry.id))) continue;
      draft.create(
        historyMetadataKey(name, entry.id),
        metadataBytes({ ...entry, arrived: entry.arrived ?? now }),
      );
      draft.create(historyKey(name, entry.id), entry.bytes);
    }
    for (const bytes of keepAside) draft.create(asideKey(name, sha256(bytes)), bytes);
    for (step of STEPS) {
      const object = change[step];
      if (!object) continue;
      const key = objectKey(step, name);
      const answer =
        object.kind === 'put' ? draft.put(key, object.bytes, object.seen) : draft.remove(key, object.seen);
      if (answer.kind === 'lost') return { kind: 'lost', step };
      if (answer.tag !== undefined) tags[step] = answer.tag;
    }
    return { kind: 'done', ...tags };
  } catch (error) {
    if (error instanceof StoreError) return { kind: 'failed', step, error };
    throw error;
  }
}

const STEPS = ['tombstone', 'current', 'backup'] as const;

/** The same for the config. */
export function draftConfig(draft: Draft, change: ConfigChange, now: number): ConfigOutcome {
  for (const entry of change.keep) {
    const key = configHistoryKey(sha256(entry.bytes));
    if (draft.has(key)) continue;
    draft.create(configMetadataKey(key), metadataBytes({ ...entry, arrived: entry.arrived ?? now }));
    draft.create(key, entry.bytes);
  }
  const answer = draft.put(CONFIG_KEY, change.bytes, change.seen);
  return answer.kind === 'done' && answer.tag !== undefined
    ? { kind: 'done', tag: answer.tag }
    : { kind: 'lost' };
}
