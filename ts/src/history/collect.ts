/** What versions there were of each credential: the store's history, this host's own, and what is current. */
import { type CredentialName, parseName } from '../credential/name.ts';
import { parseCredential, type Version, type VersionId } from '../credential/version.ts';
import type { HistoryRecord, Store } from '../stores/store.ts';
import { hostHistory, readHostVersion } from '../sync/host-history.ts';
import type { Look } from '../sync/look.ts';
import { LOCAL_PLACES, type Tombstone } from '../sync/model.ts';
import { baseFor, changeOf } from '../sync/rules/change.ts';
import { inSequence } from '../sync/sequence.ts';
import { versionsIn } from '../sync/sightings.ts';

export interface CredentialHistory {
  readonly name: CredentialName;
  /** The oldest first. */
  readonly versions: readonly KnownVersion[];
  /** What the store holds, or what this host last saw agreed if the store is out of reach. */
  readonly current: VersionId | undefined;
  /** Set while it is deleted. */
  readonly tombstone: Tombstone | undefined;
  /** It was in this host's auth dir or CCS dir and is gone from there: the next run would take that for a deletion. */
  readonly isMissingHere: boolean;
}

export interface KnownVersion {
  readonly id: VersionId;
  /** When it came into history; undefined if it is in none so far. Milliseconds since 1970. */
  readonly arrived: number | undefined;
  /** The host that put it there; empty if unknown. */
  readonly host: string;
  /** Why it was written, in the plan's words. */
  readonly reason: string;
  readonly replaces: readonly VersionId[];
  readonly inStore: boolean;
  readonly onHost: boolean;
}

/**
 * The history of these credentials, or of all, deleted ones included.
 *
 * @throws StoreError if the store's history cannot be read though the store could be listed.
 */
export async function collectHistory(
  { snapshot, base, storeError }: Look,
  store: Store,
  stateDir: string,
  names?: readonly CredentialName[],
): Promise<ReadonlyMap<CredentialName, CredentialHistory>> {
  const inStore = storeError ? [] : await store.history(names);
  const onHost = (await hostHistory(stateDir)).filter(({ name }) => !names || names.includes(name));
  const all = new Set([
    ...snapshot.credentials.keys(),
    ...inStore.map(({ name }) => name),
    ...onHost.map(({ name }) => name),
  ]);
  const histories = new Map<CredentialName, CredentialHistory>();
  for (const name of names ?? [...all].sort()) {
    // A store may hold what is no name; it is reported by every run, and nothing is done with it.
    if (!parseName(name).ok) continue;
    const seen = snapshot.credentials.get(name);
    const entry = base.credentials.get(name);
    const current = (seen && versionsIn(seen, ['store', 'backup'])[0]) ?? (storeError && entry?.agreed?.id);
    const tombstone =
      seen?.tombstone?.kind === 'tombstone'
        ? seen.tombstone.tombstone
        : storeError
          ? entry?.buried?.tombstone
          : undefined;
    const versions = merge(
      inStore.filter((record) => record.name === name),
      onHost.filter((record) => record.name === name),
    );
    const known = current === undefined || versions.some(({ id }) => id === current);
    const unrecorded: KnownVersion[] = known
      ? []
      : [
          {
            id: current,
            arrived: undefined,
            host: '',
            reason: storeError
              ? 'last agreed on with the store, whose history is out of reach'
              : 'not in history yet',
            replaces: [],
            inStore: false,
            onHost: false,
          },
        ];
    if (versions.length > 0 || current !== undefined || tombstone)
      histories.set(name, {
        name,
        versions: [...versions, ...unrecorded],
        current,
        tombstone,
        isMissingHere: LOCAL_PLACES.some(
          (place) => seen && changeOf(seen[place], baseFor(base, snapshot, name)?.at[place]) === 'gone',
        ),
      });
  }
  return histories;
}

/**
 * A version with its bytes, from wherever it is kept; undefined if it is nowhere any more.
 *
 * @throws StoreError if the store is out of reach.
 */
export async function readVersion(
  name: CredentialName,
  version: Pick<KnownVersion, 'id'>,
  store: Store,
  stateDir: string,
): Promise<Version | undefined> {
  const found: Uint8Array[] = [];
  const own = await readHostVersion(stateDir, { name, id: version.id });
  if (own) found.push(own);
  else {
    const places = ['current', 'backup'] as const;
    await store.read(
      [{ area: 'history', name, id: version.id }, ...places.map((area) => ({ area, name }))],
      (_, answer) => void (answer.kind === 'object' && found.push(answer.bytes)),
    );
  }
  for (const bytes of found) {
    const parsed = parseCredential(bytes);
    if (parsed.ok && parsed.version.id === version.id) return parsed.version;
  }
  return undefined;
}

function merge(
  inStore: readonly HistoryRecord[],
  onHost: readonly { readonly name: CredentialName; readonly id: VersionId; readonly arrived: number }[],
): readonly KnownVersion[] {
  const here = new Set(onHost.map(({ id }) => id));
  const there = new Set(inStore.map(({ id }) => id));
  const own: HistoryRecord[] = onHost
    .filter(({ id }) => !there.has(id))
    .map((version) => ({
      ...version,
      host: '',
      reason: 'kept on this host while the store was out of reach',
      replaces: [],
    }));
  return inSequence([...inStore, ...own]).map(({ id, arrived, host, reason, replaces }) => ({
    id,
    arrived,
    host,
    reason,
    replaces,
    inStore: there.has(id),
    onHost: here.has(id),
  }));
}
