/** What the planner reads and gives: plain data, no behaviour. The words are those of the design's table. */
import type { Freshness } from '../credential/freshness.ts';
import type { CredentialName } from '../credential/name.ts';
import type { FieldDigests, Version, VersionId } from '../credential/version.ts';
import type { HistoryRecord, Tag } from '../stores/store.ts';

export type LocalPlace = 'auth' | 'ccs';
export type StorePlace = 'store' | 'backup';
export type Place = LocalPlace | StorePlace;
export const LOCAL_PLACES = ['auth', 'ccs'] as const;
export const STORE_PLACES = ['store', 'backup'] as const;
export const PLACES = [...LOCAL_PLACES, ...STORE_PLACES] as const;

/** What a command may write. The auth dir and the CCS dir are always written; see the design's section 3. */
export interface Permissions {
  readonly store: boolean;
  /**
   * Set while a proxy runs that keeps the auth dir and the store's current objects in step by itself, and breaks if
   * anyone else does: Git. What it pushes is taken over, records and history are written; but
   *
   * - the store's current objects are not;
   * - a file in the auth dir is, if the store holds the same as is there, or as was there before it went missing: a
   *   change that is ours alone, for the proxy to push. A file that differs from the proxy's last commit here and in
   *   the store, even if to the same content, makes all of its later saves fail;
   * - no file is removed from the auth dir: the proxy puts back what it did not remove itself.
   */
  readonly proxyPushes?: boolean;
}

// --- Snapshot: what the places hold now ---------------------------------------------------------------------

export interface Snapshot {
  /** Milliseconds since 1970, by this host's clock. */
  readonly now: number;
  readonly places: Readonly<Record<Place, PlaceState>>;
  readonly credentials: ReadonlyMap<CredentialName, CredentialSnapshot>;
  /** What was found beside credentials and is left alone: names that are refused, links, folders. */
  readonly problems: readonly Problem[];
}

export type PlaceState =
  /** Listed in full. `marker` is the random id that lies in it; `folds`: one file for names that differ in case. */
  | { readonly kind: 'listed'; readonly marker: string | undefined; readonly folds: boolean }
  /** Not used on this host (no CCS). */
  | { readonly kind: 'off' }
  /** Could not be listed, or not in full: nothing is planned for it. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** Not to be looked at for the moment, and no fault of anyone: nothing is planned for it either. */
  | { readonly kind: 'busy'; readonly reason: string };

/** One credential in all places. */
export interface CredentialSnapshot extends Readonly<Record<Place, Sighting>> {
  readonly tombstone: TombstoneSighting | undefined;
  /** Undefined where the planner has not asked for it yet; empty where there is none or no store. */
  readonly history: readonly HistoryRecord[] | undefined;
  /** With `history`: versions that retention took out of it, each of them replaced long ago. */
  readonly pruned?: readonly VersionId[];
}

export type Sighting =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'version';
      readonly version: SeenVersion;
      /** In the store: the condition of the next write. */
      readonly tag?: Tag;
      /** In the store: one of our programs wrote it, so it is in history and was chosen by a plan. */
      readonly recorded?: boolean;
      /** In a local place: when the file was last written, replaced or moved there. Milliseconds since 1970. */
      readonly since?: number;
    }
  /** No credential: cut short, garbage. `since`: when it was last written, for local files. */
  | {
      readonly kind: 'invalid';
      readonly reason: string;
      readonly bytes: Uint8Array;
      readonly tag?: Tag;
      readonly since?: number;
    }
  /** There, and what it holds cannot be told (no rights, a link, too large): neither changed nor gone. */
  | {
      readonly kind: 'unreadable';
      readonly reason: string;
      /** A link, a folder, a pipe, something huge: what was agreed is not there any more, and nobody has deleted it. */
      readonly isOther?: true;
    }
  /** CCS dir: moved to `auth-paused/`. */
  | { readonly kind: 'paused' }
  /** The place was not listed, is off, or takes no credential of this name. */
  | { readonly kind: 'unknown' };

/** A version in a place. Without bytes where the store's tag says that it is the one of the base. */
export type SeenVersion = Omit<Version, 'bytes'> & { readonly bytes?: Uint8Array };

export type TombstoneSighting =
  | { readonly kind: 'tombstone'; readonly tombstone: Tombstone; readonly tag: Tag }
  /** There and not to be understood: damaged, or written by a newer program. */
  | { readonly kind: 'invalid'; readonly reason: string };

/** The store's record that a credential was deleted. */
export interface Tombstone {
  readonly name: CredentialName;
  /** The version that was deleted, and its freshness: copies no fresher are removed wherever they are. */
  readonly version: VersionId;
  readonly freshness: Freshness;
  /** Other versions that went with it, those of an earlier tombstone in whose place this one stands among them. */
  readonly also?: readonly VersionId[];
  /** Name of the host that deleted it, for people. */
  readonly host: string;
  /** Set where a person asked for it by name (`forget`): the guard has no say in it, on any host. */
  readonly forgotten?: true;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface Problem {
  /** Credential, file or key; may hold anything, so `printable` before it is shown. */
  readonly subject: string;
  readonly place: Place | 'state';
  /** The rest of the sentence: "is a symbolic link". */
  readonly reason: string;
  /** What to do next; a sentence. */
  readonly remedy: string;
}

// --- Base: what this host last saw agreed -------------------------------------------------------------------

export interface Base {
  /** The markers that `at` of every entry belongs to; the store's stands for the backup copy too. */
  readonly markers: Readonly<Partial<Record<Place, string>>>;
  readonly credentials: ReadonlyMap<CredentialName, BaseEntry>;
  /** Deletions that this host carried out in the last day, for the guard. Milliseconds since 1970. */
  readonly deletions: ReadonlyMap<CredentialName, number>;
  /** Store writes noted ahead that no base has confirmed since. */
  readonly intents: ReadonlyMap<CredentialName, Intent>;
}

export interface BaseEntry {
  /** The version that all places last agreed on; undefined once it was deleted. */
  readonly agreed: AgreedVersion | undefined;
  /** What each place held then. A place that could not be looked at keeps what it held before. */
  readonly at: Readonly<Partial<Record<Place, VersionId>>>;
  /** The store's tags for `at`: an object with the same tag is not read again. */
  readonly tags: Readonly<Partial<Record<StorePlace, Tag>>>;
  /** Versions known to have been replaced, oldest first, bounded. */
  readonly superseded: readonly VersionId[];
  /** Of `superseded`, what is not known to be kept: the run that was to keep it never said that it did. */
  readonly unkept?: readonly VersionId[];
  /** Set while a tombstone stands. */
  readonly buried: Burial | undefined;
}

export interface AgreedVersion {
  readonly id: VersionId;
  readonly freshness: Freshness;
  readonly fields: FieldDigests;
  /** When this host first saw it agreed. Milliseconds since 1970. */
  readonly agreedAt: number;
  /** Whether it is known to be in the store's history. */
  readonly recorded: boolean;
}

export interface Burial {
  readonly tombstone: Tombstone;
  /** Its tag in the store: with the same tag it is not read again. */
  readonly tag: Tag | undefined;
  /** Since when each local place has been free of the credential under this tombstone. Milliseconds since 1970. */
  readonly cleared: Readonly<Partial<Record<LocalPlace, number>>>;
}

/** A store write that was about to be made. */
export interface Intent {
  readonly version: AgreedVersion;
  /** Local places that held the version when the write was noted. */
  readonly held: readonly LocalPlace[];
  /** Versions that the write was to replace. */
  readonly supersedes: readonly VersionId[];
}

// --- Plan ---------------------------------------------------------------------------------------------------

export interface Plan {
  /** By name, only those with something to do, to remember or to report. */
  readonly credentials: readonly CredentialPlan[];
  /** Credentials whose history the planner must see before it can decide: load it and plan again. */
  readonly consult: readonly CredentialName[];
  readonly guard: GuardReport | undefined;
}

export interface CredentialPlan {
  readonly name: CredentialName;
  readonly decision: Decision;
  readonly actions: readonly Action[];
  /** Places that ought to be written and that this command may not write, or that cannot be reached. */
  readonly pending: readonly Place[];
}

/** What is to be true of one credential, before permissions. */
export type Decision =
  /** Every place is to hold `winner`. */
  | {
      readonly kind: 'spread';
      readonly winner: Winner;
      /** The version that a person had the winner made of, which it replaces, whatever the places hold by now. */
      readonly madeOf?: VersionId;
      /** Why it won, as a sentence without a full stop. */
      readonly reason: string;
      /** Versions that places hold in its stead, each to be kept. */
      readonly losers: readonly SeenVersion[];
      /** A tombstone that ends, because the name lives again. */
      readonly ends: { readonly tag: Tag } | undefined;
      /** Set where an old file was put back and is not taken: `restore` is the way. */
      readonly stale: boolean;
      /** Set where two or more changes met. */
      readonly conflict: boolean;
    }
  /** No place is to hold it. */
  | {
      readonly kind: 'delete';
      readonly tombstone: Tombstone;
      /** Undefined if the tombstone is yet to be written. */
      readonly tag: Tag | undefined;
      /** The tag of an older tombstone that the new one replaces. */
      readonly over?: Tag;
      readonly reason: string;
    }
  /** Nothing is done, and why: a person must act, or the store must be back. */
  | {
      readonly kind: 'held';
      readonly waitsFor: 'person' | 'store';
      readonly reason: string;
      readonly remedy: string;
    }
  /** Nothing is known of it any more, or nothing is to be done. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'consult' };

/** A version that wins: one that a place holds, a merge, or one that only history has. */
export type Winner =
  | { readonly from: Place; readonly version: SeenVersion }
  | { readonly from: 'merge'; readonly version: Version }
  | { readonly from: 'history'; readonly id: VersionId };

/** One step, in the order in which it is carried out. `reason` says why, in words. */
export type Action = { readonly reason: string } & (
  | { readonly kind: 'keep'; readonly version: SeenVersion; readonly where: 'history' | 'host' }
  | {
      readonly kind: 'keep-aside';
      readonly place: Place;
      readonly bytes: Uint8Array;
      readonly where: 'history' | 'host';
    }
  | { readonly kind: 'bury'; readonly tombstone: Tombstone; readonly over?: Tag }
  | { readonly kind: 'unbury'; readonly tag: Tag }
  | { readonly kind: 'write'; readonly place: Place; readonly seen: Sighting }
  | { readonly kind: 'remove'; readonly place: Place; readonly seen: Sighting }
);

export interface GuardReport {
  /** Credentials whose deletion was not carried out. */
  readonly names: readonly CredentialName[];
  /** How many credentials there are, those deleted within the last day included. */
  readonly total: number;
}

export function isStorePlace(place: Place): place is StorePlace {
  return place === 'store' || place === 'backup';
}

/** The id of a winner. */
export function winnerId(winner: Winner): VersionId {
  return winner.from === 'history' ? winner.id : winner.version.id;
}
