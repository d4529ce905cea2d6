import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import { historyMetadataKey } from '../history-metadata.ts';
import { historyKey, PRUNED_PREFIX, parsePrunedKey, prunedKey } from '../layout.ts';
import { parsePruned, prunedBytes, withPruned } from '../pruned.ts';
import type { PruneEntry } from '../store.ts';
import type { Files } from './files.ts';
import type { HeldLock } from './lock.ts';

/** Takes versions out of history, their ids kept first. The store's lock is held. */
export async function pruneFiles(
  files: Files,
  held: HeldLock,
  entries: readonly PruneEntry[],
): Promise<number> {
  let removed = 0;
  for (const { name, versions, superseded } of entries) {
    const ids = withPruned(await readIds(files, prunedKey(name)), superseded);
    if (ids) await files.write(prunedKey(name), prunedBytes(ids), held.assertHeld);
    for (const id of versions) {
      await held.assertHeld();
      if (await files.has(historyKey(name, id))) removed++;
      // Its record last: an entry that is there always has its record.
      await files.remove(historyKey(name, id));
      await files.remove(historyMetadataKey(name, id));
    }
  }
  return removed;
}

export async function readPrunedFiles(
  files: Files,
  names?: readonly CredentialName[],
): Promise<ReadonlyMap<CredentialName, readonly VersionId[]>> {
  const listed = names ?? (await files.list(PRUNED_PREFIX)).flatMap((key) => parsePrunedKey(key) ?? []);
  const pruned = new Map<CredentialName, readonly VersionId[]>();
  for (const name of listed) pruned.set(name, await readIds(files, prunedKey(name)));
  return pruned;
}

async function readIds(files: Files, key: string): Promise<readonly VersionId[]> {
  const found = await files.read(key);
  return found.kind === 'file' ? parsePruned(found.bytes) : [];
}
