import type { StoreMemory } from '../../ts/src/stores/store.ts';

/** What a store remembers, in a variable. */
export function memoryInMemory(start: Readonly<Record<string, unknown>> = {}): StoreMemory {
  let entries: Readonly<Record<string, unknown>> = start;
  return {
    read: () => entries,
    async write(more) {
      // As it comes back from a file.
      entries = JSON.parse(JSON.stringify({ ...entries, ...more }));
    },
  };
}

/** What a dry run gives a store: remembers nothing. */
export const forgetfulMemory: StoreMemory = { read: () => ({}), write: async () => {} };
