/** What holds of every plan, whatever the places hold: fast-check makes the worlds. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CredentialName } from '../../ts/src/credential/name.ts';
import type { Version, VersionId } from '../../ts/src/credential/version.ts';
import type { HistoryRecord } from '../../ts/src/stores/store.ts';
import { nextDeletions, nextEntry, nextMarkers } from '../../ts/src/sync/base.ts';
import {
  type Base,
  type BaseEntry,
  type CredentialPlan,
  type CredentialSnapshot,
  type LocalPlace,
  PLACES,
  type Place,
  type Sighting,
  type Snapshot,
  winnerId,
} from '../../ts/src/sync/model.ts';
import { effectiveBase, plan } from '../../ts/src/sync/plan.ts';
import { chosenAgain } from '../../ts/src/sync/rules/superseded.ts';
import {
  type BaseSpec,
  type Cell,
  cameBack,
  describeAction,
  fewHoursAhead,
  inputs,
  invalid,
  nameOf,
  native,
  nextYear,
  optionsOf,
  permissionsOf,
  type Setup,
  serviceKey,
  sightingOf,
  undated,
  v1,
  v1disabled,
  v1noted,
  v2,
  v2disabled,
  v3,
  type World,
} from './vocabulary.ts';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 1500);

// --- Worlds -----------------------------------------------------------------------------------------------------

const version = fc.constantFrom(
  v1,
  v1disabled,
  v1noted,
  v2,
  v2disabled,
  v3,
  undated,
  fewHoursAhead,
  nextYear,
  serviceKey,
);
const local = fc.oneof(
  { weight: 6, arbitrary: version.map((held): Cell | undefined => held) },
  { weight: 3, arbitrary: fc.constant<Cell | undefined>(undefined) },
  fc.tuple(version, fc.constantFrom(1, 30, 300)).map(([held, seconds]) => cameBack(held, seconds)),
  fc.constantFrom<Cell>(invalid('', 1), invalid('{"type":', 120), 'unreadable'),
);
const remote = fc.oneof(
  { weight: 6, arbitrary: version.map((held): Cell | undefined => held) },
  { weight: 3, arbitrary: fc.constant<Cell | undefined>(undefined) },
  version.map(native),
  fc.constantFrom<Cell>(invalid('<html>'), invalid(''), 'unreadable'),
);
const ccs = fc.oneof({ weight: 8, arbitrary: local }, fc.constant<Cell>('paused'));

const base: fc.Arbitrary<BaseSpec | undefined> = fc.option(
  fc
    .record({
      agreed: fc.option(version, { nil: undefined }),
      at: fc.dictionary(fc.constantFrom<Place>(...PLACES), fc.oneof(version, fc.constant('none' as const)), {
        maxKeys: 2,
      }),
      superseded: fc.uniqueArray(version, { maxLength: 3 }),
      buried: fc.option(
        fc.record({ deleted: version, clearedSecondsAgo: fc.constantFrom(0, 20, 100, 4000) }),
        { nil: undefined },
      ),
      intent: fc.option(
        fc.record({
          version,
          held: fc.constantFrom<LocalPlace[]>([], ['auth'], ['auth', 'ccs']),
          supersedes: fc.uniqueArray(version, { maxLength: 2 }),
        }),
        { nil: undefined },
      ),
    })
    .map(({ agreed, buried, intent, at, superseded }) => ({
      ...(agreed && { agreed, at }),
      superseded: superseded.filter((old) => old !== agreed),
      ...(buried && !agreed && { buried }),
      ...(intent && {
        intent: { ...intent, supersedes: intent.supersedes.filter((old) => old !== intent.version) },
      }),
    })),
  { nil: undefined },
);

const setup: fc.Arbitrary<Setup> = fc
  .record({
    base,
    cells: fc.oneof(
      { weight: 2, arbitrary: version.map((held) => ({ auth: held, ccs: held, store: held, backup: held })) },
      { weight: 5, arbitrary: fc.record({ auth: local, ccs, store: remote, backup: remote }) },
    ),
    tombstone: fc.option(version, { nil: undefined, freq: 4 }),
  })
  .map(({ base: spec, cells, tombstone }) => ({
    ...(spec && { base: spec }),
    places: Object.fromEntries(Object.entries(cells).filter(([, cell]) => cell !== undefined)),
    ...(tombstone && { tombstone }),
  }));

const world: fc.Arbitrary<World> = fc
  .record({
    setups: fc.array(setup, { minLength: 1, maxLength: 4 }),
    without: fc.record(
      {
        auth: fc.constantFrom('failed' as const, 'first join' as const),
        ccs: fc.constantFrom('off' as const, 'failed' as const, 'first join' as const),
        remote: fc.constantFrom('failed' as const, 'first join' as const),
      },
      { requiredKeys: [] },
    ),
    usual: fc.boolean(),
    command: fc.constantFrom('sync' as const, 'sync' as const, 'hydrate' as const),
  })
  .map(({ setups, without, usual, command }) => ({
    others: Object.fromEntries(setups.map((one, index) => [`n${index}.json`, one])),
    without: usual ? {} : without,
    command,
  }));

/** What the store's history has of a credential: each version came after some that it replaced. */
const histories = fc.array(fc.record({ version, replaces: fc.uniqueArray(version, { maxLength: 2 }) }), {
  maxLength: 4,
});

type History = Map<CredentialName, HistoryRecord[]>;

interface Given {
  readonly world: World;
  readonly history: readonly { readonly version: Version; readonly replaces: readonly Version[] }[];
}

const given = fc.record({ world, history: histories });

/** The plan as a run makes it: what the planner asks for of history, it gets. */
function planned(given: Given) {
  const { base, snapshot } = inputs(given.world);
  const history: History = new Map();
  for (const name of snapshot.credentials.keys()) {
    const records = given.history.map(({ version: { id }, replaces }, arrived) => ({
      name,
      id,
      host: 'h',
      reason: '',
      arrived,
      replaces: replaces.map((old) => old.id).filter((old) => old !== id),
    }));
    history.set(
      name,
      records.filter(({ id }, index) => records.findIndex((other) => other.id === id) === index),
    );
  }
  return { base, history, ...planWith(base, snapshot, history, given.world) };
}

function planWith(base: Base, first: Snapshot, history: History, given: World) {
  let snapshot = first;
  let made = plan(base, snapshot, permissionsOf(given), optionsOf(given));
  if (made.consult.length > 0) {
    const credentials = new Map(snapshot.credentials);
    for (const name of made.consult) {
      const seen = credentials.get(name);
      if (seen) credentials.set(name, { ...seen, history: history.get(name) ?? [] });
    }
    snapshot = { ...snapshot, credentials };
    made = plan(base, snapshot, permissionsOf(given), optionsOf(given));
  }
  return { snapshot, made };
}

function check(property: (given: Given) => void): void {
  fc.assert(fc.property(given, property), {
    numRuns: RUNS,
    reporter({ failed, counterexample, seed, counterexamplePath, errorInstance }) {
      if (!failed) return;
      const found = `seed ${seed}, path "${counterexamplePath}": ${inWords(counterexample)}`;
      throw new Error(`${errorInstance instanceof Error ? errorInstance.message : ''}\n${found}`, {
        cause: errorInstance,
      });
    },
  });
}

/** A world with its versions by name, to be read by a person. */
function inWords(value: unknown): string {
  const isVersion = (part: unknown): part is Version =>
    typeof part === 'object' && part !== null && 'freshness' in part;
  return JSON.stringify(value, (_, part: unknown) => (isVersion(part) ? nameOf(part) : part));
}

function seenIn(snapshot: Snapshot, { name }: CredentialPlan): CredentialSnapshot {
  const seen = snapshot.credentials.get(name);
  if (!seen) throw new Error(`${name} was not seen`);
  return seen;
}

// --- What holds -------------------------------------------------------------------------------------------------

test('what the planner asked of history suffices: it does not ask twice', () => {
  check((given) => {
    expect(planned(given).made.consult).toEqual([]);
  });
});

test('the same places give the same plan, in whatever order they were looked at', () => {
  check((given) => {
    const { base, snapshot, made } = planned(given);
    const credentials = new Map([...snapshot.credentials].reverse());
    const again = plan(
      base,
      { ...snapshot, credentials },
      permissionsOf(given.world),
      optionsOf(given.world),
    );
    expect(again).toEqual(made);
  });
});

test('nothing is planned for a place that was not listed, nor for one that the command may not write', () => {
  check((given) => {
    const { snapshot, made } = planned(given);
    for (const { actions } of made.credentials) {
      for (const action of actions) {
        if (action.kind === 'write' || action.kind === 'remove') {
          expect(snapshot.places[action.place].kind).toBe('listed');
          if (given.world.command === 'hydrate') expect(['auth', 'ccs']).toContain(action.place);
        }
        if (action.kind === 'bury' || action.kind === 'unbury') expect(given.world.command).toBe('sync');
      }
    }
  });
});

test('while the store is out of reach nothing is removed anywhere', () => {
  check((given) => {
    const { made } = planned({
      ...given,
      world: { ...given.world, without: { ...given.world.without, remote: 'failed' } },
    });
    for (const { actions } of made.credentials) {
      expect(actions.filter(({ kind }) => kind === 'remove' || kind === 'bury')).toEqual([]);
    }
  });
});

test('nothing is removed without a tombstone: one that stands, or one that is written earlier', () => {
  check((given) => {
    const { snapshot, made } = planned(given);
    for (const credential of made.credentials) {
      const kinds = credential.actions.map(({ kind }) => kind);
      const removed = kinds.indexOf('remove');
      if (removed < 0) continue;
      const buried = kinds.indexOf('bury');
      const stands = seenIn(snapshot, credential).tombstone?.kind === 'tombstone';
      expect(stands || (buried >= 0 && buried < removed)).toBe(true);
      expect(kinds).not.toContain('write');
      expect(kinds).not.toContain('unbury');
    }
  });
});

test('no credential is written over, or removed, before its version is kept or known to be in history', () => {
  check((given) => {
    const { base, snapshot, made } = planned(given);
    for (const credential of made.credentials) {
      const seen = seenIn(snapshot, credential);
      const entry = effectiveBase(base, snapshot, credential.name);
      const safe = new Set<VersionId>([
        ...(entry?.superseded ?? []),
        ...(entry?.agreed?.recorded ? [entry.agreed.id] : []),
        ...(seen.history ?? []).map(({ id }) => id),
        ...[seen.store, seen.backup].flatMap((there) =>
          there.kind === 'version' && there.recorded ? [there.version.id] : [],
        ),
      ]);
      const aside = new Set<string>();
      for (const action of credential.actions) {
        if (action.kind === 'keep') safe.add(action.version.id);
        if (action.kind === 'keep-aside') aside.add(Buffer.from(action.bytes).toString());
        if (action.kind !== 'write' && action.kind !== 'remove') continue;
        const there = seen[action.place];
        expect(there.kind === 'unreadable' || there.kind === 'unknown' || there.kind === 'paused').toBe(
          false,
        );
        if (there.kind === 'version') expect(safe, describeAction(action)).toContain(there.version.id);
        if (there.kind === 'invalid') expect(aside).toContain(Buffer.from(there.bytes).toString());
      }
    }
  });
});

test('no file is replaced by a version that this host knows was replaced, while there is any other', () => {
  check((given) => {
    const { base, snapshot, made } = planned(given);
    for (const credential of made.credentials) {
      const { decision } = credential;
      if (decision.kind !== 'spread' || decision.winner.from === 'merge') continue;
      const seen = seenIn(snapshot, credential);
      const entry = effectiveBase(base, snapshot, credential.name);
      const superseded = new Set(entry?.superseded);
      if (!superseded.has(winnerId(decision.winner)) || seen.tombstone || decision.reason.includes('guard'))
        continue;
      // Another host chose it since.
      if (chosenAgain(seen.store, entry?.agreed, snapshot.now) === winnerId(decision.winner)) continue;
      const others = PLACES.flatMap((place) => {
        const there = seen[place];
        return there.kind === 'version' && !superseded.has(there.version.id) ? [there.version.id] : [];
      });
      const replacedByHistory = new Set((seen.history ?? []).flatMap(({ replaces }) => replaces));
      expect(others.filter((id) => !replacedByHistory.has(id))).toEqual([]);
    }
  });
});

test('a version that is less fresh, and that nothing is known to have replaced the agreed one with, replaces it by a refresh alone', () => {
  check((given) => {
    const { base, snapshot, made } = planned(given);
    for (const credential of made.credentials) {
      const { decision } = credential;
      const entry = effectiveBase(base, snapshot, credential.name);
      const seen = seenIn(snapshot, credential);
      if (
        decision.kind !== 'spread' ||
        decision.winner.from === 'history' ||
        !entry?.agreed ||
        seen.tombstone
      )
        continue;
      const { version: winner } = decision.winner;
      const replaced =
        [...entry.superseded, ...(seen.pruned ?? [])].includes(entry.agreed.id) ||
        seen.history?.some(({ replaces }) => entry.agreed && replaces.includes(entry.agreed.id));
      const refreshed = winner.freshness.lastRefresh;
      const valid = entry.agreed.freshness.lastRefresh;
      if (replaced || refreshed === undefined || valid === undefined || valid > snapshot.now) continue;
      const held = PLACES.some((place) => {
        const there = seen[place];
        return there.kind === 'version' && there.version.id === entry.agreed?.id;
      });
      // Freshness of the agreed version is beaten only by a later one, as long as any place still has it.
      if (held && refreshed <= snapshot.now) expect(refreshed).toBeGreaterThanOrEqual(valid);
    }
  });
});

test('carried out in full, a plan leaves nothing to do', () => {
  check((given) => {
    expect(leftAfter(1, given, 'sync')).toEqual([]);
  });
});

test('hydrate, which may not write the store and so agrees on nothing with it, settles all the same', () => {
  check((given) => {
    // Without a history: a random one may say that what the store holds was replaced, which none of our hosts does.
    expect(leftAfter(3, { ...given, history: [] }, 'hydrate')).toEqual([]);
  });
});

/** The actions of the plan that is made after so many were carried out in full. */
function leftAfter(count: number, any: Given, command: 'sync' | 'hydrate'): readonly string[] {
  // All deletions allowed: what the guard lets through depends on how many credentials there are by then.
  const world = { ...any.world, command, allowDelete: Object.keys(any.world.others ?? {}) };
  const start = planned({ ...any, world });
  let { base, snapshot, made } = start;
  for (let round = 0; round < count; round++) {
    const after = carriedOut(base, snapshot, made.credentials, start.history);
    base = after.base;
    ({ snapshot, made } = planWith(base, after.snapshot, start.history, world));
  }
  return made.credentials.flatMap(({ name, actions }) =>
    actions.map((action) => `${name}: ${describeAction(action)}`),
  );
}

/** What the places, the history and the base are after a plan in which nothing went wrong. */
function carriedOut(base: Base, snapshot: Snapshot, plans: readonly CredentialPlan[], history: History) {
  const credentials = new Map(snapshot.credentials);
  const entries = new Map<CredentialName, BaseEntry>();
  const deleted: CredentialName[] = [];
  for (const credential of plans) {
    const { name, decision, actions } = credential;
    const seen = seenIn(snapshot, credential);
    const entry = effectiveBase(base, snapshot, name);
    const winner = decision.kind === 'spread' ? winnerVersion(decision.winner, seen) : undefined;
    const after: Record<Place, Sighting> & { tombstone: CredentialSnapshot['tombstone'] } = { ...seen };
    const records = history.get(name) ?? [];
    const removed: LocalPlace[] = [];
    for (const action of actions) {
      if (
        action.kind === 'keep' &&
        action.where === 'history' &&
        !records.some(({ id }) => id === action.version.id)
      ) {
        records.push({
          name,
          id: action.version.id,
          host: 'laptop',
          reason: '',
          replaces: replaced(action.version.id, winner, seen, entry),
          arrived: records.length,
        });
      }
      if (action.kind === 'bury')
        after.tombstone = { kind: 'tombstone', tombstone: action.tombstone, tag: 'tag new' };
      if (action.kind === 'unbury') after.tombstone = undefined;
      if (action.kind === 'write' && winner) after[action.place] = sightingOf(winner, action.place);
      if (action.kind === 'remove') {
        after[action.place] = { kind: 'absent' };
        if (action.place === 'auth' || action.place === 'ccs') removed.push(action.place);
      }
    }
    history.set(name, records);
    credentials.set(name, { ...after, history: snapshot.places.store.kind === 'listed' ? undefined : [] });
    if (removed.length > 0) deleted.push(name);
    const outcome = { complete: true, tags: {}, removed, tombstone: 'tag new', ...(winner && { winner }) };
    const next = nextEntry(credential, seen, entry, snapshot, outcome);
    if (next) entries.set(name, next);
  }
  const places = Object.fromEntries(
    PLACES.map((place) => {
      const state = snapshot.places[place];
      return [
        place,
        state.kind === 'listed' && state.marker === undefined ? { ...state, marker: `new ${place}` } : state,
      ];
    }),
  ) as Snapshot['places'];
  return {
    snapshot: { ...snapshot, places, credentials },
    base: {
      markers: nextMarkers(base, places),
      credentials: entries,
      deletions: nextDeletions(base, deleted, [], snapshot.now),
      intents: new Map(),
    } satisfies Base,
  };
}

function winnerVersion(
  winner: Extract<CredentialPlan['decision'], { kind: 'spread' }>['winner'],
  seen: CredentialSnapshot,
): Version {
  const id = winnerId(winner);
  const known = [v1, v1disabled, v1noted, v2, v2disabled, v3, undated, fewHoursAhead, nextYear, serviceKey];
  const held = [...PLACES.map((place) => seen[place])].flatMap((there) =>
    there.kind === 'version' ? [there.version] : [],
  );
  const merged = winner.from === 'merge' ? [winner.version] : [];
  const found = [...known, ...merged, ...held].find((one) => one.id === id);
  if (!found?.bytes) throw new Error(`no bytes of ${id}`);
  return { ...found, bytes: found.bytes };
}

function replaced(
  id: VersionId,
  winner: Version | undefined,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
): VersionId[] {
  if (winner?.id !== id) return [];
  const held = PLACES.flatMap((place) => {
    const there = seen[place];
    return there.kind === 'version' ? [there.version.id] : [];
  });
  return [...new Set([...held, ...(entry?.agreed ? [entry.agreed.id] : [])])].filter((other) => other !== id);
}
