/** What a host remembers after a run. */
import { describe, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { contentOf, fieldDigests } from '../../../ts/src/credential/version.ts';
import { EMPTY_BASE, intentOf, nextDeletions, nextEntry, nextMarkers } from '../../../ts/src/sync/base.ts';
import type { BaseEntry, CredentialPlan, CredentialSnapshot } from '../../../ts/src/sync/model.ts';
import { effectiveBase, plan } from '../../../ts/src/sync/plan.ts';
import { GUARD_WINDOW_MS } from '../../../ts/src/sync/rules/guard.ts';
import { MAX_SUPERSEDED } from '../../../ts/src/sync/rules/superseded.ts';
import {
  cameBack,
  DAY,
  edited,
  everywhere,
  HOUR,
  inputs,
  invalid,
  NOW,
  native,
  optionsOf,
  permissionsOf,
  planFor,
  refreshed,
  tombstone,
  undated,
  unread,
  v1,
  v1deviceA,
  v1deviceB,
  v1noted,
  v2,
  v3,
  v4,
  type World,
} from '../../scenarios/vocabulary.ts';

type Outcome = Partial<Parameters<typeof nextEntry>[4]>;

const A = 'a.json' as CredentialName;
const rotated: World = {
  base: { agreed: v1 },
  places: { auth: v2, ccs: v1, store: unread(v1), backup: unread(v1) },
};

/** The entry after a run, and the one before it. */
function run(world: World, outcome: Outcome, change: (entry: BaseEntry) => BaseEntry = (entry) => entry) {
  const { base, snapshot } = inputs(world);
  const known = base.credentials.get(A);
  const before = known && change(known);
  const credentials = new Map(before ? [[A, before]] : []);
  const made = plan({ ...base, credentials }, snapshot, permissionsOf(world), optionsOf(world));
  const [planned] = made.credentials;
  const seen = planned && snapshot.credentials.get(planned.name);
  if (!planned || !seen) throw new Error('nothing was planned');
  const all = { complete: true, tags: {}, removed: [], ...outcome };
  return { before, after: nextEntry(planned, seen, before, snapshot, all) };
}

const unrecorded = (entry: BaseEntry): BaseEntry => ({
  ...entry,
  agreed: entry.agreed && { ...entry.agreed, recorded: false },
});

const remembered = (world: World, outcome: Outcome) => run(world, { winner: v2, ...outcome }).after;

describe('after a version went everywhere', () => {
  test('all places took the new version: it is agreed, and the old one was replaced', () => {
    const entry = remembered(rotated, {});
    expect(entry?.agreed).toEqual({
      id: v2.id,
      freshness: v2.freshness,
      fields: fieldDigests(contentOf(v2)),
      agreedAt: NOW,
      recorded: true,
    });
    expect(entry?.at).toEqual({ auth: v2.id, ccs: v2.id, store: v2.id, backup: v2.id });
    expect(entry?.superseded).toEqual([v1.id]);
    expect(entry?.buried).toBeUndefined();
  });

  test('what was agreed before stays so, with the time since when', () => {
    const { before, after } = run({ base: { agreed: v1 }, places: everywhere(v1) }, { winner: v1 });
    expect(after).toEqual(before);
    expect(after?.agreed?.agreedAt).toBe(NOW - DAY);
  });

  test("each object's tag is that of its write, or the one that was seen; none is made up", () => {
    const tags = { store: 'new', backup: 'newer' };
    expect(remembered(rotated, { tags })?.tags).toEqual(tags);
    expect(run({ places: everywhere(v1) }, { winner: v1 }).after?.tags).toEqual({
      store: `tag ${v1.id}`,
      backup: `tag ${v1.id}`,
    });
    expect(remembered({ places: { auth: v2 } }, { tags: { store: 'new' } })?.tags).toStrictEqual({
      store: 'new',
    });
  });

  test('all that lost to it was replaced, and what was before that', () => {
    const conflict: World = {
      base: { agreed: v1, superseded: [undated] },
      places: { auth: v2, ccs: v1, store: v3, backup: v3 },
      history: [{ version: v1 }, { version: v3, replaces: [v1] }],
    };
    expect(remembered(conflict, { winner: v3 })?.superseded).toEqual([undated.id, v1.id, v2.id]);
  });

  test('a version that was chosen again is no longer among the replaced ones', () => {
    const again: World = {
      base: { agreed: v1deviceB, superseded: [v1deviceA] },
      places: { ...everywhere(v1deviceB), store: v1deviceA, backup: v1deviceA },
      history: [{ version: v1deviceA }, { version: v1deviceB, replaces: [v1deviceA] }],
    };
    expect(remembered(again, { winner: v1deviceA })?.superseded).toEqual([v1deviceB.id]);
  });

  test('the replaced ones are bounded, the oldest forgotten first', () => {
    const old = Array.from({ length: MAX_SUPERSEDED }, (_, index) => edited(v1, { note: index }));
    const entry = remembered({ ...rotated, base: { agreed: v1, superseded: old } }, {});
    expect(entry?.superseded).toEqual([...old.slice(1).map(({ id }) => id), v1.id]);
  });

  test('a first login, and one after a deletion that is over', () => {
    expect(remembered({ places: { auth: v2 } }, {})).toMatchObject({ agreed: { id: v2.id }, superseded: [] });
    expect(remembered({ base: { superseded: [v1] }, places: { auth: v2 } }, {})).toMatchObject({
      agreed: { id: v2.id },
      superseded: [v1.id],
    });
  });
});

describe('whether the agreed version is in history', () => {
  test('it is not, where a native proxy wrote it and nothing was to be replaced', () => {
    const places = { auth: v2, ccs: v2, store: native(v2), backup: native(v2) };
    expect(remembered({ places, history: [] }, {})?.agreed?.recorded).toBe(false);
  });

  test('nor for another version being kept there', () => {
    const lost: World = {
      base: { agreed: v1 },
      places: { auth: v2, ccs: v1, store: native(v3), backup: native(v3) },
      history: [{ version: v1 }],
    };
    expect(remembered(lost, { winner: v3 })?.agreed).toMatchObject({ id: v3.id, recorded: false });
  });

  test('it stays known of the version that was agreed, and is learned of it', () => {
    const same = (cell: Parameters<typeof everywhere>[0]): World => ({
      base: { agreed: v1 },
      places: { auth: v1, ccs: v1, store: cell, backup: cell },
    });
    expect(run(same(native(v1)), {}).after?.agreed?.recorded).toBe(true);
    const learned = run(same(v1), {}, unrecorded);
    expect(learned.after?.agreed).toEqual({ ...learned.before?.agreed, recorded: true });
    expect(run(same(native(v1)), {}, unrecorded).after?.agreed?.recorded).toBe(false);
  });
});

test('a version that the guard takes from history is there: it need not be put there, and that is remembered', () => {
  const guarded: World = {
    base: { agreed: v1 },
    places: {},
    deletions: { 'gone1.json': HOUR, 'gone2.json': HOUR },
  };
  const { after } = run(guarded, { winner: v1 }, unrecorded);
  expect(after).toMatchObject({ agreed: { id: v1.id, recorded: true }, at: { auth: v1.id, store: v1.id } });
});

test('what a note says was to be kept counts as not kept, until a run has kept it', () => {
  const noted = { version: v4, held: [], supersedes: [v1, v2, v3] } as const;
  const world: World = {
    base: { agreed: v1, intent: noted },
    places: { auth: v2, ccs: v3, store: v4, backup: v4 },
  };
  const { base, snapshot, plan } = planFor(world);
  const [planned] = plan.credentials as [CredentialPlan];
  const seen = snapshot.credentials.get(planned.name) as CredentialSnapshot;
  const entry = effectiveBase(base, snapshot, planned.name);
  expect(entry?.unkept).toEqual([v2.id, v3.id]);
  const outcome = { complete: true, winner: v4, tags: {}, removed: [] };
  expect(nextEntry(planned, seen, entry, snapshot, outcome)?.unkept).toBeUndefined();
  const half = planned.actions.filter((action) => action.kind !== 'keep' || action.version.id !== v3.id);
  expect(nextEntry({ ...planned, actions: half }, seen, entry, snapshot, outcome)?.unkept).toEqual([v3.id]);
});

describe('the base does not run ahead of the places', () => {
  test('a local place could not be written: the others agree, and it keeps the base that it had', () => {
    const entry = remembered(rotated, { unwritten: ['ccs'] });
    expect(entry?.agreed?.id).toBe(v2.id);
    expect(entry?.at).toEqual({ auth: v2.id, ccs: v1.id, store: v2.id, backup: v2.id });
  });

  test('a local place that never had it could not be written: it is not missed there later', () => {
    const first = { places: { auth: v2 } };
    const at = { auth: v2.id, store: v2.id, backup: v2.id };
    expect(remembered(first, { unwritten: ['ccs'] })?.at).toEqual(at);
  });

  test('nor in one that had lost it, and could not be written', () => {
    const lost = { ...rotated, places: { auth: v2, store: v1, backup: v1 } };
    expect(remembered(lost, { unwritten: ['ccs'] })?.at).toEqual({
      auth: v2.id,
      store: v2.id,
      backup: v2.id,
    });
  });

  test('a file that cannot be read keeps the base that it had', () => {
    const unreadable: World = { ...rotated, places: { ...rotated.places, ccs: 'unreadable' } };
    expect(remembered(unreadable, {})?.at.ccs).toBe(v1.id);
  });

  test('the store was not written, was not to be, or could not be reached', () => {
    for (const [world, outcome] of [
      [rotated, { complete: false }],
      [{ ...rotated, command: 'hydrate' }, {}],
      [{ ...rotated, without: { remote: 'failed' } }, {}],
      [{ base: { agreed: v1 }, places: everywhere(v1), without: { remote: 'failed' } }, {}],
    ] as const satisfies readonly (readonly [World, Outcome])[]) {
      const { before, after } = run(world, { winner: v2, ...outcome });
      expect(after).toBe(before);
    }
  });

  test('what won was not read, so nothing could be compared with it later', () => {
    const { before, after } = run(rotated, {});
    expect(after).toBe(before);
    const { id, freshness } = v2;
    expect(run(rotated, { winner: { id, freshness } }).after).toEqual(before);
  });

  test('nothing was decided', () => {
    const { before, after } = run({ base: { agreed: v1 }, tombstone: 'damaged', places: everywhere(v1) }, {});
    expect(after).toBe(before);
  });
});

describe('after a deletion', () => {
  const buried: World = { base: { agreed: v1 }, tombstone: v1, places: { auth: v1, ccs: v1 } };

  test('all that was there was replaced, and each place is free of it since now', () => {
    expect(run(buried, { removed: ['auth', 'ccs'] }).after).toEqual({
      agreed: undefined,
      at: {},
      tags: {},
      superseded: [v1.id],
      buried: { tombstone: tombstone(A, v1), tag: 'tag T', cleared: { auth: NOW, ccs: NOW } },
    });
  });

  test('what was agreed, what was deleted and what was found, each is remembered', () => {
    const other: World = { base: { agreed: v1 }, tombstone: v2, places: { auth: v1noted } };
    expect(run(other, { removed: ['auth'] }).after?.superseded).toEqual([v1.id, v2.id, v1noted.id]);
  });

  test('a host that never had it remembers it too', () => {
    const never: World = { tombstone: v2, places: { auth: v1 } };
    expect(run(never, { removed: ['auth'] }).after).toMatchObject({ superseded: [v2.id, v1.id] });
    const again: World = { ...never, base: { superseded: [v3] } };
    expect(run(again, { removed: ['auth'] }).after).toMatchObject({ superseded: [v3.id, v2.id, v1.id] });
  });

  test('of this host: its tombstone has the tag of its write', () => {
    const own: World = { base: { agreed: v1 }, places: { ccs: v1, store: v1, backup: v1 } };
    const { before, after } = run(own, { removed: ['ccs'], tombstone: 'tag of the write' });
    expect(after?.buried?.tag).toBe('tag of the write');
    expect(after?.agreed).toBeUndefined();
    // The tombstone did not get there: the file is still missed.
    expect(run(own, { complete: false }).after).toEqual(before);
  });

  test('that is not complete: it does not miss the file again where it was removed', () => {
    const entry = run(buried, { complete: false, removed: ['auth'] }).after;
    expect(entry?.agreed?.id).toBe(v1.id);
    expect(entry?.at).toEqual({ ccs: v1.id, store: v1.id, backup: v1.id });
    // CCS has it still.
    expect(entry?.buried).toEqual({ tombstone: tombstone(A, v1), tag: 'tag T', cleared: { auth: NOW } });
  });

  test('that leaves the store to others: no place is free of it for good before the store is', () => {
    const inStore: World = { ...buried, command: 'hydrate', places: everywhere(v1) };
    const entry = run(inStore, { removed: ['auth', 'ccs'] }).after;
    expect(entry).toMatchObject({ agreed: { id: v1.id }, at: { store: v1.id, backup: v1.id } });
    expect(entry?.buried?.cleared).toEqual({});
    // The backup copy puts nothing back.
    const inBackup: World = { ...inStore, places: { auth: v1, backup: v1 } };
    expect(run(inBackup, { removed: ['auth'] }).after).toMatchObject({
      agreed: { id: v1.id },
      buried: { cleared: { auth: NOW, ccs: NOW } },
    });
    const { base: _, ...never } = inStore;
    expect(run(never, { removed: ['auth', 'ccs'] }).after).toBeUndefined();
  });

  test('a place that has long been free of it stays so since then', () => {
    const known = { buried: { deleted: v1, clearedSecondsAgo: 3600, places: ['auth'] as const } };
    const { after } = run({ base: known, tombstone: v1 }, {});
    expect(after?.buried?.cleared).toEqual({ auth: NOW - HOUR, ccs: NOW });
    // Of another deletion nothing is known yet.
    expect(run({ base: known, tombstone: v2 }, {}).after?.buried?.cleared).toEqual({ auth: NOW, ccs: NOW });
  });

  test('a place to which a proxy wrote it back is free of it since it was removed again', () => {
    const back: World = {
      base: { buried: { deleted: v1, clearedSecondsAgo: 3600 } },
      tombstone: v1,
      places: { auth: cameBack(v1, 3590) },
    };
    expect(run(back, { removed: ['auth'] }).after?.buried?.cleared).toEqual({ auth: NOW, ccs: NOW - HOUR });
  });

  test('a half-written file is none that is gone', () => {
    const half: World = { ...buried, places: { auth: v1, ccs: invalid('{') } };
    expect(run(half, { removed: ['auth'] }).after?.buried?.cleared).toEqual({ auth: NOW });
  });
});

describe('the note of a store write', () => {
  const noted = (world: World) => {
    const { base, snapshot } = inputs(world);
    const seen = snapshot.credentials.get(A);
    if (!seen) throw new Error('nothing was seen');
    return intentOf(v2, seen, base.credentials.get(A), NOW);
  };

  test('says what is written, who held it, and what it replaces', () => {
    expect(noted({ ...rotated, places: { ...rotated.places, backup: v1noted } })).toEqual({
      version: {
        id: v2.id,
        freshness: v2.freshness,
        fields: fieldDigests(contentOf(v2)),
        agreedAt: NOW,
        recorded: true,
      },
      held: ['auth'],
      supersedes: [v1.id, v1noted.id],
    });
  });

  test('replaces nothing, where the credential is new', () => {
    expect(noted({ places: { auth: v2, ccs: v2 } })).toMatchObject({ held: ['auth', 'ccs'], supersedes: [] });
    expect(noted({ base: { superseded: [v1] }, places: { ccs: v2 } })).toMatchObject({
      held: ['ccs'],
      supersedes: [],
    });
  });

  test('proves nothing, where the store has that version already', () => {
    const native2: World = { ...rotated, places: { auth: v2, ccs: v1, store: native(v2), backup: v1 } };
    expect(noted(native2)).toMatchObject({ version: { recorded: false }, supersedes: [] });
    const ours: World = { ...rotated, places: { auth: v2, ccs: v1, store: v2, backup: v1 } };
    expect(noted(ours)).toMatchObject({ version: { recorded: true }, supersedes: [] });
  });
});

test('a place that was listed is known by its marker from then on; the others as they were', () => {
  const { base, snapshot } = inputs({
    places: { auth: v1 },
    without: { auth: 'another', ccs: 'failed', remote: 'first join' },
  });
  expect(nextMarkers(base, snapshot.places)).toEqual({
    auth: 'another A',
    ccs: 'C',
    store: 'S',
    backup: 'S',
  });
  expect(nextMarkers(EMPTY_BASE, snapshot.places)).toStrictEqual({ auth: 'another A' });
});

test('the guard counts the deletions of the last day that have not come back', () => {
  const names = (...all: string[]) => all as CredentialName[];
  const [back, old, recent, now] = names('back.json', 'old.json', 'recent.json', 'now.json');
  const { base } = inputs({
    deletions: { 'back.json': HOUR, 'old.json': GUARD_WINDOW_MS, 'recent.json': GUARD_WINDOW_MS - 1 },
  });
  if (!back || !old || !recent || !now) throw new Error('four names');
  expect(nextDeletions(base, [now], [back], NOW)).toEqual(
    new Map([
      [recent, NOW - GUARD_WINDOW_MS + 1],
      [now, NOW],
    ]),
  );
});

test('a host that never ran remembers nothing, and misses nothing', () => {
  const world: World = { places: { store: refreshed(5), backup: refreshed(5) } };
  const { credentials } = plan(EMPTY_BASE, inputs(world).snapshot, permissionsOf(world), optionsOf(world));
  expect(credentials).toMatchObject([{ decision: { kind: 'spread' } }]);
  expect(planFor(world).plan.credentials).toMatchObject([{ decision: { kind: 'spread' } }]);
});
