import { sha256 } from '../../credential/version.ts';
import { type Applied, commitInSteps } from '../commit-all.ts';
import { asideKey, historyKey, objectKey } from '../layout.ts';
import type { CommitOutcome, ObjectChange, StoreChange } from '../store.ts';
import { historyMetadata } from './history.ts';
import type { Writer } from './write.ts';

/** Carries out one change in the contract's order, stopping at the first step that fails. */
export function commitChange(writer: Writer, change: StoreChange): Promise<CommitOutcome> {
  return commitInSteps(change, {
    keep: () => keep(writer, change),
    apply: (step, object) => apply(writer, objectKey(step, change.name), object, step === 'tombstone'),
  });
}

async function keep(writer: Writer, { name, keep: entries, keepAside = [] }: StoreChange): Promise<void> {
  await Promise.all([
    ...entries.map((entry) =>
      writer.create(historyKey(name, entry.id), entry.bytes, { metadata: historyMetadata(entry) }),
    ),
    ...keepAside.map((bytes) =>
      writer.create(asideKey(name, sha256(bytes)), bytes, { contentType: 'application/octet-stream' }),
    ),
  ]);
}

async function apply(writer: Writer, key: string, change: ObjectChange, isRecord: boolean): Promise<Applied> {
  if (change.kind === 'remove') return writer.remove(key, change.seen);
  const version = isRecord ? undefined : change.version;
  return writer.put(key, change.bytes, change.seen, version && { metadata: { [RECORDED]: version } });
}

/** Metadata that says which version one of our programs wrote here: `x-amz-meta-sync-version`. */
export const RECORDED = 'sync-version';
