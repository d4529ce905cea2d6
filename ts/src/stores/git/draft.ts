import { StoreError, type Tag } from '../store.ts';
import { type Branches, isFile, type Side, sideOf, type TreeEntry } from './branches.ts';
import { blobId } from './objects.ts';

/**
 * What is to become of the branches: conditions are checked against what they held when they were looked at, and
 * hold by the lease under which they are replaced. Pure but for its own edits.
 */
export interface Draft {
  readonly branches: Branches;
  /** By key: the new bytes, or undefined for what is to go. */
  readonly edits: ReadonlyMap<string, Uint8Array | undefined>;
  /**
   * Whether the lease under which the edits go will show that all that was looked at is still so: an answer from a
   * branch that is not written may be an old one.
   */
  isCertain(): boolean;
  /** Whether there is, or will be, something. */
  has(key: string): boolean;
  /** Writes under a key that says what is in it; what is there already stays. */
  create(key: string, bytes: Uint8Array): void;
  /**
   * Writes if the file still has the tag `seen`, or is absent if `seen` is undefined.
   *
   * @throws StoreError `refused` if something is in the way that no write of ours may replace.
   */
  put(key: string, bytes: Uint8Array, seen: Tag | undefined): DraftAnswer;
  remove(key: string, seen: Tag): DraftAnswer;
}

export type DraftAnswer = { readonly kind: 'done'; readonly tag?: Tag } | { readonly kind: 'lost' };

export function draftOf(branches: Branches): Draft {
  const edits = new Map<string, Uint8Array | undefined>();
  const folders = new Set<string>();
  for (const side of [branches.credentials, branches.records])
    for (const path of side?.files.keys() ?? []) for (const folder of foldersOf(path)) folders.add(folder);

  const consulted = new Set<Side>();
  const entry = (key: string): TreeEntry | undefined => {
    consulted.add(sideOf(key));
    return branches[sideOf(key)]?.files.get(key);
  };

  function tag(key: string): Tag | undefined {
    if (edits.has(key)) {
      const bytes = edits.get(key);
      return bytes && blobId(bytes);
    }
    const found = entry(key);
    if (found && !isFile(found)) throw inTheWay(key, 'is a symbolic link or a submodule');
    return found?.oid;
  }

  function has(key: string): boolean {
    return edits.has(key) ? edits.get(key) !== undefined : entry(key) !== undefined;
  }

  function write(key: string, bytes: Uint8Array): void {
    if (folders.has(key)) throw inTheWay(key, 'is a folder');
    const above = foldersOf(key);
    const file = above.find(has);
    if (file !== undefined) throw inTheWay(file, 'is a file');
    for (const folder of above) folders.add(folder);
    edits.set(key, bytes);
  }

  return {
    branches,
    edits,
    isCertain() {
      const written = new Set([...edits.keys()].map(sideOf));
      return [...consulted].every((side) => written.has(side));
    },
    has,
    create(key, bytes) {
      if (!has(key)) write(key, bytes);
    },
    put(key, bytes, seen) {
      const found = tag(key);
      const written = blobId(bytes);
      // Already so: what was to be written had been.
      if (found === written) return { kind: 'done', tag: written };
      if (found !== seen) return { kind: 'lost' };
      write(key, bytes);
      return { kind: 'done', tag: written };
    },
    remove(key, seen) {
      const found = tag(key);
      if (found === undefined) return { kind: 'done' };
      if (found !== seen) return { kind: 'lost' };
      edits.set(key, undefined);
      return { kind: 'done' };
    },
  };
}

function foldersOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** To plan again would find the same: this needs a person. */
function inTheWay(key: string, what: string): StoreError {
  return new StoreError(
    'refused',
    `${key} in the repository ${what}, which is in the way.`,
    'Move it away in a clone of the repository, push that, and run again.',
  );
}
