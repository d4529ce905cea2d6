/** Versions that a commit replaces or deletes and that neither a record in history nor the tombstone names. */
import type { CredentialName } from '../../credential/name.ts';
import type { VersionId } from '../../credential/version.ts';
import type { PruneEntry } from '../../stores/store.ts';
import { STORE_PLACES } from '../model.ts';
import { supersededVersions } from '../rules/superseded.ts';
import { buriedVersions } from '../rules/tombstone.ts';
import { tombstoneIn, versionsIn } from '../sightings.ts';
import type { Work } from './work.ts';

/**
 * What a commit deletes that its tombstone does not name. Hosts that still hold it are to know it, once the tombstone
 * is gone. While it stands, this says nothing new: if the commit fails, no harm is done.
 *
 * - A version that ends a tombstone and is in history already, since a person put it back, has a record there that
 *   says nothing of what was deleted meanwhile, and stays as it is.
 * - A version that reached the store in the moment of the deletion is covered by the tombstone's freshness alone.
 */
export function deletedUnnamed(item: Work): PruneEntry[] {
  const { plan, seen, winner } = item;
  const tombstone = tombstoneIn(seen);
  if (!tombstone) return [];
  const named = buriedVersions(tombstone);
  if (plan.decision.kind === 'delete') {
    if (plan.decision.tag === undefined) return [];
    return superseding(
      plan.name,
      versionsIn(seen, STORE_PLACES).filter((id) => !named.includes(id)),
    );
  }
  if (!winner || !isInHistoryAlready(item) || !plan.actions.some(({ kind }) => kind === 'unbury')) return [];
  return superseding(
    plan.name,
    named.filter((id) => id !== winner.id),
  );
}

/**
 * What a commit that is done replaced, where history does not say so: the winner's record was put there by a write that
 * lost its race, or when the version was current before, and stays as it is.
 */
export function replacedUnnamed(item: Work): PruneEntry[] {
  const { plan, seen, winner } = item;
  const { store } = seen;
  const isWritten = plan.actions.some((action) => action.kind === 'write' && action.place === 'store');
  if (!winner || !isWritten || store.kind !== 'version' || !isInHistoryAlready(item)) return [];
  const known = supersededVersions(undefined, seen.history, [winner.id], seen.pruned);
  return known.has(store.version.id) ? [] : superseding(plan.name, [store.version.id]);
}

function isInHistoryAlready({ plan, winner }: Work): boolean {
  return !plan.actions.some(
    (action) => action.kind === 'keep' && action.where === 'history' && action.version.id === winner?.id,
  );
}

function superseding(name: CredentialName, superseded: readonly VersionId[]): PruneEntry[] {
  return superseded.length > 0 ? [{ name, versions: [], superseded }] : [];
}
