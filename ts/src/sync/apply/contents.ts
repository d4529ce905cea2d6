/** The contents that a batch needs, from wherever they are. */
import { parseCredential, type VersionId } from '../../credential/version.ts';
import type { Reference, Store } from '../../stores/store.ts';
import { type CredentialPlan, winnerId } from '../model.ts';
import { holds } from '../sightings.ts';
import { untilAborted } from '../stopping.ts';
import type { Work } from './work.ts';

/** Reads from the store the contents that the actions need and that no place read so far. */
export async function resolveBytes(
  batch: readonly Work[],
  { store, signal }: { readonly store: Store; readonly signal?: AbortSignal | undefined },
): Promise<void> {
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
    const read = store.read(references, (reference, answer) => {
      const want = wanted.get(keyOf(reference));
      if (!want) return;
      const { item, id } = want;
      const parsed = answer.kind === 'object' ? parseCredential(answer.bytes) : undefined;
      if (parsed?.ok && parsed.version.id === id) item.bytes.set(id, parsed.version.bytes);
      else if (answer.kind === 'failed')
        item.failures.push(`reading version ${id.slice(0, 12)} from the store failed: ${answer.reason}`);
      else if (reference.area === 'history')
        item.failures.push(`version ${id.slice(0, 12)} is not in the store's history any more`);
      else item.lost = true;
    });
    await untilAborted(signal, read);
  }
  for (const item of batch) {
    if (item.plan.decision.kind !== 'spread') continue;
    const { winner } = item.plan.decision;
    const bytes = item.bytes.get(winnerId(winner));
    // What a place or a merge gave was parsed then.
    const version = winner.from === 'history' ? undefined : winner.version;
    const parsed = bytes && version === undefined ? parseCredential(bytes) : undefined;
    if (bytes && version) item.winner = { id: version.id, freshness: version.freshness, bytes };
    else if (parsed?.ok) item.winner = parsed.version;
    else if (item.failures.length === 0) item.lost = true;
  }
}

function neededVersions({ actions, decision }: CredentialPlan): ReadonlySet<VersionId> {
  const kept = actions.flatMap((action) => (action.kind === 'keep' ? [action.version.id] : []));
  return new Set(decision.kind === 'spread' ? [winnerId(decision.winner), ...kept] : kept);
}

function referenceTo({ plan, seen }: Work, id: VersionId): Reference {
  if (holds(seen.store, id)) return { area: 'current', name: plan.name };
  if (holds(seen.backup, id)) return { area: 'backup', name: plan.name };
  return { area: 'history', name: plan.name, id };
}

function keyOf(reference: Reference): string {
  return reference.area === 'history'
    ? `history ${reference.id} ${reference.name}`
    : `${reference.area} ${reference.name}`;
}
