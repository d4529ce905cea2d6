/** What tests of stores say: names, credentials, changes, and what an error is. */
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { parseCredential, type VersionId } from '../../ts/src/credential/version.ts';
import {
  type HistoryEntry,
  type ReadAnswer,
  type Reference,
  type Store,
  type StoreChange,
  StoreError,
  type Tag,
} from '../../ts/src/stores/store.ts';

export const MARKER = { id: 'the-marker', format: 1 };

export function named(name: string): CredentialName {
  return name as CredentialName;
}

/** A credential whose content is told by `text`; or bytes of that form, given whole. */
export function credential(text: string, form?: string): Buffer {
  return Buffer.from(form ?? JSON.stringify({ access_token: text, type: 'claude' }));
}

export function versionIn(bytes: Uint8Array): VersionId {
  const parsed = parseCredential(bytes);
  if (!parsed.ok) throw new Error(`not a credential: it ${parsed.reason}`);
  return parsed.version.id;
}

export function entry(bytes: Uint8Array): HistoryEntry {
  return { id: versionIn(bytes), bytes, host: 'laptop', reason: 'new here', replaces: [] };
}

/** A version put everywhere in the store, as a backup run does. */
export function create(name: string, bytes: Uint8Array, seen?: Tag): StoreChange {
  const version = versionIn(bytes);
  return {
    name: named(name),
    keep: [entry(bytes)],
    current: { kind: 'put', bytes, seen, version },
    backup: { kind: 'put', bytes, seen: undefined, version },
  };
}

export const current = (name: string): Reference => ({ area: 'current', name });
export const backup = (name: string): Reference => ({ area: 'backup', name });

/** The answers in the order of the references. */
export async function readAll(store: Store, references: readonly Reference[]): Promise<ReadAnswer[]> {
  const answers = new Map<Reference, ReadAnswer>();
  await store.read(references, (reference, answer) => answers.set(reference, answer));
  return references.map((reference) => answers.get(reference) as ReadAnswer);
}

/** What the store said; anything else fails the test. */
export async function errorOf(run: Promise<unknown>): Promise<StoreError> {
  const error = await run.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (error instanceof StoreError) return error;
  throw error;
}
