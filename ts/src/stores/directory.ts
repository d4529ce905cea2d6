import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { printable } from '../credential/name.ts';
import { hasCode } from '../files/atomic-write.ts';
import { removeOldTemporaryFiles } from '../files/leftovers.ts';
import { checkArea } from './bounds.ts';
import { commitAll } from './commit-all.ts';
import { commitInDirectory, recordedVersion } from './directory/commit.ts';
import { commitConfigInDirectory, readConfigHistoryFiles } from './directory/config.ts';
import { fileError } from './directory/errors.ts';
import { type FileAnswer, filesBelow, tagOfBytes } from './directory/files.ts';
import { readHistoryFiles } from './directory/history.ts';
import { type HeldLock, withLock } from './directory/lock.ts';
import { pruneFiles, readPrunedFiles } from './directory/prune.ts';
import { glanceOf } from './glance.ts';
import { AREA_PREFIX, CONFIG_KEY, historyKey, MARKER_KEY, objectKey, SYNC_PREFIX } from './layout.ts';
import { markerBytes, parseMarker, recallMarker, rememberMarker } from './marker.ts';
import { forEachParallel } from './parallel.ts';
import {
  type ListedObject,
  type ReadAnswer,
  type Reference,
  type Store,
  StoreError,
  type StoreMarker,
  type StoreMemory,
  type Tag,
} from './store.ts';

export interface DirectoryOptions {
  /**
   * Absolute path; made when first written to. May be on a network file system if that has atomic `mkdir` and
   * `rename` (NFS, SMB have).
   */
  readonly path: string;
}

/** Files open at once. */
const MAX_PARALLEL = 16;

/** A directory laid out as the S3 store's bucket is. A tag is the SHA-256 of the bytes. */
export function directoryStore(options: DirectoryOptions, memory: StoreMemory): Store {
  const root = resolve(options.path);
  const files = filesBelow(root);
  const where = `${MARKER_KEY} in ${root}`;

  /** Every failure as a StoreError. */
  async function guarded<T>(doing: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw fileError(error, doing, root);
    }
  }

  async function locked<T>(run: (held: HeldLock) => Promise<T>): Promise<T> {
    await files.ensureParent(MARKER_KEY);
    return withLock(join(root, SYNC_PREFIX), run);
  }

  async function readMarker(): Promise<StoreMarker | undefined> {
    const answer = await files.read(MARKER_KEY);
    if (answer.kind === 'absent') return undefined;
    if (answer.kind === 'unreadable')
      throw new StoreError(
        'refused',
        `The marker ${where} ${answer.reason}.`,
        'Put that right; without it no other file there is believed.',
      );
    const marker = parseMarker(answer.kind === 'file' ? answer.bytes : new Uint8Array(), where);
    if (recallMarker(memory.read().marker)?.tag !== answer.tag) await remember(marker, answer.tag);
    return marker;
  }

  const remember = (marker: StoreMarker, tag: Tag) =>
    memory.write({ marker: rememberMarker({ marker, tag }) });

  async function listArea(prefix: string): Promise<ReadonlyMap<string, ListedObject>> {
    const listed = new Map<string, ListedObject>();
    await forEachParallel(await files.list(prefix), MAX_PARALLEL, async (key) => {
      const found = await files.readEach(key);
      /* v8 ignore else -- removed between the listing and this look at it */
      if (found.kind !== 'absent')
        listed.set(key.slice(prefix.length), { tag: found.tag, size: sizeOf(found) });
    });
    return checkArea(listed, prefix, root);
  }

  async function readOne(reference: Reference): Promise<ReadAnswer> {
    const { area, name } = reference;
    const key = area === 'history' ? historyKey(name, reference.id) : objectKey(area, name);
    const found = await files.readEach(key);
    switch (found.kind) {
      case 'file': {
        const recorded =
          area === 'current' || area === 'backup'
            ? await recordedVersion(files, name, found.bytes)
            : undefined;
        return { kind: 'object', bytes: found.bytes, tag: found.tag, ...recorded };
      }
      case 'absent':
        return found;
      case 'too-large':
        return { kind: 'too-large', size: found.size };
      case 'unreadable':
        return { kind: 'failed', reason: `${printable(key)} in ${root} ${found.reason}` };
    }
  }

  return {
    kind: 'directory',
    location: root,

    remembered: () => recallMarker(memory.read().marker)?.marker,

    list: () =>
      guarded('list what is', async () => {
        const present = await exists(root);
        return {
          present,
          marker: present ? await readMarker() : undefined,
          current: await listArea(AREA_PREFIX.current),
          backup: await listArea(AREA_PREFIX.backup),
          tombstones: await listArea(AREA_PREFIX.tombstone),
        };
      }),

    glance: () =>
      guarded('look at what is', async () => {
        const keys = await files.list(AREA_PREFIX.current);
        return glanceOf(await Promise.all(keys.map(async (key) => [key, await files.stamp(key)] as const)));
      }),

    read: (references, receive) =>
      guarded('read', () =>
        forEachParallel(references, MAX_PARALLEL, async (reference) =>
          receive(reference, await readOne(reference)),
        ),
      ),

    prepare: (proposal) =>
      guarded('make the store', async () => {
        const there = await readMarker();
        if (there) return there;
        return locked(async ({ assertHeld }) => {
          const found = await readMarker();
          if (found) return found;
          const bytes = markerBytes(proposal, new Date());
          await files.write(MARKER_KEY, bytes, assertHeld);
          await remember(proposal, tagOfBytes(bytes));
          return proposal;
        });
      }),

    commit: async (changes) => {
      if (changes.length === 0) return [];
      return guarded('write', () =>
        locked((held) =>
          commitAll(changes, MAX_PARALLEL, (change) => commitInDirectory(files, held, change)),
        ),
      );
    },

    history: (names) => guarded('list the history', () => readHistoryFiles(files, names)),

    prune: async (entries) => {
      await removeOldTemporaryFiles(root);
      if (entries.length === 0) return 0;
      return guarded('prune the history', () => locked((held) => pruneFiles(files, held, entries)));
    },

    pruned: (names) => guarded('read what was pruned', () => readPrunedFiles(files, names)),

    readConfig: () =>
      guarded('read the config', async () => {
        const found = await files.read(CONFIG_KEY);
        if (found.kind === 'absent') return undefined;
        if (found.kind === 'file') return { bytes: found.bytes, tag: found.tag };
        throw new StoreError(
          'refused',
          `${CONFIG_KEY} in ${root} ${found.kind === 'unreadable' ? found.reason : `has ${found.size} bytes, which is no config`}.`,
          'Remove it, or put the right one there.',
        );
      }),

    commitConfig: (change) =>
      guarded('write the config', () => locked((held) => commitConfigInDirectory(files, held, change))),

    configHistory: () => guarded("list the config's history", () => readConfigHistoryFiles(files)),

    tryOut: () =>
      guarded('write', () =>
        locked(async ({ assertHeld }) => {
          const key = `${SYNC_PREFIX}probe-${randomUUID()}`;
          await files.write(key, Buffer.from('probe'), assertHeld);
          await files.remove(key);
        }),
      ),

    // The lock is held within writes alone.
    close: async () => {},
  };
}

function sizeOf(found: Exclude<FileAnswer, { kind: 'absent' }>): number {
  if (found.kind === 'file') return found.bytes.length;
  return found.kind === 'too-large' ? found.size : 0;
}

/** Throws ENOTDIR if something else has the name: that is no store that is missing. */
async function exists(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
  throw Object.assign(new Error(`${path} is no directory`), { code: 'ENOTDIR' });
}
