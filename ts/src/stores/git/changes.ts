import { sha256 } from '../../credential/version.ts';
import { commitInSteps } from '../commit-all.ts';
import { configMetadataKey, historyMetadataKey, metadataBytes } from '../history-metadata.ts';
import { asideKey, CONFIG_KEY, configHistoryKey, historyKey, objectKey } from '../layout.ts';
import type { CommitOutcome, ConfigChange, ConfigOutcome, StoreChange } from '../store.ts';
import type { Draft } from './draft.ts';

/**
 * Puts one change into the draft, as far as its conditions hold: what a step that is lost was to be preceded by
 * stays in it.
 *
 * @param now What history says of when a version arrived: a Git server has no clock to ask.
 */
export function draftChange(draft: Draft, change: StoreChange, now: number): Promise<CommitOutcome> {
  const { name, keep, keepAside = [] } = change;
  return commitInSteps(change, {
    keep() {
      for (const entry of keep) {
        if (draft.has(historyKey(name, entry.id))) continue;
        draft.create(
          historyMetadataKey(name, entry.id),
          metadataBytes({ ...entry, arrived: entry.arrived ?? now }),
        );
        draft.create(historyKey(name, entry.id), entry.bytes);
      }
      for (const bytes of keepAside) draft.create(asideKey(name, sha256(bytes)), bytes);
    },
    apply(step, object) {
      const key = objectKey(step, name);
      return object.kind === 'put'
        ? draft.put(key, object.bytes, object.seen)
        : draft.remove(key, object.seen);
    },
  });
}

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
