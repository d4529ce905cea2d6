/** What a person chose, where it cannot be done now or not at all. */
import { describe, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { type Choice, chosen } from '../../../ts/src/sync/rules/choice.ts';
import { inputs, NOW, v1, v2, type World } from '../../scenarios/vocabulary.ts';

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

  test('needs nothing where there never was a good version', () => {
    expect(asked(forget, { places: { auth: { invalid: '{' } } })).toBeUndefined();
  });
});

test('a tombstone that cannot be read is left to the ordinary rules', () => {
  expect(asked(forget, { base: { agreed: v2 }, places: { auth: v2 }, tombstone: 'damaged' })).toBeUndefined();
});
