/** What a person chose, where it cannot be done now or not at all. */
import { describe, expect, test } from 'vitest';
import { ownFreshness } from '../../../ts/src/credential/freshness.ts';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { restoredContent } from '../../../ts/src/credential/restored.ts';
import { contentOf, type Version, versionOf } from '../../../ts/src/credential/version.ts';
import { type Choice, chosen } from '../../../ts/src/sync/rules/choice.ts';
import { inputs, NOW, v1, v2, v3, v4, type World } from '../../scenarios/vocabulary.ts';

const A = 'a.json' as CredentialName;
const forget: Choice = { kind: 'forget', time: NOW };
const restore: Choice = { kind: 'restore', version: v1, reason: 'restored on laptop' };

function asked(choice: Choice, world: World) {
  const { base, snapshot } = inputs(world);
  const seen = snapshot.credentials.get(A);
  if (!seen) throw new Error('nothing was seen');
  return chosen(A, choice, seen, base.credentials.get(A), snapshot, 'laptop');
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
