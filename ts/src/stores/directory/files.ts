import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, open, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '../../credential/version.ts';
import { ensureDirectory, fsyncDirectory, hasCode, writeFileAtomically } from '../../files/atomic-write.ts';
import { MAX_HISTORY, MAX_KEYS, tooMany } from '../bounds.ts';
import { HISTORY_PREFIX } from '../layout.ts';
import { MAX_OBJECT_BYTES, type Tag } from '../store.ts';

/** Files below one directory by key (`auths/a.json`), none of them reached through a symbolic link. */
export interface Files {
  readonly root: string;
  /**
   * The keys of all that is no directory below a prefix that ends in a slash; nothing if it is not there.
   *
   * @throws StoreError (refused) if there are more than a store may have.
   */
  list(prefix: string): Promise<string[]>;
  /** What is at a key now. */
  read(key: string): Promise<FileAnswer>;
  /** The same, where a part of the disk that fails makes one file unreadable and not the whole store. */
  readEach(key: string): Promise<FileAnswer>;
  /** Whether something is there. */
  has(key: string): Promise<boolean>;
  /** Writes durably in one step, directories too. `check` runs at the last moment before the file is replaced. */
  write(key: string, bytes: Uint8Array, check: () => Promise<void>): Promise<void>;
  /** Removes durably; nothing there is no error. */
  remove(key: string): Promise<void>;
  /** Makes the directory of a key, and those above it. */
  ensureParent(key: string): Promise<void>;
  /** Milliseconds since 1970. */
  modified(key: string): Promise<number>;
  /** What changes whenever a file is written or replaced. */
  stamp(key: string): Promise<string>;
}

export type FileAnswer =
  | { readonly kind: 'file'; readonly bytes: Uint8Array; readonly tag: Tag }
  | { readonly kind: 'absent' }
  | { readonly kind: 'too-large'; readonly size: number; readonly tag: Tag }
  /** A symbolic link, a FIFO, a file that this user may not read. */
  | { readonly kind: 'unreadable'; readonly reason: string; readonly tag: Tag };

export function filesBelow(root: string): Files {
  const pathOf = (key: string) => join(root, ...key.split('/'));

  /** Throws ELOOP if a directory between the root and the key is a symbolic link. */
  async function refuseLinks(key: string): Promise<void> {
    const parts = key.split('/').slice(0, -1);
    for (let count = 1; count <= parts.length; count++) {
      const path = join(root, ...parts.slice(0, count));
      let found: Awaited<ReturnType<typeof lstat>>;
      try {
        found = await lstat(path);
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return;
        throw error;
      }
      if (found.isSymbolicLink()) {
        throw Object.assign(new Error(`${path} is a symbolic link`), { code: 'ELOOP' });
      }
    }
  }

  async function ensureParent(key: string): Promise<void> {
    await refuseLinks(key);
    await ensureDirectory(dirname(pathOf(key)));
  }

  async function read(key: string): Promise<FileAnswer> {
    try {
      await refuseLinks(key);
      return await readRegular(pathOf(key));
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return { kind: 'absent' };
      if (hasCode(error, 'ELOOP'))
        return unreadable('is, or is reached through, a symbolic link, which is not followed');
      if (hasCode(error, 'EACCES', 'EPERM')) return unreadable('may not be read by this user');
      if (hasCode(error, 'ENXIO')) return unreadable('is no regular file');
      throw error;
    }
  }

  return {
    root,
    ensureParent,
    read,

    async readEach(key) {
      try {
        return await read(key);
      } catch (error) {
        if (!hasCode(error, 'EIO')) throw error;
        return unreadable('cannot be read, since the disk fails there (EIO)');
      }
    },

    async list(prefix) {
      const keys: string[] = [];
      // Of history, two files a version.
      const most = prefix.startsWith(HISTORY_PREFIX) ? 2 * MAX_HISTORY : MAX_KEYS;
      let entriesSeen = 0;
      async function walk(parent: string): Promise<void> {
        let entries: Dirent[];
        try {
          entries = await readdir(pathOf(parent.slice(0, -1)), { withFileTypes: true });
        } catch (error) {
          if (hasCode(error, 'ENOENT')) return;
          throw error;
        }
        for (const entry of entries) {
          // Folders count too: they may be without end.
          /* v8 ignore if -- tests/e2e/endless-store.test.ts has one, in a process of its own */
          if (++entriesSeen > 2 * most || keys.length > most) throw tooMany(prefix, root, most);
          if (entry.isDirectory()) await walk(`${parent}${entry.name}/`);
          else keys.push(parent + entry.name);
        }
      }
      await refuseLinks(prefix);
      await walk(prefix);
      return keys;
    },

    async has(key) {
      try {
        return (await lstat(pathOf(key))).isFile();
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
        throw error;
      }
    },

    async write(key, bytes, check) {
      await ensureParent(key);
      await writeFileAtomically(pathOf(key), bytes, { beforeRename: check });
    },

    async remove(key) {
      await refuseLinks(key);
      try {
        await unlink(pathOf(key));
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return;
        throw error;
      }
      await fsyncDirectory(dirname(pathOf(key)));
    },

    async modified(key) {
      return (await lstat(pathOf(key))).mtimeMs;
    },

    async stamp(key) {
      try {
        const { ino, size, mtimeNs } = await lstat(pathOf(key), { bigint: true });
        return `${ino} ${size} ${mtimeNs}`;
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return '';
        throw error;
      }
    },
  };
}

/** The tag of a content. */
export function tagOfBytes(bytes: Uint8Array): Tag {
  return sha256(bytes);
}

async function readRegular(path: string): Promise<FileAnswer> {
  // Without O_NONBLOCK, opening a FIFO waits for someone to write into it.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (;;) {
      const found = await file.stat();
      if (!found.isFile()) return unreadable('is no regular file');
      const { size, mtimeMs } = found;
      if (size > MAX_OBJECT_BYTES) return { kind: 'too-large', size, tag: `large ${size} ${mtimeMs}` };
      const bytes = await readAtMost(file, size + 1);
      // One more than it had: it grew meanwhile, so look again.
      /* v8 ignore else -- it grew between the two calls */
      if (bytes.length <= size) return { kind: 'file', bytes, tag: tagOfBytes(bytes) };
    }
  } finally {
    await file.close();
  }
}

async function readAtMost(file: FileHandle, most: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(most);
  let length = 0;
  while (length < most) {
    const { bytesRead } = await file.read(buffer, length, most - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** The tag is that of no content, so that no condition on it holds. */
function unreadable(reason: string): FileAnswer {
  return { kind: 'unreadable', reason, tag: 'unreadable' };
}
