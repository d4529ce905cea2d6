/** Rule: which versions history may lose for their age, and what must be remembered of them. */
import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import type { HistoryRecord, PruneEntry } from '../../stores/store.ts';
import { type CredentialSnapshot, PLACES, type Snapshot } from '../model.ts';
import { inSequence } from '../sequence.ts';
import { versionsIn } from '../sightings.ts';
import { supersededVersions } from './superseded.ts';
import { buriedVersions } from './tombstone.ts';

/** Of each credential both are kept: so many versions, the newest, and all that are younger than so many days. */
export interface HistoryKeep {
  readonly versions: number;
  readonly days: number;
}

export const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * What may go, and what must be remembered in its stead.
 *
 * It never is a version that a place holds or that a tombstone names, and nothing of a credential that neither is
 * anywhere nor has a tombstone: there history is all that is left. What history without these versions would no
 * longer tell, that others were replaced, is remembered by their ids: so one that comes back from an old disk is
 * recognised all the same. Pure.
 */
export function expendable(
  records: readonly HistoryRecord[],
  snapshot: Pick<Snapshot, 'now' | 'credentials'>,
  pruned: ReadonlyMap<CredentialName, readonly VersionId[]>,
  { versions, days }: HistoryKeep,
): readonly PruneEntry[] {
  const groups = new Map<CredentialName, HistoryRecord[]>();
  for (const record of records) groups.set(record.name, [...(groups.get(record.name) ?? []), record]);
  return [...groups].flatMap(([name, all]): PruneEntry[] => {
    const seen = snapshot.credentials.get(name);
    const needed = seen && neededVersions(seen);
    if (!needed) return [];
    const old = inSequence(all)
      .slice(0, -versions)
      .filter(({ id, arrived }) => snapshot.now - arrived >= days * DAY_MS && !needed.has(id));
    if (old.length === 0) return [];
    const going = new Set(old.map(({ id }) => id));
    const current = [...needed];
    const known = pruned.get(name) ?? [];
    const told = (left: readonly HistoryRecord[]) => supersededVersions(undefined, left, current, known);
    const after = told(all.filter(({ id }) => !going.has(id)));
    const superseded = [...told(all)].filter((id) => !after.has(id) && !needed.has(id));
    return [{ name, versions: [...going], superseded }];
  });
}

/** The versions that must stay; undefined if nothing tells which. */
export function neededVersions(seen: CredentialSnapshot): ReadonlySet<VersionId> | undefined {
  if (seen.tombstone?.kind === 'invalid') return undefined;
  const held = versionsIn(seen, PLACES);
  if (!seen.tombstone) return held.length > 0 ? new Set(held) : undefined;
  return new Set([...held, ...buriedVersions(seen.tombstone.tombstone)]);
}
