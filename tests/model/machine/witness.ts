/** Where what the programs under test do is told to whoever checks it, before it happens. */
import type { Machine } from './process.ts';

export type StoreArea = 'current' | 'backup' | 'tombstone' | 'history' | 'aside' | 'marker';

export interface Witness {
  /** A name is about to get other bytes; undefined for none. */
  file(machine: Machine, path: string, before: Buffer | undefined, after: Buffer | undefined): void;
  object(area: StoreArea, name: string, before: Uint8Array | undefined, after: Uint8Array | undefined): void;
  /** A version is about to be taken out of the store's history. */
  pruned(name: string, id: string): void;
  /** The store answered a listing. */
  listed(): void;
}

const NOBODY: Witness = { file() {}, object() {}, pruned() {}, listed() {} };

let witness = NOBODY;

/** Takes everybody's word to the witness of this simulation. */
export const notice: Witness = {
  file: (...what) => witness.file(...what),
  object: (...what) => witness.object(...what),
  pruned: (...what) => witness.pruned(...what),
  listed: () => witness.listed(),
};

export function setWitness(next: Witness | undefined): void {
  witness = next ?? NOBODY;
}
