/** Each of the planner's rules alone. */
import { describe, expect, test } from 'vitest';
import type { Freshness } from '../../../ts/src/credential/freshness.ts';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import type { Version, VersionId } from '../../../ts/src/credential/version.ts';
import type { BaseEntry, CredentialSnapshot, Decision, Snapshot } from '../../../ts/src/sync/model.ts';
import { adoptOwnWrite, baseFor, belongs, changeOf } from '../../../ts/src/sync/rules/change.ts';
import { GUARD_WINDOW_MS, guard, putBack } from '../../../ts/src/sync/rules/guard.ts';
import { isStale, wasChosenOver } from '../../../ts/src/sync/rules/stale.ts';
import { supersededVersions } from '../../../ts/src/sync/rules/superseded.ts';
import {
  burying,
  isSameTombstone,
  lifeUnder,
  MAX_ALSO,
  REAPPEARANCE_MS,
} from '../../../ts/src/sync/rules/tombstone.ts';
import { twins } from '../../../ts/src/sync/rules/twins.ts';
import { inOrder } from '../../../ts/src/sync/rules/winner.ts';
import {
  type Cell,
  fewHoursAhead,
  HOUR,
  inputs,
  MINUTE,
  NOW,
  native,
  nextYear,
  refreshed,
  sightingOf,
  tombstone,
  undated,
  v1,
  v1disabled,
  v1noted,
  v2,
  v3,
  v4,
  type World,
} from '../../scenarios/vocabulary.ts';

const A = 'a.json' as CredentialName;
const given = (world: World) => {
  const { base, snapshot } = inputs(world);
  return { base, snapshot, seen: snapshot.credentials.get(A), entry: base.credentials.get(A) };
};

describe('a place against its base', () => {
  test.each([
    ['holds what it held', sightingOf(v1, 'auth'), v1.id, 'unchanged'],
    ['holds another version', sightingOf(v2, 'auth'), v1.id, 'changed'],
    ['holds one, and had none', sightingOf(v1, 'auth'), undefined, 'changed'],
    ['holds none any more', sightingOf(undefined, 'auth'), v1.id, 'gone'],
    ['holds none, and had none', sightingOf(undefined, 'auth'), undefined, 'absent'],
    ['cannot be read', sightingOf('unreadable', 'auth'), v1.id, 'unknown'],
    ['is half-written', sightingOf({ invalid: '{' }, 'auth'), v1.id, 'unknown'],
    ['is paused', sightingOf('paused', 'ccs'), v1.id, 'unknown'],
  ] as const)('%s', (_, sighting, before, change) => expect(changeOf(sighting, before)).toBe(change));
});

describe('the base belongs to the places that it was made of', () => {
  test('a place with another marker, or none, has no base; the others keep theirs', () => {
    const { base, snapshot } = given({ base: { agreed: v1 }, without: { auth: 'first join' } });
    expect(baseFor(base, snapshot, A)?.at).toEqual({ ccs: v1.id, store: v1.id, backup: v1.id });
    expect(belongs(base, snapshot, 'auth')).toBe(false);
    // Nor where the base knows none either: that no marker was there does not make it the same directory.
    expect(belongs({ ...base, markers: {} }, snapshot, 'auth')).toBe(false);
  });

  test('a place that could not be listed keeps its base', () => {
    const { base, snapshot } = given({ base: { agreed: v1 }, without: { auth: 'failed', remote: 'failed' } });
    expect(baseFor(base, snapshot, A)?.at).toEqual({ auth: v1.id, ccs: v1.id, store: v1.id, backup: v1.id });
  });

  test('nor does a re-made directory remember since when it was free of a deleted credential', () => {
    const { base, snapshot } = given({ base: { buried: { deleted: v1 } }, without: { auth: 'first join' } });
    expect(Object.keys(baseFor(base, snapshot, A)?.buried?.cleared ?? {})).toEqual(['ccs']);
  });
});

describe('our own store write, noted ahead of a crash', () => {
  const intent = { version: v2, held: ['auth'] as const, supersedes: [v1] };
  const adopted = (world: World) => {
    const { base, snapshot, entry, seen } = given(world);
    if (!seen) throw new Error('nothing was seen');
    return adoptOwnWrite(base, snapshot, A, entry, seen);
  };

  test('is the base where it arrived', () => {
    const entry = adopted({ base: { agreed: v1, intent }, places: { store: v2, backup: v1 } });
    expect(entry?.agreed?.id).toBe(v2.id);
    expect(entry?.at).toEqual({ auth: v2.id, ccs: v1.id, store: v2.id, backup: v1.id });
    expect(entry?.superseded).toEqual([v1.id]);
  });

  test('is the base where there was none', () => {
    const entry = adopted({ base: { intent: { ...intent, supersedes: [v2, v3] } }, places: { store: v2 } });
    expect(entry).toMatchObject({ at: { store: v2.id }, superseded: [v3.id] });
  });

  test('is all that is known of a credential of which this host had no base', () => {
    const { base, snapshot, seen } = given({ base: { intent }, places: { auth: v2, store: v2 } });
    if (!seen) throw new Error('nothing was seen');
    const adoptedFirst = {
      agreed: base.intents.get(A)?.version,
      at: { auth: v2.id, store: v2.id },
      tags: {},
      superseded: [v1.id],
      unkept: [v1.id],
      buried: undefined,
    };
    expect(adoptOwnWrite(base, snapshot, A, undefined, seen)).toEqual(adoptedFirst);
    // The login of a name that another host had deleted.
    const buried = given({ base: { intent }, places: { auth: v2, store: v2 }, tombstone: v1 }).seen;
    if (!buried) throw new Error('nothing was seen');
    expect(adoptOwnWrite(base, snapshot, A, undefined, buried)).toEqual(adoptedFirst);
  });

  test('does not make a directory miss what it held before it was made anew', () => {
    const entry = adopted({
      base: { agreed: v1, at: { auth: 'none' }, intent },
      places: { store: v2, backup: v1 },
      without: { auth: 'first join' },
    });
    expect(entry?.at).toEqual({ ccs: v1.id, store: v2.id, backup: v1.id });
  });

  test('says nothing more once the base has it', () => {
    const known: World = { base: { agreed: v2, at: { auth: 'none' }, intent }, places: { store: v2 } };
    expect(adopted(known)).toEqual(given(known).entry);
  });

  test('leaves the tags of what else was seen', () => {
    const entry = adopted({ base: { agreed: v1, intent }, places: { store: v2, backup: v1 } });
    expect(entry?.tags).toEqual({ store: `tag ${v1.id}`, backup: `tag ${v1.id}` });
  });

  test('is forgotten where it did not', () => {
    const entry = adopted({ base: { agreed: v1, intent }, places: { store: v3, backup: v1 } });
    expect(entry?.agreed?.id).toBe(v1.id);
  });

  test('never leaves the version that it made current among the replaced ones', () => {
    const entry = adopted({ base: { agreed: v1, superseded: [v2], intent }, places: { store: v2 } });
    expect(entry?.superseded).not.toContain(v2.id);
  });
});

describe('a version is superseded', () => {
  const entry = (agreed: Version, ...superseded: Version[]): BaseEntry | undefined =>
    given({ base: { agreed, superseded } }).entry;
  const record = (version: Version, ...replaces: Version[]) => ({
    name: A,
    id: version.id,
    host: '',
    reason: '',
    arrived: 0,
    replaces: replaces.map(({ id }) => id),
  });

  test("if it is in this host's list", () => {
    expect([...supersededVersions(entry(v2, v1), undefined, [])]).toEqual([v1.id]);
  });

  test('if history says that a version replaced it which is current', () => {
    expect([...supersededVersions(undefined, [record(v1), record(v2, v1)], [v2.id])]).toEqual([v1.id]);
  });

  test('if that one was agreed here, or was replaced itself', () => {
    expect([...supersededVersions(entry(v2), [record(v2, v1)], [])]).toEqual([v1.id]);
    expect([...supersededVersions(undefined, [record(v2, v1), record(v3, v2)], [v3.id])]).toEqual([
      v1.id,
      v2.id,
    ]);
  });

  test('but not for being in history', () => {
    expect([...supersededVersions(undefined, [record(v1)], [])]).toEqual([]);
  });

  test('nor by a version that was put into history and never became current', () => {
    expect([...supersededVersions(undefined, [record(v1), record(v4, v1, v2, v3)], [v2.id])]).toEqual([]);
  });
});

describe('an old file that was put back', () => {
  const agreedOn = (version: Version, agreedAt = NOW - HOUR) => ({
    id: version.id,
    freshness: version.freshness,
    fields: {},
    agreedAt,
    recorded: true,
  });

  test('is no change', () => {
    expect(isStale(v1, agreedOn(v2), NOW)).toBe(true);
    expect(isStale(undated, agreedOn(v2), NOW)).toBe(true);
    expect(isStale(nextYear, agreedOn(v2), NOW)).toBe(true);
  });

  test('one as fresh, or fresher, or one without anything agreed, is', () => {
    expect(isStale(v1disabled, agreedOn(v1), NOW)).toBe(false);
    expect(isStale(v2, agreedOn(v1), NOW)).toBe(false);
    expect(isStale(v1, undefined, NOW)).toBe(false);
  });

  test('nor what one of our programs made current knowing what it replaced, be it less fresh', () => {
    const seenWith = (cell: Cell) =>
      given({ base: { agreed: v2 }, places: { store: cell } }).seen as CredentialSnapshot;
    const known = new Set([v2.id]);
    expect(wasChosenOver(agreedOn(v2), v1, seenWith(v1), known)).toBe(true);
    expect(wasChosenOver(agreedOn(v2), v1, seenWith(v1), new Set())).toBe(false);
    expect(wasChosenOver(agreedOn(v2), v1, seenWith(native(v1)), known)).toBe(false);
    expect(wasChosenOver(undefined, v1, seenWith(v1), known)).toBe(false);
  });

  test('nor a refresh since the agreement, where the agreed one was dated by a clock that was ahead', () => {
    expect(isStale(v2, agreedOn(fewHoursAhead, Date.UTC(2026, 10, 1)), NOW)).toBe(false);
    expect(isStale(v2, agreedOn(fewHoursAhead, Date.UTC(2026, 10, 3)), NOW)).toBe(true);
    // v2 was refreshed at that very moment: that is not since.
    expect(isStale(v2, agreedOn(fewHoursAhead, Date.UTC(2026, 10, 2)), NOW)).toBe(true);
  });
});

describe('of versions that changed independently, first comes', () => {
  const first = (...candidates: Parameters<typeof inOrder>[0][number][]) =>
    inOrder(candidates, NOW)[0]?.version;

  test('the freshest, from wherever', () => {
    expect(first({ version: v1, places: ['backup'] }, { version: v2, places: ['auth'] })).toBe(v2);
  });

  test('of equally fresh ones the backup copy before the store', () => {
    for (const [a, b] of [
      [v1disabled, v1noted],
      [v1noted, v1disabled],
    ] as const) {
      expect(first({ version: a, places: ['store'] }, { version: b, places: ['backup'] })).toBe(b);
    }
  });

  test('else the higher id, whoever asks', () => {
    const higher = v1disabled.id > v1noted.id ? v1disabled : v1noted;
    expect(first({ version: v1disabled, places: ['auth'] }, { version: v1noted, places: ['store'] })).toBe(
      higher,
    );
    expect(first({ version: v1noted, places: ['auth'] }, { version: v1disabled, places: ['store'] })).toBe(
      higher,
    );
  });
});

test('a store that is less fresh than the backup copy does not come last for that among its equals', () => {
  const [higher, lower] = v1disabled.id > v1noted.id ? [v1disabled, v1noted] : [v1noted, v1disabled];
  const ordered = inOrder(
    [
      { version: lower, places: ['auth'] },
      { version: higher, places: ['store'] },
      { version: v2, places: ['backup'] },
    ],
    NOW,
  );
  expect(ordered.map(({ version }) => version)).toEqual([v2, higher, lower]);
});

describe('under a tombstone', () => {
  const grave = tombstone(A, v2);
  const cleared = (ago: number) =>
    given({ base: { buried: { deleted: v2, clearedSecondsAgo: ago / 1000 } } }).entry;
  const life = (
    version: Version,
    {
      since,
      entry,
      superseded = [],
    }: { since?: number; entry?: BaseEntry | undefined; superseded?: VersionId[] } = {},
  ) => lifeUnder(grave, version, 'auth', since, entry, new Set(superseded), NOW);

  test('what was deleted is dead, and what is no fresher', () => {
    expect([v2, v1, undated, nextYear].map((version) => life(version))).toEqual([
      'dead',
      'dead',
      'dead',
      'dead',
    ]);
  });

  test('what went with it is dead, however fresh', () => {
    const also = { ...grave, also: [v4.id] };
    expect(lifeUnder(also, v4, 'auth', undefined, undefined, new Set(), NOW)).toBe('dead');
    expect(life(v4)).toBe('fresher');
  });

  test('a new one names what the earlier one named and what went with it, the earlier first', () => {
    const earlier = { ...grave, also: [v3.id] };
    expect(burying(v1.id, v1.freshness, [v4.id, v1.id], earlier).also).toEqual([v2.id, v3.id, v4.id]);
    const many = Array.from({ length: 20 }, (_, day) => refreshed(day + 1).id);
    expect(burying(v1.id, v1.freshness, many, grave).also).toHaveLength(MAX_ALSO);
    expect(burying(v1.id, v1.freshness, [v1.id], undefined)).toEqual({
      version: v1.id,
      freshness: v1.freshness,
    });
  });

  test('a new one ranks as high as the earlier one, by the kinds of time that its version has', () => {
    const dated = (lastRefresh?: number, expired?: number) => ({
      ...(lastRefresh !== undefined && { lastRefresh }),
      ...(expired !== undefined && { expired }),
    });
    const over = (own: Freshness, earlier: Freshness) =>
      burying(v1.id, own, [], { ...grave, freshness: earlier }).freshness;
    expect(over(dated(1, 5), dated(2, 4))).toEqual(dated(2, 5));
    expect(over(dated(3, 5), dated(2, 6))).toEqual(dated(3, 6));
    expect(over(dated(undefined, 5), dated(2))).toEqual(dated(undefined, 5));
    expect(over(dated(), dated(2, 4))).toEqual(dated());
  });

  test('a fresher login lives, but not one that was replaced', () => {
    expect(life(v3)).toBe('fresher');
    expect(life(v3, { superseded: [v3.id] })).toBe('dead');
  });

  test('a file that came more than a minute after its removal was put back by a person', () => {
    expect(life(v2, { entry: cleared(REAPPEARANCE_MS + 1) })).toBe('put-back');
    expect(life(v2, { entry: cleared(REAPPEARANCE_MS) })).toBe('dead');
  });

  test('a file that came sooner was not, whenever the run comes', () => {
    expect(life(v2, { entry: cleared(HOUR), since: NOW - HOUR + MINUTE / 2 })).toBe('dead');
    expect(life(v2, { entry: cleared(HOUR), since: NOW - HOUR + 2 * MINUTE })).toBe('put-back');
  });

  test('what is known of another deletion of the same name does not count', () => {
    const entry = cleared(HOUR);
    const other = { ...grave, time: grave.time + 1 };
    expect(isSameTombstone(grave, other)).toBe(false);
    expect(isSameTombstone(grave, { ...grave, version: v3.id })).toBe(false);
    expect(lifeUnder(other, v2, 'auth', undefined, entry, new Set(), NOW)).toBe('dead');
  });
});

describe('the guard', () => {
  const names = (...all: string[]) => all as CredentialName[];
  const asked = (
    deleting: string[],
    existing: string[],
    recent: [string, number][] = [],
    allowed: string[] = [],
  ) =>
    guard(
      names(...deleting),
      new Set(names(...existing)),
      new Map(recent.map(([name, ago]) => [name as CredentialName, NOW - ago])),
      new Set(names(...allowed)),
      NOW,
    );

  test('lets one go, of however few', () => {
    expect(asked(['a'], ['a'])).toBeUndefined();
    expect(asked(['a'], ['a', 'b'])).toBeUndefined();
  });

  test('lets half go, and holds more', () => {
    expect(asked(['a', 'b'], ['a', 'b', 'c', 'd'])).toBeUndefined();
    expect(asked(['a', 'b', 'c'], ['a', 'b', 'c', 'd', 'e'])).toEqual({ names: ['a', 'b', 'c'], total: 5 });
  });

  test('adds up a day, and counts no credential twice', () => {
    expect(
      asked(
        ['c'],
        ['c', 'd'],
        [
          ['a', HOUR],
          ['b', HOUR],
        ],
      ),
    ).toEqual({ names: ['c'], total: 4 });
    expect(
      asked(
        ['c'],
        ['c', 'd'],
        [
          ['a', GUARD_WINDOW_MS],
          ['b', GUARD_WINDOW_MS],
        ],
      ),
    ).toBeUndefined();
    expect(asked(['a'], ['a', 'b'], [['a', HOUR]])).toBeUndefined();
  });

  test('says nothing of a run that deletes nothing, whatever was deleted before', () => {
    expect(
      asked(
        [],
        ['c'],
        [
          ['a', HOUR],
          ['b', HOUR],
        ],
      ),
    ).toBeUndefined();
  });

  test('does not count what a person allowed', () => {
    expect(asked(['a', 'b'], ['a', 'b'], [], ['a', 'b'])).toBeUndefined();
    expect(asked(['a', 'b', 'c'], ['a', 'b', 'c'], [], ['a'])).toEqual({ names: ['b', 'c'], total: 3 });
  });
});

describe('what the guard puts back', () => {
  const deletionOf = (version: Version): Decision => ({
    kind: 'delete',
    tombstone: tombstone(A, version),
    tag: undefined,
    reason: 'deleted from the auth dir',
  });
  const after = (decision: Decision, world: World) => {
    const { seen, entry } = given(world);
    if (!seen) throw new Error('nothing was seen');
    return putBack(decision, seen, entry);
  };

  test('comes from a place that still has it', () => {
    expect(after(deletionOf(v1), { base: { agreed: v1 }, places: { ccs: v1, store: v1 } })).toMatchObject({
      kind: 'spread',
      winner: { from: 'ccs', version: { id: v1.id } },
    });
  });

  test('comes from history if none has, and then nothing is replaced', () => {
    expect(after(deletionOf(v1), { base: { agreed: v1 } })).toEqual({
      kind: 'spread',
      winner: { from: 'history', id: v1.id },
      reason: expect.stringContaining('the mass-deletion guard puts it back'),
      losers: [],
      ends: undefined,
      stale: false,
      conflict: false,
    });
  });

  test('is nothing where nothing was to be deleted', () => {
    expect(after({ kind: 'nothing' }, { base: { agreed: v1 } })).toEqual({ kind: 'nothing' });
  });
});

describe('names that one file would hold', () => {
  const seen = (folds: boolean, ...all: string[]): Snapshot =>
    inputs({
      others: Object.fromEntries(all.map((name) => [name, { places: { store: v1 } }])),
      without: folds ? { auth: 'folds' } : {},
    }).snapshot;

  test('are told from each other only where the file system folds them', () => {
    expect([...twins(seen(true, 'User.json', 'user.json', 'x.json'))]).toEqual([
      ['user.json', 'User.json'],
      ['User.json', 'user.json'],
    ]);
    expect([...twins(seen(true, 'caf\u00e9.json', 'cafe\u0301.json'))]).toHaveLength(2);
    expect([...twins(seen(false, 'User.json', 'user.json'))]).toEqual([]);
  });

  test('as many as a store may hold are all named, and soon', () => {
    const names = Array.from({ length: 50_000 }, (_, index) => [`n${index}.json`, `N${index}.json`]).flat();
    const begun = performance.now();
    expect(twins(seen(true, ...names)).size).toBe(100_000);
    // One that was compared with all others would take hours.
    expect(performance.now() - begun).toBeLessThan(5_000);
  });
});
