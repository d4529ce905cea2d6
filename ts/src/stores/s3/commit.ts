import { sha256 } from '../../credential/version.ts';
import { asideKey, historyKey, objectKey } from '../layout.ts';
import {
  type CommitOutcome,
  type CommitStep,
  type ObjectChange,
  type StoreChange,
  StoreError,
  type Tag,
} from '../store.ts';
import { historyMetadata } from './history.ts';
import type { Writer } from './write.ts';

/** Carries out one change in the contract's order, stopping at the first step that fails. */
export async function commitChange(writer: Writer, change: StoreChange): Promise<CommitOutcome> {
  const tags: { current?: Tag; backup?: Tag; tombstone?: Tag } = {};
  let step: CommitStep = 'keep';
  try {
    await keep(writer, change);
    for (step of STEPS) {
      const object = change[step];
      if (!object) continue;
      const answer = await apply(writer, objectKey(step, change.name), object, step === 'tombstone');
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

async function apply(
  writer: Writer,
  key: string,
  change: ObjectChange,
  isRecord: boolean,
): Promise<{ readonly kind: 'done'; readonly tag?: Tag } | { readonly kind: 'lost' }> {
  if (change.kind === 'remove') return writer.remove(key, change.seen);
  const version = isRecord ? undefined : change.version;
  return writer.put(key, change.bytes, change.seen, version && { metadata: { [RECORDED]: version } });
}

/** Metadata that says which version one of our programs wrote here: `x-amz-meta-sync-version`. */
export const RECORDED = 'sync-version';
