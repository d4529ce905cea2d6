/** Source and target as one snapshot for the planner, and what it makes of them. Pure. */
import { compareFreshness } from '../credential/freshness.ts';
import type { CredentialName } from '../credential/name.ts';
import { sha256, type VersionId } from '../credential/version.ts';
import type { HistoryRecord, Tag } from '../stores/store.ts';
import { isStoreAction } from '../sync/apply/store.ts';
import { EMPTY_BASE } from '../sync/base.ts';
import type {
  CredentialSnapshot,
  PlaceState,
  Plan,
  Sighting,
  Snapshot,
  Tombstone,
  TombstoneSighting,
} from '../sync/model.ts';
import { plan } from '../sync/plan.ts';
import { isSameTombstone } from '../sync/rules/tombstone.ts';
import { type Held, type Holdings, NOTHING_HELD } from './holdings.ts';

const LISTED: PlaceState = { kind: 'listed', marker: undefined, folds: false };

/**
 * What the target is to be given. The source's current objects and backup copies stand where a joining host has its
 * auth dir and CCS dir; nothing is planned for those.
 */
export function planTarget(
  from: Holdings,
  to: Holdings,
  host: string,
): { readonly snapshot: Snapshot; readonly made: Plan } {
  const credentials = new Map<CredentialName, CredentialSnapshot>();
  for (const [name, held] of from.credentials) {
    const other = to.credentials.get(name) ?? NOTHING_HELD;
    // What only history has was deleted by a proxy, or the store was emptied: the target's next sync decides.
    if (!isThere(held) && !isThere(other)) continue;
    credentials.set(name, {
      auth: versionOnly(held.current),
      ccs: versionOnly(held.backup),
      store: other.current,
      backup: other.backup,
      tombstone: laterTombstone(held, other),
      history: union(other.history, held.history),
      pruned: [...(to.pruned.get(name) ?? []), ...(from.pruned.get(name) ?? [])],
    });
  }
  const places = { auth: LISTED, ccs: LISTED, store: LISTED, backup: LISTED };
  const snapshot: Snapshot = { now: Date.now(), places, credentials, problems: [] };
  const options = { allowDelete: new Set(credentials.keys()), host };
  const made = plan(EMPTY_BASE, snapshot, { store: true }, options);
  const storeOnly = made.credentials.map((planned) => ({
    ...planned,
    actions: planned.actions.filter(
      (action) =>
        isStoreAction(action) && !(action.kind === 'unbury' && !to.credentials.get(planned.name)?.tombstone),
    ),
  }));
  return { snapshot, made: { ...made, credentials: storeOnly } };
}

/**
 * The credentials that the source has deleted and that are to be so in the target, where no tombstone says it yet.
 * A fresher login there lives: its name gets no tombstone.
 */
export function missingTombstones(
  from: Holdings,
  to: Holdings,
  host: string,
): readonly {
  readonly name: CredentialName;
  readonly tombstone: Tombstone;
  readonly seen: Tag | undefined;
}[] {
  return planTarget(from, to, host).made.credentials.flatMap(({ name, decision }) => {
    const tombstone = from.credentials.get(name)?.tombstone;
    const there = to.credentials.get(name)?.tombstone;
    if (decision.kind !== 'delete' || tombstone?.kind !== 'tombstone' || there?.kind === 'invalid') return [];
    if (there && isSameTombstone(there.tombstone, decision.tombstone)) return [];
    return [{ name, tombstone: tombstone.tombstone, seen: there?.tag }];
  });
}

/** Of two deletions of one name the one of the fresher version; the target's if they are equally fresh. */
function laterTombstone(from: Held, to: Held): TombstoneSighting | undefined {
  if (from.tombstone?.kind !== 'tombstone') return to.tombstone ?? from.tombstone;
  if (to.tombstone?.kind !== 'tombstone') return to.tombstone ?? from.tombstone;
  const order = compareFreshness(
    from.tombstone.tombstone.freshness,
    to.tombstone.tombstone.freshness,
    Date.now(),
  );
  return order > 0 ? from.tombstone : to.tombstone;
}

/** The credentials, and whether there is a config, that the target holds and the source knows nothing of. */
export function unknownToSource(from: Holdings, to: Holdings): readonly string[] {
  const names = [...to.credentials].filter(([name, held]) => {
    const known = from.credentials.get(name) ?? NOTHING_HELD;
    const ids = new Set<VersionId>(known.history.map(({ id }) => id));
    for (const sighting of [known.current, known.backup])
      if (sighting.kind === 'version') ids.add(sighting.version.id);
    const isForeign = (sighting: Sighting) =>
      sighting.kind === 'version' ? !ids.has(sighting.version.id) : sighting.kind !== 'absent';
    const buriedHere = held.tombstone !== undefined && known.tombstone === undefined;
    return isForeign(held.current) || isForeign(held.backup) || buriedHere;
  });
  const configs = [...(from.config ? [from.config] : []), ...from.configHistory].map(({ bytes }) =>
    sha256(bytes),
  );
  const config = to.config && !configs.includes(sha256(to.config.bytes)) ? ['its config'] : [];
  return [...names.map(([name]) => name), ...config];
}

export function isThere({ current, backup, tombstone }: Held): boolean {
  return current.kind === 'version' || backup.kind === 'version' || tombstone !== undefined;
}

/** Versions of history that the source has and the target has not. */
export function missingHistory(from: Holdings, to: Holdings): readonly HistoryRecord[] {
  return [...from.credentials].flatMap(([name, { history }]) => {
    const there = new Set((to.credentials.get(name) ?? NOTHING_HELD).history.map(({ id }) => id));
    return history.filter(({ id }) => !there.has(id));
  });
}

/** Ids of pruned versions that the target does not know so, and does not hold: there they are what is current. */
export function missingPruned(
  from: Holdings,
  to: Holdings,
): readonly { readonly name: CredentialName; readonly superseded: readonly VersionId[] }[] {
  return [...from.pruned].flatMap(([name, ids]) => {
    const { current, backup } = to.credentials.get(name) ?? NOTHING_HELD;
    const held = [current, backup].flatMap((sighting) =>
      sighting.kind === 'version' ? [sighting.version.id] : [],
    );
    const known = new Set([...(to.pruned.get(name) ?? []), ...held]);
    const superseded = ids.filter((id) => !known.has(id));
    return superseded.length > 0 ? [{ name, superseded }] : [];
  });
}

function versionOnly(sighting: Sighting): Sighting {
  if (sighting.kind === 'version') return { kind: 'version', version: sighting.version };
  return sighting.kind === 'absent' ? sighting : { kind: 'unknown' };
}

function union(first: readonly HistoryRecord[], second: readonly HistoryRecord[]): readonly HistoryRecord[] {
  const ids = new Set(first.map(({ id }) => id));
  return [...first, ...second.filter(({ id }) => !ids.has(id))];
}
