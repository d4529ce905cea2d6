import { printable } from '../../credential/name.ts';
import { parseCredential } from '../../credential/version.ts';
import { checkArea } from '../bounds.ts';
import { commitAll } from '../commit-all.ts';
import { AREA_PREFIX, CONFIG_KEY, historyKey, MARKER_KEY, objectKey } from '../layout.ts';
import { markerBytes, parseMarker, recallMarker, rememberMarker } from '../marker.ts';
import { serverClock } from '../server-clock.ts';
import {
  type ListedObject,
  MAX_OBJECT_BYTES,
  type ReadAnswer,
  type Reference,
  type Store,
  StoreError,
  type StoreMarker,
  type StoreMemory,
} from '../store.ts';
import {
  type Branch,
  type Branches,
  headOfCredentials,
  isFile,
  lookAtBranches,
  sideOf,
  type TreeEntry,
} from './branches.ts';
import { CacheDamaged, gitCache } from './cache.ts';
import { draftChange, draftConfig } from './changes.ts';
import { type ErrorContext, hostOf } from './errors.ts';
import { readConfigHistory, readHistory } from './history.ts';
import { makeMirror } from './mirror.ts';
import { readObject, readObjects } from './objects.ts';
import { DEFAULT_LIMITS, type GitOptions } from './options.ts';
import { gitProgram } from './program.ts';
import { draftPrune, readPruned } from './prune.ts';
import { tryPush } from './push.ts';
import { checkVersion } from './version.ts';
import { gitWriter } from './write.ts';

/**
 * A Git repository in CLIProxyAPI's own layout: credentials and config on one branch, our records on another. A
 * tag is the name of the blob. Reads answer for the moment of the last listing, until something is written.
 */
export function gitStore(options: GitOptions, memory: StoreMemory): Store {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const location = `git ${shortUrl(options.url)}${options.branch === undefined ? '' : `, branch ${options.branch}`}`;
  const context: ErrorContext = { options, limits, location };
  const program = gitProgram(options.program);
  const cache = gitCache(options, limits, program);
  let checked: Promise<void> | undefined;
  /** The branches as last seen, by whatever look. */
  let known: Branches | undefined;
  /** Those of the last listing; undefined once we wrote. */
  let listed: Branches | undefined;

  async function checkProgram(): Promise<void> {
    checked ??= checkVersion(program, options.program);
    await checked;
  }

  async function look(): Promise<Branches> {
    await checkProgram();
    known = await lookAtBranches(cache, known, context);
    return known;
  }

  const atomicKnown = () => memory.read().atomic !== false && atomic;
  let atomic = true;
  const writer = gitWriter({
    cache,
    context,
    known: async () => known ?? look(),
    look,
    async pushed(branches) {
      known = branches;
      await cache.remember(
        [branches.credentials, branches.records].flatMap((branch) => (branch ? [branch.commit] : [])),
      );
    },
    atomic: {
      known: atomicKnown,
      async learnNot() {
        atomic = false;
        await memory.write({ atomic: false });
      },
    },
  });

  /** Runs what uses the cache; one that is damaged, or was removed meanwhile, is made anew, once. */
  async function withCache<T>(run: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await run();
      } catch (error) {
        if (!(error instanceof CacheDamaged)) throw error;
        if (attempt === 2) throw damaged(options.cacheDir, error);
        known = undefined;
        listed = undefined;
        await cache.reset();
      }
    }
  }

  /** Nothing that was seen before the write is answered with after it. */
  async function writing<T>(run: () => Promise<T>): Promise<T> {
    listed = undefined;
    return withCache(run);
  }

  async function readMarker({ records }: Branches): Promise<StoreMarker | undefined> {
    const entry = records?.files.get(MARKER_KEY);
    if (!entry) return undefined;
    const remembered = recallMarker(memory.read().marker);
    if (remembered?.tag === entry.oid) return remembered.marker;
    const bytes = isFile(entry) ? await readObject(cache, entry) : new Uint8Array();
    const marker = parseMarker(bytes, `${MARKER_KEY} in ${location}`);
    await memory.write({ marker: rememberMarker({ marker, tag: entry.oid }) });
    return marker;
  }

  async function prepare(proposal: StoreMarker): Promise<StoreMarker> {
    if (listed?.credentials) {
      const marker = await readMarker(listed);
      if (marker) return marker;
    }
    // First the branch of the credentials, alone: the first branch of an empty repository becomes its default.
    await writer.write({
      message: 'Initialize git token store',
      decide: (draft) => {
        if (!draft.branches.credentials) draft.create(`${AREA_PREFIX.current}.gitkeep`, new Uint8Array());
      },
    });
    const bytes = markerBytes(proposal, new Date());
    await writer.write({
      message: 'Begin the records of cliproxyapi-sync',
      decide: (draft) => draft.create(MARKER_KEY, bytes),
    });
    /* v8 ignore next -- a write that is done has seen the branches, with a marker in them: its own, or another's */
    return (known && (await readMarker(known))) ?? proposal;
  }

  return {
    kind: 'git',
    location,

    remembered: () => recallMarker(memory.read().marker)?.marker,

    list: () =>
      withCache(async () => {
        const branches = await look();
        const { credentials, records } = branches;
        const marker = await readMarker(branches);
        listed = branches;
        return {
          present: credentials !== undefined || records !== undefined,
          marker,
          current: filesBelow(credentials, AREA_PREFIX.current, location),
          backup: filesBelow(records, AREA_PREFIX.backup, location),
          tombstones: filesBelow(records, AREA_PREFIX.tombstone, location),
        };
      }),

    glance: () =>
      withCache(async () => {
        await checkProgram();
        return (await headOfCredentials(cache, context)) ?? 'absent';
      }),

    async read(references, receive) {
      const left = new Set(references);
      await withCache(async () => {
        const branches = listed ?? (await look());
        await readReferences([...left], branches, (reference, answer) => {
          left.delete(reference);
          receive(reference, answer);
        });
      });
    },

    prepare: (proposal) => withCache(() => prepare(proposal)),

    async commit(changes) {
      if (changes.length === 0) return [];
      const now = Date.now();
      const message = changes.length === 1 ? `Sync auth ${changes[0]?.name}` : `Sync ${changes.length} auths`;
      try {
        return await writing(() =>
          writer.write({
            message,
            decide: (draft) => commitAll(changes, 1, (change) => draftChange(draft, change, now)),
          }),
        );
      } catch (error) {
        if (!(error instanceof StoreError) || error.kind !== 'refused') throw error;
        return changes.map(() => ({ kind: 'failed', step: 'keep', error }));
      }
    },

    history: (names) =>
      withCache(async () => readHistory(cache, (listed ?? (await look())).records, location, names)),

    async prune(entries) {
      if (entries.length === 0) return 0;
      const message = entries.length === 1 ? `Prune ${entries[0]?.name}` : `Prune ${entries.length} auths`;
      return writing(() => writer.write({ message, decide: (draft) => draftPrune(draft, cache, entries) }));
    },

    pruned: (names) => withCache(async () => readPruned(cache, (listed ?? (await look())).records, names)),

    readConfig: () =>
      withCache(async () => {
        const entry = (listed ?? (await look())).credentials?.files.get(CONFIG_KEY);
        if (!entry) return undefined;
        if (!isFile(entry) || entry.size > MAX_OBJECT_BYTES) {
          throw new StoreError(
            'refused',
            `${CONFIG_KEY} in ${location} ${isFile(entry) ? `has ${entry.size} bytes` : 'is a link or a submodule'}, which is no config.`,
            'Remove it, or put the right one there.',
          );
        }
        return { bytes: await readObject(cache, entry), tag: entry.oid };
      }),

    commitConfig: (change) =>
      writing(() =>
        writer.write({
          message: 'Update config',
          decide: (draft) => draftConfig(draft, change, Date.now()),
        }),
      ),

    configHistory: () => withCache(async () => readConfigHistory(cache, (listed ?? (await look())).records)),

    prepareMirror: (root) =>
      withCache(async () => {
        const { credentials, refs } = await look();
        if (!credentials) return [];
        return makeMirror(root, credentials, refs.credentials, options, cache, program);
      }),

    weaknesses: () => [
      ...(atomicKnown()
        ? []
        : [
            `${location}: the server cannot replace two branches in one step, so a crash between the two leaves records of a change that has not arrived; the next run mends it.`,
          ]),
      ...(options.token !== undefined && /^http:\/\/(?!localhost|127\.|\[::1\])/i.test(options.url)
        ? [`${location}: the token goes over the network in the clear; use https://.`]
        : []),
    ],

    tryOut: () =>
      withCache(async () => {
        const { credentials, records } = known ?? (await look());
        const commit = (credentials ?? records)?.commit;
        // Nobody knows whether a branch may be made in an empty repository without making one.
        if (commit !== undefined) await tryPush(cache, commit, context);
      }),

    clock: async () => (/^https?:/i.test(options.url) ? serverClock(withoutUser(options.url)) : undefined),

    async close() {
      await program.close();
      await cache.close();
    },
  };

  async function readReferences(
    references: readonly Reference[],
    branches: Branches,
    receive: (reference: Reference, answer: ReadAnswer) => void,
  ): Promise<void> {
    const wanted = new Map<string, TreeEntry & { readonly references: Reference[] }>();
    for (const reference of references) {
      const { area, name } = reference;
      const key = area === 'history' ? historyKey(name, reference.id) : objectKey(area, name);
      const entry = branches[sideOf(key)]?.files.get(key);
      if (!entry) receive(reference, { kind: 'absent' });
      else if (!isFile(entry)) {
        const reason = `${printable(key)} in ${location} is a symbolic link or a submodule, which is not followed`;
        receive(reference, { kind: 'failed', reason });
      } else if (entry.size > MAX_OBJECT_BYTES) {
        receive(reference, { kind: 'too-large', size: entry.size });
      } else {
        const same = wanted.get(entry.oid);
        if (same) same.references.push(reference);
        else wanted.set(entry.oid, { ...entry, references: [reference] });
      }
    }
    await readObjects(cache, wanted.values(), ({ oid, references: sameObject }, bytes) => {
      for (const reference of sameObject) {
        const isCredential = reference.area === 'current' || reference.area === 'backup';
        const recorded = isCredential && recordedVersion(branches, reference.name, bytes);
        receive(reference, { kind: 'object', bytes, tag: oid, ...recorded });
      }
    });
  }
}

function filesBelow(
  branch: Branch | undefined,
  prefix: string,
  location: string,
): ReadonlyMap<string, ListedObject> {
  const listed = new Map<string, ListedObject>();
  for (const [path, entry] of branch?.files ?? []) {
    if (!path.startsWith(prefix) || PLACEHOLDER.test(path)) continue;
    // No condition holds on what is no file.
    listed.set(path.slice(prefix.length), {
      tag: isFile(entry) ? entry.oid : 'unreadable',
      size: entry.size,
    });
  }
  return checkArea(listed, prefix, location);
}

const PLACEHOLDER = /(^|\/)\.gitkeep$/;

/** Whether a version is in history, and thus was written by one of our programs. */
function recordedVersion({ records }: Branches, name: string, bytes: Uint8Array) {
  const parsed = parseCredential(bytes);
  if (!parsed.ok || !records?.files.has(historyKey(name, parsed.version.id))) return undefined;
  return { recorded: parsed.version.id };
}

/** For people: `github.com/me/logins`. */
function shortUrl(url: string): string {
  if (url.startsWith('/') || url.startsWith('file:')) return url;
  if (!url.includes('://')) return `${hostOf(url)}/${url.slice(url.indexOf(':') + 1).replace(/^\/+/, '')}`;
  return `${hostOf(url)}${new URL(url).pathname}`.replace(/\/+$/, '');
}

/** `fetch` takes no URL with a user in it; nothing is asked that needs one. */
function withoutUser(text: string): URL {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url;
}

function damaged(directory: string, cause: Error): StoreError {
  return new StoreError(
    'refused',
    `What git keeps in ${directory} cannot be used: ${printable(cause.message.trim().replace(/^.*\n/s, '')).slice(0, 300)}.`,
    'Check the disk, and remove that directory: it holds copies alone.',
  );
}
