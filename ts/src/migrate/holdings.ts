/** Everything that one side of a migration holds: the current credentials, tombstones, history and the config. */
import { readFile } from 'node:fs/promises';
import { type CredentialName, printable } from '../credential/name.ts';
import type { VersionId } from '../credential/version.ts';
import { errorCode } from '../files/atomic-write.ts';
import {
  type ConfigRecord,
  type HistoryRecord,
  type Store,
  type StoredObject,
  StoreError,
} from '../stores/store.ts';
import { EMPTY_BASE } from '../sync/base.ts';
import { listLocal } from '../sync/local.ts';
import { checkMarker } from '../sync/look.ts';
import type { Problem, Sighting, TombstoneSighting } from '../sync/model.ts';
import { takeSnapshot } from '../sync/snapshot.ts';

export interface Holdings {
  /** Whether the store is there at all. */
  readonly present: boolean;
  readonly credentials: ReadonlyMap<CredentialName, Held>;
  /** Versions that were taken out of history. */
  readonly pruned: ReadonlyMap<CredentialName, readonly VersionId[]>;
  readonly config: StoredObject | undefined;
  readonly configHistory: readonly ConfigRecord[];
  /** What lies beside credentials and cannot be copied. */
  readonly problems: readonly Problem[];
}

/** One credential on one side. */
export interface Held {
  readonly current: Sighting;
  readonly backup: Sighting;
  readonly tombstone: TombstoneSighting | undefined;
  readonly history: readonly HistoryRecord[];
}

const ABSENT: Sighting = { kind: 'absent' };
export const NOTHING_HELD: Held = { current: ABSENT, backup: ABSENT, tombstone: undefined, history: [] };

/**
 * Looks at all that a store holds. Reads the contents of everything but history.
 *
 * @throws StoreError if it cannot be read in full; StateError if a newer program wrote it.
 */
export async function holdingsOf(store: Store): Promise<Holdings> {
  const listing = await store.list();
  checkMarker(listing.marker, store);
  const nowhere = { auth: undefined, ccs: undefined };
  const listings = { local: nowhere, store: { kind: 'listed', listing } as const };
  const { snapshot, torn } = await takeSnapshot(listings, nowhere, EMPTY_BASE, store, Date.now());
  if (torn.length > 0) {
    throw new StoreError(
      'unreachable',
      `${torn.map(printable).join(', ')} in ${store.location} went while it was being read`,
      'Stop what writes there, or wait for it, and run the same command again.',
    );
  }
  const credentials = new Map<CredentialName, Held>();
  for (const [name, { store: current, backup, tombstone }] of snapshot.credentials) {
    credentials.set(name, { current, backup, tombstone, history: [] });
  }
  for (const record of await store.history()) {
    const held = credentials.get(record.name) ?? NOTHING_HELD;
    credentials.set(record.name, { ...held, history: [...held.history, record] });
  }
  const [pruned, config, configHistory] = await Promise.all([
    store.pruned(),
    store.readConfig(),
    store.configHistory(),
  ]);
  const { problems } = snapshot;
  return { present: listing.present, credentials, pruned, config, configHistory, problems };
}

/** Where a proxy that used a store kept its copy, beside the logins of one that did not (cmd/server/main.go). */
const MIRRORS = ['objectstore/', 'pgstore/', 'gitstore/'];

/**
 * Looks at a directory of plain login files, as a proxy without a store has it.
 *
 * @param configPath Where its config is; one that is not there is none.
 * @throws StoreError if it cannot be listed in full.
 */
export async function holdingsOfFiles(directory: string, configPath: string): Promise<Holdings> {
  const listing = await listLocal('auth', directory);
  if (listing.state.kind === 'failed') {
    throw new StoreError(
      'refused',
      `${directory}: ${listing.state.reason}`,
      'Make it readable for this user, or name another one.',
    );
  }
  const credentials = new Map<CredentialName, Held>();
  for (const [name, current] of listing.sightings) {
    if (!MIRRORS.some((folder) => name.startsWith(folder)))
      credentials.set(name, { ...NOTHING_HELD, current });
  }
  const config = await readIfThere(configPath);
  return {
    present: credentials.size > 0,
    credentials,
    pruned: new Map(),
    config: config && { bytes: config, tag: '' },
    configHistory: [],
    problems: listing.problems,
  };
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return undefined;
    throw new StoreError(
      'refused',
      `${path} cannot be read (${errorCode(error)})`,
      'Make it readable for this user.',
    );
  }
}
