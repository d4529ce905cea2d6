import { expect, test } from 'vitest';
import { checkArea, MAX_KEYS } from '../../../ts/src/stores/bounds.ts';
import { type ListedObject, MAX_OBJECT_BYTES } from '../../../ts/src/stores/store.ts';

const listing = (count: number, size: number): ReadonlyMap<string, ListedObject> =>
  new Map(Array.from({ length: count }, (_, index) => [`${index}.json`, { tag: String(index), size }]));

test('a store of very many logins of the usual size is one', () => {
  const many = listing(MAX_KEYS, 2_500);
  expect(checkArea(many, 'auths/', 'here')).toBe(many);
});

test('more names than a store may have, or more bytes than a host should take, are refused as a whole', () => {
  expect(() => checkArea(listing(MAX_KEYS + 1, 1), 'auths/', 'here')).toThrow(
    'There are more than 100,000 objects below auths/ in here.',
  );
  expect(() => checkArea(listing(257, MAX_OBJECT_BYTES), 'auths/', 'here')).toThrow(
    'The objects below auths/ in here have 257 MB together, more than all credentials of anybody.',
  );
});

test('what is too large to be read takes no room here', () => {
  const large = listing(1_000, MAX_OBJECT_BYTES + 1);
  expect(checkArea(large, 'auths/', 'here')).toBe(large);
});
