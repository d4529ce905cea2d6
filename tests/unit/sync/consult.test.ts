/** What history says, where it has nothing and where it cannot be read. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import { directoryStore } from '../../../ts/src/stores/directory.ts';
import { type Store, StoreError } from '../../../ts/src/stores/store.ts';
import { consultHistory } from '../../../ts/src/sync/consult.ts';
import { everywhere, inputs, v1 } from '../../scenarios/vocabulary.ts';
import { memoryInMemory } from '../../support/memory.ts';

const [A, B] = ['a.json', 'b.json'] as CredentialName[] as [CredentialName, CredentialName];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'consult-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const { snapshot } = inputs({ places: everywhere(v1), others: { 'b.json': { places: everywhere(v1) } } });

test('one of which history has nothing is known to have none, though that of another cannot be read', async () => {
  const real = directoryStore({ path: directory }, memoryInMemory());
  const store: Store = {
    ...real,
    async history(names) {
      if (names?.includes(A)) throw new StoreError('unreachable', 'The disk answers no more.', 'Try again.');
      return real.history(names);
    },
    // As a store may that has no such record.
    pruned: async () => new Map(),
  };
  const { credentials, problems } = await consultHistory(snapshot, [A, B], store);
  expect(credentials.get(A)?.history).toBeUndefined();
  expect(credentials.get(B)).toMatchObject({ history: [], pruned: [] });
  expect(problems).toMatchObject([{ subject: A, remedy: expect.stringContaining('It is left as it is') }]);
});
