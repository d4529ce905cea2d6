import { parseCredential, sha256 } from '../../credential/version.ts';
import { hasCode } from '../../files/atomic-write.ts';
import { commitInSteps } from '../commit-all.ts';
import { historyMetadataKey, metadataBytes } from '../history-metadata.ts';
import { asideKey, historyKey, objectKey } from '../layout.ts';
import { type CommitOutcome, type StoreChange, StoreError, type Tag } from '../store.ts';
import { fileError } from './errors.ts';
import { type Files, tagOfBytes } from './files.ts';
import type { HeldLock } from './lock.ts';

/** Carries out one change in the contract's order, the store's lock held. */
export async function commitInDirectory(
  files: Files,
  held: HeldLock,
  change: StoreChange,
): Promise<CommitOutcome> {
  return commitInSteps(change, {
    keep: () => keep(files, held, change),
    apply(step, object) {
      const key = objectKey(step, change.name);
      return object.kind === 'put'
        ? put(files, held, key, object.bytes, object.seen)
        : remove(files, held, key, object.seen);
    },
    explain: (error, step) =>
      sharesName(error, change.name, files.root) ??
      fileError(error, `write the ${step} step of ${change.name}`, files.root),
  });
}

/** A credential `a.json` and one `a.json/b.json` need a file and a folder of one name, also for their tombstones. */
function sharesName(error: unknown, name: string, root: string): StoreError | undefined {
  if (!hasCode(error, 'ENOTDIR', 'EEXIST', 'EISDIR', 'ENOTEMPTY')) return undefined;
  const above = /^(?<other>.*?\.json)\//.exec(name)?.groups?.other;
  if (above !== undefined) {
    return new StoreError(
      'refused',
      `${name} cannot be recorded in ${root}: there is, or was, a credential ${above} too, and a directory store has no room for a file and a folder of one name.`,
      `Rename the folder ${above} on the machine that has it, so that its name does not end in .json.`,
    );
  }
  return new StoreError(
    'refused',
    `${name} cannot be recorded in ${root}: there is, or was, a credential in a folder of that name, and a directory store has no room for a file and a folder of one name.`,
    'Rename the file, or the folder, on the machine that has it.',
  );
}

async function keep(
  files: Files,
  held: HeldLock,
  { name, keep: entries, keepAside = [] }: StoreChange,
): Promise<void> {
  for (const entry of entries) {
    // The record first: an entry that is there always has its record.
    await create(files, held, historyMetadataKey(name, entry.id), metadataBytes(entry));
    await create(files, held, historyKey(name, entry.id), entry.bytes);
  }
  for (const bytes of keepAside) await create(files, held, asideKey(name, sha256(bytes)), bytes);
}

/** Writes under a key that says what is in it; what is there already stays. */
export async function create(files: Files, held: HeldLock, key: string, bytes: Uint8Array): Promise<void> {
  if (!(await files.has(key))) await files.write(key, bytes, held.assertHeld);
}

/** Writes if the file still has the tag `seen`, or is absent if `seen` is undefined. */
export async function put(
  files: Files,
  held: HeldLock,
  key: string,
  bytes: Uint8Array,
  seen: Tag | undefined,
): Promise<{ readonly kind: 'done'; readonly tag: Tag } | { readonly kind: 'lost' }> {
  const found = await look(files, key);
  const written = tagOfBytes(bytes);
  // Already so: what was to be written had been.
  if (found === written) return { kind: 'done', tag: written };
  if (found !== seen) return { kind: 'lost' };
  await files.write(key, bytes, held.assertHeld);
  return { kind: 'done', tag: written };
}

async function remove(
  files: Files,
  held: HeldLock,
  key: string,
  seen: Tag,
): Promise<{ readonly kind: 'done' } | { readonly kind: 'lost' }> {
  const found = await look(files, key);
  if (found === undefined) return { kind: 'done' };
  if (found !== seen) return { kind: 'lost' };
  await held.assertHeld();
  await files.remove(key);
  return { kind: 'done' };
}

async function look(files: Files, key: string): Promise<Tag | undefined> {
  const found = await files.read(key);
  if (found.kind === 'unreadable') throw inTheWay(`${key} in ${files.root} ${found.reason}`);
  return found.kind === 'absent' ? undefined : found.tag;
}

/** To plan again would find the same: this needs a person. */
function inTheWay(what: string): StoreError {
  return new StoreError(
    'refused',
    `${what}.`,
    'Move it away, or give this user the right to read it, then run again.',
  );
}

/** Whether a version is in history, and thus was written by one of our programs. */
export async function recordedVersion(files: Files, name: string, bytes: Uint8Array) {
  const parsed = parseCredential(bytes);
  if (!parsed.ok || !(await files.has(historyKey(name, parsed.version.id)))) return undefined;
  return { recorded: parsed.version.id };
}
