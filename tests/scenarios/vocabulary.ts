/** The words of the scenario table, and how they become what the planner reads and gives. */
import type { CredentialName } from '../../ts/src/credential/name.ts';
import {
  contentOf,
  fieldDigests,
  parseCredential,
  type Version,
  type VersionId,
  versionOf,
} from '../../ts/src/credential/version.ts';
import type { HistoryRecord } from '../../ts/src/stores/store.ts';
import {
  type Action,
  type Base,
  type BaseEntry,
  type CredentialSnapshot,
  type Intent,
  type LocalPlace,
  PLACES,
  type Place,
  type PlaceState,
  type Plan,
  type Sighting,
  type Snapshot,
  type StorePlace,
  type Tombstone,
  winnerId,
} from '../../ts/src/sync/model.ts';
import { plan } from '../../ts/src/sync/plan.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** The time of every case. */
export const NOW = Date.UTC(2026, 10, 22, 12);

// --- Versions ---------------------------------------------------------------------------------------------------

type Fields = Readonly<Record<string, string | number | boolean>>;

/** A login whose token was refreshed on this day of the month, before `NOW`: a higher one is fresher. */
export function refreshed(day: number, more: Fields = {}): Version {
  return versionOf({
    type: 'claude',
    access_token: `access-${day}`,
    refresh_token: `refresh-${day}`,
    last_refresh: new Date(Date.UTC(2026, 10, day)).toISOString(),
    ...more,
  });
}

/** The same login with other fields: edited by hand, or by a proxy. */
export function edited(version: Version, more: Fields): Version {
  return versionOf({ ...contentOf(version), ...more });
}

export const v1 = refreshed(1);
export const v2 = refreshed(2);
export const v3 = refreshed(3);
export const v4 = refreshed(4);
/** v1 and v2 with an edit, each as fresh as it was. */
export const v1disabled = edited(v1, { disabled: true });
export const v2disabled = edited(v2, { disabled: true });
export const v1noted = edited(v1, { note: 'mine' });
/** Two proxies added their own device to the same tokens. */
export const v1deviceA = edited(v1, { claude_device_ids: 'a' });
export const v1deviceB = edited(v1, { claude_device_ids: 'b' });
/** Dated by clocks that are ahead. */
export const fewHoursAhead = versionOf({
  type: 'claude',
  access_token: 'ahead',
  last_refresh: new Date(NOW + 5 * HOUR).toISOString(),
});
export const nextYear = versionOf({
  type: 'claude',
  access_token: 'far',
  last_refresh: '2027-11-22T12:00:00Z',
});
export const undated = versionOf({ type: 'claude', access_token: 'undated' });
export const garbledDate = versionOf({ type: 'claude', access_token: 'garbled', last_refresh: 'yesterday' });
/** A service account's key has no dates. */
export const serviceKey = versionOf({ type: 'vertex', project_id: 'p', private_key: 'k1' });
export const otherServiceKey = versionOf({ type: 'vertex', project_id: 'p', private_key: 'k2' });

const NAMES: Readonly<Record<string, Version>> = {
  v1,
  v2,
  v3,
  v4,
  v1disabled,
  v2disabled,
  v1noted,
  v1deviceA,
  v1deviceB,
  fewHoursAhead,
  nextYear,
  undated,
  garbledDate,
  serviceKey,
  otherServiceKey,
};

/** The name of a version in this file; the fields of one that a merge made. */
export function nameOf(version: { readonly id: VersionId; readonly bytes?: Uint8Array }): string {
  const known = Object.entries(NAMES).find(([, { id }]) => id === version.id);
  if (known) return known[0];
  return version.bytes ? `merge ${Buffer.from(version.bytes).toString()}` : version.id;
}

// --- What is given ----------------------------------------------------------------------------------------------

/** What one place holds of a credential. A version is what it is; left out means absent. */
export type Cell =
  | Version
  | { readonly native: Version }
  | { readonly unread: Version }
  | { readonly invalid: string; readonly seconds?: number }
  | { readonly back: Version; readonly seconds: number }
  | 'unreadable'
  | 'paused';

/** In the store without a word of ours: a proxy with its native store on wrote it. */
export const native = (version: Version): Cell => ({ native: version });
/** In the store and known by its tag: its bytes were not read. */
export const unread = (version: Version): Cell => ({ unread: version });
/** No credential, last written so many seconds ago. */
export const invalid = (text: string, seconds?: number): Cell => ({
  invalid: text,
  ...(seconds !== undefined && { seconds }),
});
/** A file that came back so many seconds ago. */
export const cameBack = (version: Version, seconds: number): Cell => ({ back: version, seconds });

export type Places = Readonly<Partial<Record<Place, Cell>>>;

export function everywhere(cell: Cell): Places {
  return { auth: cell, ccs: cell, store: cell, backup: cell };
}

export interface BaseSpec {
  /** What all places agreed on; undefined after a deletion. */
  readonly agreed?: Version;
  /** What each place held then, where not the agreed one; `none`: a place that had nothing. */
  readonly at?: Readonly<Partial<Record<Place, Version | 'none'>>>;
  readonly agreedAt?: number;
  readonly superseded?: readonly Version[];
  readonly buried?: {
    readonly deleted: Version;
    readonly clearedSecondsAgo?: number;
    readonly places?: readonly LocalPlace[];
  };
  /** A store write that was noted ahead of a crash, with the places that held it. */
  readonly intent?: {
    readonly version: Version;
    readonly held: readonly LocalPlace[];
    readonly supersedes?: readonly Version[];
  };
}

export interface HistorySpec {
  readonly version: Version;
  readonly replaces?: readonly Version[];
  /** Later is higher. */
  readonly arrived?: number;
}

/** One credential and what is known of it. */
export interface Setup {
  readonly base?: BaseSpec;
  readonly places?: Places;
  readonly tombstone?: Version | 'damaged';
  /** The tombstone says that a person asked for it by name. */
  readonly forgotten?: true;
  /** Left out: the planner has not asked for it. */
  readonly history?: readonly HistorySpec[];
}

/** What is to become of it. */
export interface Expectation {
  readonly decision: 'spread' | 'delete' | 'held' | 'nothing' | 'consult';
  /** The version that wins, by its name here. */
  readonly winner?: Version;
  /** Each action as `describeAction` writes it, in order. */
  readonly actions: readonly string[];
  readonly pending?: readonly Place[];
  readonly conflict?: boolean;
  readonly stale?: boolean;
}

export interface World extends Setup {
  /** Further credentials, by name. The one of `Setup` is `a.json`. */
  readonly others?: Readonly<Record<string, Setup>>;
  /** Places that are not as usual. The default: all listed, each with the marker that the base knows. */
  readonly without?: Readonly<
    Partial<Record<LocalPlace | 'remote', 'off' | 'failed' | 'first join' | 'another' | 'folds'>>
  >;
  readonly command?: 'sync' | 'hydrate';
  readonly allowDelete?: readonly string[];
  /** Deletions that this host carried out, with how long ago. */
  readonly deletions?: Readonly<Record<string, number>>;
}

export interface Planned {
  readonly base: Base;
  readonly snapshot: Snapshot;
  readonly plan: Plan;
}

/** What the planner makes of it. */
export function planFor(world: World): Planned {
  const { base, snapshot } = inputs(world);
  return { base, snapshot, plan: plan(base, snapshot, permissionsOf(world), optionsOf(world)) };
}

export function permissionsOf(world: World) {
  return { store: world.command !== 'hydrate' };
}

export function optionsOf(world: World) {
  return { allowDelete: new Set((world.allowDelete ?? []) as CredentialName[]), host: 'laptop' };
}

export function inputs(world: World): { base: Base; snapshot: Snapshot } {
  const setups = new Map(Object.entries({ ...(isEmpty(world) ? {} : { 'a.json': world }), ...world.others }));
  const credentials = new Map<CredentialName, CredentialSnapshot>();
  const entries = new Map<CredentialName, BaseEntry>();
  const intents = new Map<CredentialName, Intent>();
  for (const [text, setup] of setups) {
    const name = text as CredentialName;
    credentials.set(name, snapshotOf(name, setup, world));
    if (setup.base) entries.set(name, entryOf(name, setup.base));
    const intent = setup.base?.intent;
    if (intent) {
      intents.set(name, {
        version: agreed(intent.version, NOW),
        held: intent.held,
        supersedes: (intent.supersedes ?? []).map(({ id }) => id),
      });
    }
  }
  const deletions = new Map(
    Object.entries(world.deletions ?? {}).map(([name, ago]) => [name as CredentialName, NOW - ago] as const),
  );
  return {
    base: {
      markers: { auth: 'A', ccs: 'C', store: 'S', backup: 'S' },
      credentials: entries,
      deletions,
      intents,
    },
    snapshot: { now: NOW, places: placesOf(world), credentials, problems: [] },
  };
}

function isEmpty({ base, places, tombstone, history }: Setup): boolean {
  return !base && !places && !tombstone && !history;
}

function placesOf({ without = {} }: World): Record<Place, PlaceState> {
  const state = (place: LocalPlace | 'remote', marker: string): PlaceState => {
    const how = without[place];
    switch (how) {
      case 'off':
        return { kind: 'off' };
      case 'failed':
        return { kind: 'failed', reason: 'it was cut short' };
      case 'first join':
        return { kind: 'listed', marker: undefined, folds: false };
      case 'another':
        return { kind: 'listed', marker: `another ${marker}`, folds: false };
      case 'folds':
        return { kind: 'listed', marker, folds: true };
      default:
        return { kind: 'listed', marker, folds: false };
    }
  };
  const remote = state('remote', 'S');
  return { auth: state('auth', 'A'), ccs: state('ccs', 'C'), store: remote, backup: remote };
}

function snapshotOf(name: CredentialName, setup: Setup, world: World): CredentialSnapshot {
  const states = placesOf(world);
  const sighting = (place: Place) =>
    states[place].kind === 'listed'
      ? sightingOf(setup.places?.[place], place)
      : ({ kind: 'unknown' } as const);
  const remote = states.store.kind === 'listed';
  return {
    auth: sighting('auth'),
    ccs: sighting('ccs'),
    store: sighting('store'),
    backup: sighting('backup'),
    tombstone: remote ? tombstoneOf(name, setup) : undefined,
    history: remote ? setup.history?.map((record) => recordOf(name, record)) : [],
  };
}

export function sightingOf(cell: Cell | undefined, place: Place): Sighting {
  if (cell === undefined) return { kind: 'absent' };
  if (cell === 'unreadable') return { kind: 'unreadable', reason: 'cannot be read (EACCES)' };
  if (cell === 'paused') return { kind: 'paused' };
  const remote = place === 'store' || place === 'backup';
  if ('invalid' in cell) {
    const { invalid: text, seconds } = cell;
    const parsed = parseCredential(Buffer.from(text));
    if (parsed.ok) throw new Error(`${text} is valid`);
    return {
      kind: 'invalid',
      reason: parsed.reason,
      bytes: Buffer.from(text),
      ...(remote ? { tag: `tag ${text}` } : { since: NOW - (seconds ?? 0) * 1000 }),
    };
  }
  if ('native' in cell)
    return { kind: 'version', version: cell.native, tag: `tag ${cell.native.id}`, recorded: false };
  if ('unread' in cell) {
    const { id, freshness } = cell.unread;
    return { kind: 'version', version: { id, freshness }, tag: `tag ${id}`, recorded: true };
  }
  if ('back' in cell) return { kind: 'version', version: cell.back, since: NOW - cell.seconds * 1000 };
  return { kind: 'version', version: cell, ...(remote && { tag: `tag ${cell.id}`, recorded: true }) };
}

function tombstoneOf(
  name: CredentialName,
  { tombstone: deleted, forgotten }: Setup,
): CredentialSnapshot['tombstone'] {
  if (deleted === undefined) return undefined;
  if (deleted === 'damaged') return { kind: 'invalid', reason: 'is damaged' };
  const made = tombstone(name, deleted);
  return { kind: 'tombstone', tag: 'tag T', tombstone: forgotten ? { ...made, forgotten } : made };
}

export function tombstone(name: CredentialName, { id, freshness }: Version): Tombstone {
  return { name, version: id, freshness, host: 'server', time: NOW - DAY };
}

function entryOf(
  name: CredentialName,
  { agreed: version, at, agreedAt, superseded, buried }: BaseSpec,
): BaseEntry {
  const held = Object.fromEntries(
    PLACES.flatMap((place) => {
      const there = at?.[place] ?? version;
      return there && there !== 'none' ? [[place, there.id]] : [];
    }),
  );
  const cleared = NOW - (buried?.clearedSecondsAgo ?? 0) * 1000;
  return {
    agreed: version && agreed(version, agreedAt ?? NOW - DAY),
    at: held,
    tags: Object.fromEntries(
      (['store', 'backup'] satisfies StorePlace[]).flatMap((place) =>
        held[place] ? [[place, `tag ${held[place]}`]] : [],
      ),
    ),
    superseded: (superseded ?? []).map(({ id }) => id),
    buried: buried && {
      tombstone: tombstone(name, buried.deleted),
      tag: 'tag T',
      cleared: Object.fromEntries((buried.places ?? ['auth', 'ccs']).map((place) => [place, cleared])),
    },
  };
}

function agreed(version: Version, agreedAt: number) {
  return {
    id: version.id,
    freshness: version.freshness,
    fields: fieldDigests(contentOf(version)),
    agreedAt,
    recorded: true,
  };
}

function recordOf(name: CredentialName, { version, replaces = [], arrived = 0 }: HistorySpec): HistoryRecord {
  return {
    name,
    id: version.id,
    host: 'server',
    reason: '',
    replaces: replaces.map(({ id }) => id),
    arrived,
  };
}

// --- What is expected -------------------------------------------------------------------------------------------

/** An action in a few words: "keep v1 in history", "write store", "remove auth", "bury v1", "unbury". */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'keep':
      return `keep ${nameOf(action.version)} in ${action.where}`;
    case 'keep-aside':
      return `keep aside ${JSON.stringify(Buffer.from(action.bytes).toString())} in ${action.where}`;
    case 'bury':
      return `bury ${nameOf({ id: action.tombstone.version })}`;
    case 'unbury':
      return 'unbury';
    case 'write':
    case 'remove':
      return `${action.kind} ${action.place}`;
  }
}

/** What the planner decided of one credential, in the words of an expectation. */
export function outcomeOf({ plan: made, snapshot }: Planned, name: string): Expectation {
  const planned = made.credentials.find((credential) => credential.name === name);
  if (!planned) return { decision: 'nothing', actions: [] };
  const { decision, actions, pending } = planned;
  const spread = decision.kind === 'spread' ? decision : undefined;
  const id = spread && winnerId(spread.winner);
  const seen = snapshot.credentials.get(planned.name);
  const holder = PLACES.map((place) => seen?.[place]).find(
    (sighting) => sighting?.kind === 'version' && sighting.version.id === id,
  );
  const merged = spread?.winner.from === 'merge' ? spread.winner.version : undefined;
  const known = Object.values(NAMES).find((version) => version.id === id);
  const winner = known ?? merged ?? (holder?.kind === 'version' ? (holder.version as Version) : undefined);
  return {
    decision: decision.kind,
    ...(winner && { winner }),
    actions: actions.map(describeAction),
    ...(pending.length > 0 && { pending }),
    ...(spread?.conflict && { conflict: true }),
    ...(spread?.stale && { stale: true }),
  };
}
