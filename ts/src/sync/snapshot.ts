/** From what the places list to one snapshot: reads from the store only what this host does not know already. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { type CredentialName, parseName } from '../credential/name.ts';
import { parseCredential } from '../credential/version.ts';
import { errorCode } from '../files/atomic-write.ts';
import type { ListedObject, ReadAnswer, Reference, Store, StoreListing } from '../stores/store.ts';
import { historyOfEmptyStore } from './consult.ts';
import { type LocalListing, localPath, pausedDirectory, readLocal, readMarker } from './local.ts';
import {
  type Base,
  type CredentialSnapshot,
  LOCAL_PLACES,
  type LocalPlace,
  type Place,
  type PlaceState,
  type Problem,
  type Sighting,
  type Snapshot,
  STORE_PLACES,
  type StorePlace,
  type TombstoneSighting,
} from './model.ts';
import { belongs } from './rules/change.ts';
import { parseTombstone } from './tombstone-record.ts';

/** A file that is gone is looked for once more after this: some programs remove a file and then create it. */
const GONE_CONFIRM_MS = 300;

/** Bounds memory, whatever lies in the store. */
const MAX_INVALID_BYTES = 32 * 1024 * 1024;

/** From here on memory is worth more than time. */
const MANY_OBJECTS = 2_000;

export interface Listings {
  readonly local: Readonly<Record<LocalPlace, LocalListing | undefined>>;
  readonly store:
    | { readonly kind: 'listed'; readonly listing: StoreListing }
    | { readonly kind: 'failed'; readonly reason: string };
}

/**
 * One snapshot of all places, and what of the store was gone when it was read though the listing had it (`torn`): somebody
 * else was at work in between, so what the listing says of tombstones is of another moment than what was read, and a
 * new listing is called for. In the snapshot such a credential is unreadable, so that nothing is planned by it.
 *
 * @param directories Where the local places are; undefined for one that is off.
 * @throws StoreError if the store goes out of reach while it is read.
 */
export async function takeSnapshot(
  listings: Listings,
  directories: Readonly<Record<LocalPlace, string | undefined>>,
  base: Base,
  store: Store,
  now: number,
): Promise<{ readonly snapshot: Snapshot; readonly torn: readonly CredentialName[] }> {
  const problems: Problem[] = LOCAL_PLACES.flatMap((place) => listings.local[place]?.problems ?? []);
  const storeState: PlaceState =
    listings.store.kind === 'listed'
      ? { kind: 'listed', marker: listings.store.listing.marker?.id, folds: false }
      : { kind: 'failed', reason: listings.store.reason };
  const places = {
    /* v8 ignore next -- an auth dir is always looked at; the type is that of both places */
    auth: listings.local.auth?.state ?? { kind: 'off' as const },
    ccs: listings.local.ccs?.state ?? { kind: 'off' as const },
    store: storeState,
    backup: storeState,
  };
  const shell: Snapshot = { now, places, credentials: new Map(), problems };

  const { remote, torn } = await readStore(listings, shell, base, store, problems);
  const listing = listings.store.kind === 'listed' ? listings.store.listing : undefined;
  const all = await historyOfEmptyStore(listing, store);
  const names = new Set<CredentialName>([
    ...LOCAL_PLACES.flatMap((place) => [...(listings.local[place]?.sightings.keys() ?? [])]),
    ...remote.store.keys(),
    ...remote.backup.keys(),
    ...remote.tombstones.keys(),
    ...base.credentials.keys(),
    ...(all?.history.keys() ?? []),
  ]);

  const credentials = new Map<CredentialName, CredentialSnapshot>();
  for (const name of names) {
    credentials.set(name, {
      auth: localSighting(listings.local.auth, 'auth', name),
      ccs: localSighting(listings.local.ccs, 'ccs', name),
      store: remote.store.get(name) ?? remoteAbsence(storeState),
      backup: remote.backup.get(name) ?? remoteAbsence(storeState),
      tombstone: remote.tombstones.get(name),
      history: all?.history.get(name) ?? (storeState.kind === 'listed' ? undefined : []),
      ...(all && { pruned: all.pruned.get(name) ?? [] }),
    });
  }
  const snapshot = { ...shell, credentials };
  await confirmGone(snapshot, credentials, directories, base);
  return { snapshot, torn };
}

/** The snapshot with these credentials in it, those too that no place and no record in the store knows. */
export function withNames(snapshot: Snapshot, names: Iterable<CredentialName>): Snapshot {
  const credentials = new Map(snapshot.credentials);
  for (const name of names) {
    if (credentials.has(name)) continue;
    const sighting = (place: Place): Sighting =>
      snapshot.places[place].kind === 'listed' && !(place === 'ccs' && name.includes('/'))
        ? { kind: 'absent' }
        : { kind: 'unknown' };
    credentials.set(name, {
      auth: sighting('auth'),
      ccs: sighting('ccs'),
      store: sighting('store'),
      backup: sighting('backup'),
      tombstone: undefined,
      history: undefined,
    });
  }
  return { ...snapshot, credentials };
}

function localSighting(listing: LocalListing | undefined, place: LocalPlace, name: CredentialName): Sighting {
  if (listing?.state.kind !== 'listed') return { kind: 'unknown' };
  // The CCS dir is flat.
  if (place === 'ccs' && name.includes('/')) return { kind: 'unknown' };
  const sighting = listing.sightings.get(name) ?? { kind: 'absent' };
  if (sighting.kind !== 'absent') return sighting;
  if (listing.paused.has(name)) return { kind: 'paused' };
  if (listing.hidden.some((folder) => name.startsWith(`${folder}/`)))
    return { kind: 'unreadable', reason: 'lies in a folder that cannot be looked into' };
  return sighting;
}

function remoteAbsence(state: PlaceState): Sighting {
  return state.kind === 'listed' ? { kind: 'absent' } : { kind: 'unknown' };
}

interface Remote {
  readonly store: ReadonlyMap<CredentialName, Sighting>;
  readonly backup: ReadonlyMap<CredentialName, Sighting>;
  readonly tombstones: ReadonlyMap<CredentialName, TombstoneSighting>;
}

async function readStore(
  listings: Listings,
  snapshot: Snapshot,
  base: Base,
  store: Store,
  problems: Problem[],
): Promise<{ readonly remote: Remote; readonly torn: readonly CredentialName[] }> {
  const torn: CredentialName[] = [];
  const remote = {
    store: new Map<CredentialName, Sighting>(),
    backup: new Map<CredentialName, Sighting>(),
    tombstones: new Map<CredentialName, TombstoneSighting>(),
  };
  if (listings.store.kind !== 'listed') return { remote, torn };
  const { listing } = listings.store;

  const read = async (
    references: readonly Reference[],
    take: (name: CredentialName, answer: ReadAnswer) => void,
  ) => {
    if (references.length > 0)
      // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- it is one of `references`, whose names were checked
      await store.read(references, (reference, answer) => take(reference.name as CredentialName, answer));
  };
  let invalidBytes = 0;
  /** Contents that are no credentials are held until they are kept aside: of so many, some wait for a person. */
  const held = (sighting: Sighting): Sighting => {
    if (sighting.kind !== 'invalid') return sighting;
    invalidBytes += sighting.bytes.length;
    if (invalidBytes <= MAX_INVALID_BYTES) return sighting;
    return {
      kind: 'unreadable',
      reason: `${sighting.reason}, as are so many others in the store that it is not looked at further`,
    };
  };
  const digests = new Map<CredentialName, { readonly md5: string; readonly sighting: Sighting }>();
  for (const place of STORE_PLACES) {
    const listed = place === 'store' ? listing.current : listing.backup;
    const unknown: Reference[] = [];
    for (const [key, object] of listed) {
      const name = checkedName(key, place, problems);
      if (name === undefined) continue;
      // Under a tombstone versions may have to be merged, which takes their bytes.
      const remembered = listing.tombstones.has(key)
        ? undefined
        : knownByTag(base, snapshot, place, name, object);
      const known = remembered ?? knownByDigest(digests.get(name), object);
      if (known) remote[place].set(name, known);
      else unknown.push({ area: place === 'store' ? 'current' : 'backup', name });
    }
    if (unknown.length > MANY_OBJECTS) keepHeapSmall();
    await read(unknown, (name, answer) => {
      if (answer.kind === 'absent') torn.push(name);
      const sighting = held(sightingOf(answer));
      remote[place].set(name, sighting);
      if (answer.kind === 'object' && place === 'store')
        digests.set(name, { md5: md5(answer.bytes), sighting });
    });
  }

  const tombstones = [...listing.tombstones].flatMap(([key, { tag }]): Reference[] => {
    const name = checkedName(key, 'store', problems);
    if (name === undefined) return [];
    const buried = base.credentials.get(name)?.buried;
    if (buried?.tag !== tag || !belongs(base, snapshot, 'store')) return [{ area: 'tombstone', name }];
    remote.tombstones.set(name, { kind: 'tombstone', tombstone: buried.tombstone, tag });
    return [];
  });
  await read(tombstones, (name, answer) => {
    if (answer.kind === 'absent') torn.push(name);
    remote.tombstones.set(
      name,
      answer.kind === 'object'
        ? parseTombstone(answer.bytes, answer.tag, name)
        : { kind: 'invalid', reason: readFailure(answer) },
    );
  });
  return { remote, torn };
}

/** An object with the tag that the base remembers holds the version that the base remembers. */
function knownByTag(
  base: Base,
  snapshot: Snapshot,
  place: StorePlace,
  name: CredentialName,
  object: ListedObject,
): Sighting | undefined {
  // A write that was noted may have changed what was agreed: then this is a change, whose bytes are needed.
  if (base.intents.has(name)) return undefined;
  const entry = base.credentials.get(name);
  const id = entry?.at[place];
  if (!entry?.agreed || id === undefined || id !== entry.agreed.id) return undefined;
  if (entry.tags[place] !== object.tag || !belongs(base, snapshot, place)) return undefined;
  return {
    kind: 'version',
    version: { id, freshness: entry.agreed.freshness },
    tag: object.tag,
    recorded: entry.agreed.recorded,
  };
}

/**
 * A backup copy with the digest of the store's object holds the same bytes. Believed only where the store's tag
 * proved to be a digest for bytes that were read: some providers' tags look like one and are none.
 */
function knownByDigest(
  primary: { readonly md5: string; readonly sighting: Sighting } | undefined,
  object: ListedObject,
): Sighting | undefined {
  if (!primary || object.md5 !== primary.md5) return undefined;
  const { sighting } = primary;
  return sighting.kind === 'version' || sighting.kind === 'invalid'
    ? { ...sighting, tag: object.tag }
    : /* v8 ignore next -- a digest is that of bytes, which are a version or invalid */ undefined;
}

function sightingOf(answer: ReadAnswer): Sighting {
  if (answer.kind !== 'object') return { kind: 'unreadable', reason: readFailure(answer) };
  const parsed = parseCredential(answer.bytes);
  if (!parsed.ok) return { kind: 'invalid', reason: parsed.reason, bytes: answer.bytes, tag: answer.tag };
  return {
    kind: 'version',
    version: parsed.version,
    tag: answer.tag,
    recorded: answer.recorded === parsed.version.id,
  };
}

function readFailure(answer: Exclude<ReadAnswer, { kind: 'object' }>): string {
  switch (answer.kind) {
    case 'absent':
      return 'is in the listing of the store, and is not there when it is read';
    case 'too-large':
      return `is ${answer.size} bytes long, more than any credential has`;
    case 'failed':
      return answer.reason;
  }
}

function checkedName(key: string, place: StorePlace, problems: Problem[]): CredentialName | undefined {
  const check = parseName(key);
  if (check.ok) return check.name;
  if (check.kind === 'refused') {
    problems.push({
      subject: key,
      place,
      reason: `${check.reason}; it is not copied`,
      remedy: 'Remove that object from the store, or give it a plain name.',
    });
  }
  return undefined;
}

async function confirmGone(
  snapshot: Snapshot,
  credentials: Map<CredentialName, CredentialSnapshot>,
  directories: Readonly<Record<LocalPlace, string | undefined>>,
  base: Base,
): Promise<void> {
  const isGone = (place: Place, name: CredentialName, seen: CredentialSnapshot) =>
    seen[place].kind === 'absent' &&
    base.credentials.get(name)?.at[place] !== undefined &&
    belongs(base, snapshot, place);
  const gone = LOCAL_PLACES.flatMap((place) =>
    [...credentials].flatMap(([name, seen]) => (isGone(place, name, seen) ? [{ place, name }] : [])),
  );
  if (gone.length === 0) return;
  await sleep(GONE_CONFIRM_MS);
  for (const { place, name } of gone) {
    const directory = directories[place];
    const seen = credentials.get(name);
    /* v8 ignore if -- what is gone was in the snapshot, in a place that was listed */
    if (directory === undefined || !seen) continue;
    const now = missingNow(place, directory, name, snapshot.places[place]);
    if (now.kind !== 'absent') credentials.set(name, { ...seen, [place]: now });
  }
}

/** What there is by now in the place of a file that was missing. */
function missingNow(
  place: LocalPlace,
  directory: string,
  name: CredentialName,
  listed: PlaceState,
): Sighting {
  // Unmounted or re-made since it was listed: nothing is known of what it held.
  try {
    if (listed.kind === 'listed' && readMarker(directory) !== listed.marker) return { kind: 'unknown' };
  } catch (error) {
    /* v8 ignore next -- what the system answers has a code */
    const reason = `is missing, and the directory's marker cannot be read just now (${errorCode(error) ?? String(error)}), so it counts as neither deleted nor there`;
    return { kind: 'unreadable', reason };
  }
  const now = readLocal(localPath(directory, name));
  if (now.kind !== 'absent' || place !== 'ccs') return now;
  return readLocal(localPath(pausedDirectory(directory), name)).kind === 'absent' ? now : { kind: 'paused' };
}

/**
 * Node 24 lets its young generation grow to tens of megabytes per step of a large work, and keeps them: a third of
 * all memory at 10,000 credentials (`make bench`).
 */
function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}
