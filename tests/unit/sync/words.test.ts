/** How what is about a place is said. */
import { expect, test } from 'vitest';
import { deletedWords, problemSubject } from '../../../ts/src/sync/words.ts';

test.each([
  ['a.json', 'auth', 'a.json (auth dir)'],
  ['the auth dir', 'auth', 'the auth dir'],
  ['/state/base.json', 'state', '/state/base.json'],
] as const)('%s, in %s: %s', (subject, place, said) => {
  expect(problemSubject({ subject, place })).toBe(said);
});

test('a deletion is said with its host and its time', () => {
  expect(deletedWords({ host: 'laptop', time: Date.UTC(2026, 10, 22, 12) })).toBe(
    'deleted on laptop at 2026-11-22T12:00:00Z',
  );
});
