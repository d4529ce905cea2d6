/**
 * The contract of a store, and nothing else. `tests/contract/` runs one suite of tests over every store.
 *
 * A store holds, for each credential name, a current object and a redundant **backup copy** of it in
 * CLIProxyAPI's own layout, and beside them our records: the marker, tombstones and history. A store knows
 * nothing about credentials beyond their names and bytes: who wins is decided in `sync/plan.ts`.
 */
import type { CredentialName } from '../credential/name.ts';
import type { VersionId } from '../credential/version.ts';

/** One store; made by a factory that does no I/O. */
export interface Store {
  readonly kind: StoreKind;
  /** Where it is, for people, without any secret: `s3://bucket at host`. */
  readonly location: string;

  /** The marker as this host last saw it here, from `StoreMemory`: what the base belongs to while out of reach. */
  remembered(): StoreMarker | undefined;

  /**
   * Everything that is in the store now, without contents.
   *
   * - MUST be complete (all pages) or throw: a listing that was cut short is never returned.
   * - MUST NOT write. A store that is not there yet (no bucket, no directory) gives `present: false` and nothing.
   * - Names are as the store has them; they are not checked here.
   * - May be of several moments, where it takes several requests. MUST then ask for tombstones last, once current objects and backup
   *   copies are known: what a deletion has taken away is never missing without its tombstone.
   */
  list(): Promise<StoreListing>;

  /**
   * A look at whether any credential was changed, added or removed, for one that waits for it: a text that is another
   * one then. Absent where `list` is as cheap.
   *
   * - MUST NOT write, and SHOULD be one request.
   * - MAY miss what is no change of a current object (the backup copy): the next full listing finds that.
   */
  glance?(): Promise<string>;

  /**
   * Reads objects, in any order, with bounded parallelism, and hands each answer over as it comes.
   *
   * - MUST call `receive` exactly once for each reference, or throw.
   * - An object that is gone is `absent`; one over `MAX_OBJECT_BYTES` is `too-large` and is not read whole.
   * - A failure of one object that is not a failure of the store (access denied to this key) is `failed`.
   */
  read(
    references: readonly Reference[],
    receive: (reference: Reference, answer: ReadAnswer) => void,
  ): Promise<void>;

  /**
   * Makes sure that the store can be written to: makes the bucket, schema or directory if missing, finds out
   * how far its conditions can be trusted, and writes the marker if there is none.
   *
   * - MUST be safe to call by several hosts at once: all get the same marker.
   * - Returns the marker that holds afterwards.
   */
  prepare(proposal: StoreMarker): Promise<StoreMarker>;

  /**
   * Carries out changes, each on its own, with bounded parallelism; the answers are in the order of the changes.
   *
   * For one change, MUST keep this order, each step only after the one before is durable, and stop at the first
   * that fails: `keep` → `tombstone` → `current` → `backup`, and a tombstone that is removed comes last. A store with
   * transactions may do all at once.
   *
   * - Every condition MUST be checked by the store in the same step as the write where the provider can. Where
   *   it cannot, the store looks again just before and reads back just after.
   * - A refusal that may be this program's own write that had arrived before (a retried request) MUST be read
   *   back before it is believed: if the store already holds what was to be written, that step is done.
   * - A history entry that is there already is left as it is, and that is no error.
   * - MUST NOT throw for one change's failure; throws only when the store is out of reach as a whole.
   */
  commit(changes: readonly StoreChange[]): Promise<CommitOutcome[]>;

  /** The history of these credentials, or of all if none are named; without contents, in no particular order. */
  history(names?: readonly CredentialName[]): Promise<HistoryRecord[]>;

  /**
   * Takes versions out of history for good (`sync/retention.ts` chooses them), and remembers in their stead which
   * versions are known to have been replaced: `superseded` is from then on in `pruned`, in this order, without
   * repetition, after what was there before.
   *
   * - MUST have `superseded` durable before the first version of that credential is removed.
   * - MUST keep what other hosts put into `pruned` at the same time.
   * - An entry may have no versions: then it is remembered alone.
   * - A version that is not there is no error. Only history is touched, never current objects or backup copies.
   * - May forget the oldest of more than `MAX_PRUNED` ids of one credential: beyond them freshness alone decides.
   * - To be called after `prepare` alone.
   *
   * @returns How many versions it removed.
   * @throws StoreError if it failed; what was removed until then is gone, and `pruned` tells it.
   */
  prune(entries: readonly PruneEntry[]): Promise<number>;

  /**
   * What `prune` remembers of these credentials, or of all if none are named. Names without anything may be left out.
   */
  pruned(names?: readonly CredentialName[]): Promise<ReadonlyMap<CredentialName, readonly VersionId[]>>;

  /**
   * The config in the store, byte for byte.
   *
   * @throws StoreError `refused` for one over `MAX_OBJECT_BYTES`.
   */
  readConfig(): Promise<StoredObject | undefined>;

  /**
   * Replaces the config if it is still as seen, what is to be kept first: `commit`'s rules hold here too. Both are
   * to be called after `prepare` alone.
   *
   * @throws StoreError if it failed; nothing is known of what arrived then but that the old config is kept.
   */
  commitConfig(change: ConfigChange): Promise<ConfigOutcome>;

  /** The versions of the config that were kept, with their bytes, in no particular order. */
  configHistory(): Promise<ConfigRecord[]>;

  /**
   * For a native proxy that cannot start over the files that are there: makes its local copy below `root` what it starts
   * from, as the store is now. To be called after `prepare` alone. Absent where the proxy needs nothing.
   *
   * - MUST NOT touch a credential that `root` holds in another version than the store, or not at all.
   * - Returns the names of those; then nothing was done.
   */
  prepareMirror?(root: string): Promise<readonly string[]>;

  /**
   * What this store's provider cannot do, in sentences for people: said once, and by `doctor`. Empty if nothing
   * is weaker, or it is not known yet (before the first `prepare`). Does no I/O. Absent where nothing ever is.
   */
  weaknesses?(): readonly string[];

  /**
   * Tries for `doctor` what a run would rely on: writes something that no program reads, on a key that no credential
   * has, finds out anew how far conditions can be trusted, and removes it again. Where that would be seen by others
   * (Git), it asks for the right to write alone. Only where the store is present. Absent where `prepare` shows as much.
   *
   * @throws StoreError as a write would.
   */
  tryOut?(): Promise<void>;

  /** The store's clock, milliseconds since 1970, as it was when it answered; undefined if it does not tell. */
  clock?(): Promise<number | undefined>;

  /** Gives back connections and locks. MUST be safe to call twice. */
  close(): Promise<void>;
}

/**
 * What a store wants to remember on this host from run to run (the marker with its tag, how far conditions can
 * be trusted), kept per location in the state. May be lost at any time; in a dry run `write` does nothing.
 */
export interface StoreMemory {
  read(): Readonly<Record<string, unknown>>;
  /** Merges these entries into what is remembered. */
  write(entries: Readonly<Record<string, unknown>>): Promise<void>;
}

export type StoreKind = 's3' | 'postgres' | 'git' | 'directory';

/** Larger objects are never read: no credential comes near, and memory is bounded by it. Bytes. */
export const MAX_OBJECT_BYTES = 1024 * 1024;

/** Opaque, changes with every content of an object: an S3 ETag, a hash. Used in conditions and to see changes. */
export type Tag = string;

/** The record that tells this store from any other and an older layout from a newer one. */
export interface StoreMarker {
  /** Random; the base belongs to it. */
  readonly id: string;
  /** Layout of our records. A program leaves a store with a higher number alone. */
  readonly format: number;
}

export interface StoreListing {
  /** Whether the bucket, schema, branch or directory is there at all. */
  readonly present: boolean;
  /** Absent where none of our programs has written yet. */
  readonly marker: StoreMarker | undefined;
  readonly current: ReadonlyMap<string, ListedObject>;
  readonly backup: ReadonlyMap<string, ListedObject>;
  readonly tombstones: ReadonlyMap<string, ListedObject>;
}

export interface ListedObject {
  readonly tag: Tag;
  /** Bytes. */
  readonly size: number;
  /**
   * Lower-case hex MD5 of the content, if the store says what looks like one. Believed for another object only
   * after it held for the bytes of one that was read (some providers' ETags are no digests).
   */
  readonly md5?: string;
}

/** Names one object to read. */
export type Reference =
  | { readonly area: 'current' | 'backup' | 'tombstone'; readonly name: string }
  | { readonly area: 'history'; readonly name: CredentialName; readonly id: VersionId };

export type ReadAnswer =
  | ({ readonly kind: 'object' } & StoredObject)
  | { readonly kind: 'absent' }
  | { readonly kind: 'too-large'; readonly size: number }
  | { readonly kind: 'failed'; readonly reason: string };

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly tag: Tag;
  /**
   * The version that one of our programs wrote here, after it had put it into history. Absent if someone else
   * (a proxy with its native store on) wrote the object. The reader checks it against the bytes.
   */
  readonly recorded?: VersionId;
}

/** One credential's writes, carried out in the order of the fields. */
export interface StoreChange {
  readonly name: CredentialName;
  /** Versions to have in history before anything is replaced. Create-only. */
  readonly keep: readonly HistoryEntry[];
  /** Bytes of current or backup objects that are no credential, kept aside before they are replaced. */
  readonly keepAside?: readonly Uint8Array[];
  readonly tombstone?: ObjectChange;
  readonly current?: ObjectChange;
  readonly backup?: ObjectChange;
}

/**
 * A write or removal on the condition that the object is still as the plan saw it: with the tag `seen`, or
 * absent if `seen` is undefined. `version` is set on `put` of a credential: what the bytes are, for `recorded`.
 */
export type ObjectChange =
  | {
      readonly kind: 'put';
      readonly bytes: Uint8Array;
      readonly seen: Tag | undefined;
      readonly version?: VersionId;
    }
  | { readonly kind: 'remove'; readonly seen: Tag };

export interface HistoryEntry {
  readonly id: VersionId;
  readonly bytes: Uint8Array;
  /** Host that wrote it: its name for people. */
  readonly host: string;
  /** Why it was written, in the plan's words, one line. */
  readonly reason: string;
  /** The versions that it was to replace as the current one: they are superseded once it is current. */
  readonly replaces: readonly VersionId[];
  /** When it arrived in the store that it was copied from (`migrate`); else the store's clock decides. */
  readonly arrived?: number;
}

/** A history entry as the store has it, without its bytes. */
export interface HistoryRecord extends Omit<HistoryEntry, 'bytes'> {
  readonly name: CredentialName;
  /**
   * When it arrived in the store, by the store's clock where it has one, or in the store that it was copied from.
   * Milliseconds since 1970.
   */
  readonly arrived: number;
}

/** What is to be taken out of one credential's history. */
export interface PruneEntry {
  readonly name: CredentialName;
  readonly versions: readonly VersionId[];
  /** What history would no longer tell without these versions. */
  readonly superseded: readonly VersionId[];
}

/** Ids that are remembered of one credential's pruned versions: some years of refreshes. */
export const MAX_PRUNED = 10_000;

export interface ConfigChange {
  readonly bytes: Uint8Array;
  /** As in `ObjectChange`. */
  readonly seen: Tag | undefined;
  /** Versions to have in the config's history before it is replaced: the new one and the one that it replaces. */
  readonly keep: readonly ConfigEntry[];
}

/** A version of the config for its history, where it lies under the SHA-256 of its bytes. Create-only. */
export interface ConfigEntry {
  readonly bytes: Uint8Array;
  readonly host: string;
  /** One line. */
  readonly reason: string;
  /** As in `HistoryEntry`. */
  readonly arrived?: number;
}

export interface ConfigRecord extends ConfigEntry {
  readonly arrived: number;
}

export type ConfigOutcome =
  | { readonly kind: 'done'; readonly tag: Tag }
  /** It is not as it was seen: read it again. */
  | { readonly kind: 'lost' };

export type CommitOutcome =
  /** All steps are done; the tags of what was put. */
  | { readonly kind: 'done'; readonly current?: Tag; readonly backup?: Tag; readonly tombstone?: Tag }
  /** A condition did not hold: someone else was faster. Plan again from a new listing. */
  | { readonly kind: 'lost'; readonly step: CommitStep }
  /** This change failed for good (access denied, disk full), others may not have. */
  | { readonly kind: 'failed'; readonly step: CommitStep; readonly error: StoreError };

export type CommitStep = 'keep' | 'tombstone' | 'current' | 'backup';

/**
 * Thrown by stores.
 *
 * - `unreachable`: may work later (refused, DNS, time-out, 5xx, throttled). Exit 75.
 * - `refused`: will not work without a person (wrong key, no rights, clock skew). Exit 1.
 * - `configuration`: the settings cannot be right (bucket name, region, a scheme that is none). Exit 78.
 */
export class StoreError extends Error {
  readonly kind: 'unreachable' | 'refused' | 'configuration';
  /** What to do next, as a sentence. */
  readonly remedy: string;

  constructor(kind: StoreError['kind'], message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.kind = kind;
    this.remedy = remedy;
  }
}
