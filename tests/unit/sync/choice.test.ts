/** What a person chose, where it cannot be done now or not at all. */
import { describe, expect, test } from 'vitest';
import { ownFreshness } from '../../../ts/src/credential/freshness.ts';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { restoredContent } from '../../../ts/src/credential/restored.ts';
import { contentOf, type Version, versionOf } from '../../../ts/src/credential/version.ts';
import { type Choice, chosen } from '../../../ts/src/sync/rules/choice.ts';
import {
  DAY,
  edited,
  everywhere,
  inputs,
  NOW,
  v1,
  v2,
  v2disabled,
  v3,
  v4,
  type World,
} from '../../scenarios/vocabulary.ts';

const A = 'a.json' as CredentialName;
const forget: Choice = { kind: 'forget', time: NOW };
const restore: Choice = { kind: 'restore', version: v1, of: v1.id, reason: 'restored on laptop' };

function asked(choice: Choice, world: World, host = 'laptop') {
  const { base, snapshot } = inputs(world);
  const seen = snapshot.credentials.get(A);
  if (!seen) throw new Error('nothing was seen');
  return chosen(A, choice, seen, base.credentials.get(A), snapshot, host);
}

describe('without the store', () => {
  const world: World = { base: { agreed: v2 }, places: { auth: v2 }, without: { remote: 'failed' } };

  test.each([
    [forget, 'forgotten'],
    [restore, 'restored'],
  ])('no other host would learn of it, so it waits: %o', (choice, word) => {
    expect(asked(choice, world)).toMatchObject({
      kind: 'held',
      waitsFor: 'store',
      reason: expect.stringContaining(`it was ${word}`),
    });
  });
});

describe('a credential that is forgotten', () => {
  test('is the one that was agreed on, where no place has it any more', () => {
    expect(asked(forget, { base: { agreed: v2 }, places: { store: { invalid: '{' } } })).toMatchObject({
      kind: 'delete',
      tombstone: { version: v2.id, forgotten: true },
    });
  });

  test('needs nothing where it is deleted and no place has it', () => {
    expect(asked(forget, { base: { agreed: v2 }, tombstone: v2 })).toBeUndefined();
  });

  test('is a deletion of its own, over what another host deleted and this one still has', () => {
    const buried = asked(forget, { base: { agreed: v2 }, tombstone: v2, places: { auth: v2 } });
    expect(buried).toMatchObject({ kind: 'delete', tag: undefined, over: 'tag T' });
    expect(asked(forget, { base: { agreed: v2 }, places: { auth: v2 } })).not.toHaveProperty('over');
  });

  test('counts as fresher than every copy, that of an expiry alone too', () => {
    const dated = (expired: string) => versionOf({ type: 'claude', access_token: expired, expired });
    const [early, late] = [dated('2026-11-20T00:00:00Z'), dated('2026-11-21T00:00:00Z')];
    const decided = asked(forget, { places: { auth: early, ccs: late } });
    expect(decided).toMatchObject({
      tombstone: { version: late.id, freshness: { expired: Date.UTC(2026, 10, 21) + 1 } },
    });
  });

  test('is forgotten once: a login after that is as good as any', () => {
    // The deletion of the vocabulary's tombstones.
    const done: Choice = { kind: 'forget', time: NOW - DAY };
    const stands: World = { base: { agreed: v2 }, tombstone: v2, places: { auth: v3 } };
    const ended: World = { base: { buried: { deleted: v2 } }, places: { auth: v3 } };
    expect(asked(done, stands, 'server')).toBeUndefined();
    expect(asked(done, ended, 'server')).toBeUndefined();
    // Another deletion, though of the same moment.
    expect(asked(done, stands, 'laptop')).toMatchObject({ kind: 'delete' });
  });

  test('over an earlier deletion takes with it what that one named, and what this host knew', () => {
    const world: World = {
      base: { agreed: v3 },
      tombstone: v2,
      places: { auth: v4, ccs: v1, store: v4, backup: v4 },
    };
    expect(asked(forget, world)).toMatchObject({
      kind: 'delete',
      over: 'tag T',
      tombstone: { version: v4.id, also: [v2.id, v1.id, v3.id] },
    });
  });

  test('over an earlier deletion is of what that one named, where this host has but an older copy', () => {
    expect(
      asked(forget, { base: { agreed: v2 }, tombstone: v3, places: { auth: v2, ccs: v1 } }),
    ).toMatchObject({
      kind: 'delete',
      over: 'tag T',
      tombstone: { version: v3.id, also: [v2.id, v1.id] },
    });
    // As a deletion that was cut short leaves the file.
    expect(
      asked(forget, { base: { agreed: v2 }, tombstone: v2, places: { auth: v2disabled } }),
    ).toMatchObject({
      tombstone: { version: v2.id, also: [v2disabled.id] },
    });
  });

  test('over an earlier deletion is of what a person put back since, however old that is', () => {
    const world: World = {
      base: { buried: { deleted: v3, clearedSecondsAgo: 3600 } },
      tombstone: v3,
      places: { auth: v1 },
    };
    expect(asked(forget, world)).toMatchObject({ tombstone: { version: v1.id, also: [v3.id] } });
  });

  test('needs nothing where there never was a good version', () => {
    expect(asked(forget, { places: { auth: { invalid: '{' } } })).toBeUndefined();
  });
});

test('a tombstone that cannot be read is left to the ordinary rules', () => {
  expect(asked(forget, { base: { agreed: v2 }, places: { auth: v2 }, tombstone: 'damaged' })).toBeUndefined();
});

describe('a version that is restored', () => {
  const history = [{ version: v1 }, { version: v2, replaces: [v1] }];

  test('goes over all that it was made to be fresher than', () => {
    const version = restored(v1);
    expect(
      asked(
        { ...restore, version },
        { base: { agreed: v2 }, places: { auth: v2, store: v2, backup: v2 }, history },
      ),
    ).toMatchObject({ kind: 'spread', winner: { version: { id: version.id } } });
  });

  test('is not held back by a copy that is just as fresh', () => {
    const version = restored(v1);
    const noted = edited(version, { note: 'mine' });
    expect(
      asked({ ...restore, version }, { base: { agreed: v2 }, places: { auth: noted, store: v2 }, history }),
    ).toMatchObject({ kind: 'spread', winner: { version: { id: version.id } } });
  });

  test('is all that is said of it: nothing old was put back, and nothing met', () => {
    const version = restored(v1);
    expect(
      asked({ ...restore, version }, { base: { agreed: v2 }, places: { auth: v2, store: v2 }, history }),
    ).toEqual({
      kind: 'spread',
      winner: { from: 'merge', version },
      madeOf: v1.id,
      reason: 'restored on laptop',
      losers: [v2],
      ends: undefined,
      stale: false,
      conflict: false,
    });
  });

  test('lives, where the credential had been deleted, and where this host never had it', () => {
    const version = restored(v1);
    const deleted: World = { base: { superseded: [v1, v2] }, tombstone: v2, history };
    expect(asked({ ...restore, version }, deleted)).toMatchObject({
      kind: 'spread',
      ends: { tag: 'tag T' },
      reason: 'restored on laptop, after it was deleted on server at 2026-11-21T12:00:00Z',
    });
    expect(asked({ ...restore, version }, { tombstone: v2, history })).toMatchObject({ kind: 'spread' });
  });

  test('is looked for in history first: it may have been current, and refreshed since', () => {
    const version = restored(v1);
    const world: World = { base: { agreed: v2 }, places: { ...everywhere(v2), store: v3 } };
    expect(asked({ ...restore, version }, world)).toEqual({ kind: 'consult' });
    const refreshedSince = [
      ...history,
      { version, replaces: [v2], arrived: 1 },
      { version: v3, replaces: [version], arrived: 2 },
    ];
    expect(asked({ ...restore, version }, { ...world, history: refreshedSince })).toBeUndefined();
  });

  test('is restored once: after that the ordinary rules decide', () => {
    const version = restored(v1);
    const agreed: World = { base: { agreed: version }, places: { auth: v3, store: v3, backup: v3 } };
    const arrived: World = { base: { agreed: v2 }, places: { ...everywhere(v2), store: version } };
    expect(asked({ ...restore, version }, agreed)).toBeUndefined();
    expect(asked({ ...restore, version }, arrived)).toBeUndefined();
  });

  test('gives way to a refresh that came after it was chosen: that would win on every other host', () => {
    const later = versionOf({
      ...contentOf(v2),
      access_token: 'later',
      last_refresh: new Date(NOW).toISOString(),
    });
    expect(
      asked(
        { ...restore, version: restored(v1) },
        { base: { agreed: v2 }, places: { auth: later, store: v2, backup: v2 }, history },
      ),
    ).toMatchObject({
      kind: 'held',
      waitsFor: 'person',
      reason: expect.stringContaining('it changed in the auth dir while it was being restored'),
      remedy: expect.stringContaining('run the same command again'),
    });
  });
});

/** As a person restored it a second ago. */
function restored(version: Version): Version {
  const content = contentOf(version);
  return versionOf(restoredContent(content, ownFreshness(content), [v2.freshness], NOW - 1000));
}
