import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import { historyKey, PRUNED_PREFIX, parsePrunedKey, prunedKey } from '../layout.ts';
import { forEachParallel } from '../parallel.ts';
import { parsePruned, prunedBytes, withPruned } from '../pruned.ts';
import { type PruneEntry, StoreError, type Tag } from '../store.ts';
import type { Bucket } from './bucket.ts';
import { MAX_PARALLEL } from './client.ts';
import type { Writer } from './write.ts';

/** Hosts that prune the same credential at once are few. */
const MAX_TRIES = 8;

/** Takes versions out of history, their ids kept first. */
export async function pruneHistory(
  bucket: Bucket,
  writer: Writer,
  entries: readonly PruneEntry[],
): Promise<number> {
  await forEachParallel(entries, MAX_PARALLEL, (entry) => remember(bucket, writer, entry));
  const keys = entries.flatMap(({ name, versions }) => versions.map((id) => historyKey(name, id)));
  let removed = 0;
  await forEachParallel(keys, MAX_PARALLEL, async (key) => {
    // What is under such a key never changes, so there is no condition to make.
    const answer = await bucket.remove(key);
    if (answer.kind === 'denied') throw answer.error;
    removed++;
  });
  return removed;
}

export async function readPruned(
  bucket: Bucket,
  names?: readonly CredentialName[],
): Promise<ReadonlyMap<CredentialName, readonly VersionId[]>> {
  const listed =
    names ?? ((await bucket.list(PRUNED_PREFIX)) ?? []).flatMap(({ key }) => parsePrunedKey(key) ?? []);
  const pruned = new Map<CredentialName, readonly VersionId[]>();
  await forEachParallel(listed, MAX_PARALLEL, async (name) => {
    pruned.set(name, (await read(bucket, name)).ids);
  });
  return pruned;
}

async function remember(bucket: Bucket, writer: Writer, { name, superseded }: PruneEntry): Promise<void> {
  for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
    const { ids: known, tag } = await read(bucket, name);
    const ids = withPruned(known, superseded);
    if (!ids) return;
    const options = { contentType: 'text/plain' };
    if ((await writer.put(prunedKey(name), prunedBytes(ids), tag, options)).kind === 'done') return;
  }
  throw new StoreError(
    'unreachable',
    `The history of ${name} in ${bucket.location} is being pruned by other hosts again and again.`,
    'Nothing to do: it is tried again another day.',
  );
}

async function read(
  bucket: Bucket,
  name: string,
): Promise<{ readonly ids: readonly VersionId[]; readonly tag: Tag | undefined }> {
  const answer = await bucket.get(prunedKey(name));
  if (answer.kind === 'denied') throw answer.error;
  return answer.kind === 'object'
    ? { ids: parsePruned(answer.bytes), tag: answer.tag }
    : { ids: [], tag: undefined };
}
