import { setTimeout as sleep } from 'node:timers/promises';
import { AREA_PREFIX } from '../layout.ts';
import { StoreError } from '../store.ts';
import {
  type Branch,
  type Branches,
  type CommitInfo,
  parseCommit,
  SIDES,
  type Side,
  sideOf,
  type TreeEntry,
} from './branches.ts';
import type { Cache } from './cache.ts';
import { makeCommits } from './commits.ts';
import { type Draft, draftOf } from './draft.ts';
import type { ErrorContext } from './errors.ts';
import { blobId, readObjects } from './objects.ts';
import { push } from './push.ts';

export interface WriteRequest<T> {
  /** The subject of the commits. */
  readonly message: string;
  /** Says what is to be written. Called again whenever another was faster: conditions are checked anew. */
  readonly decide: (draft: Draft) => T | Promise<T>;
}

export interface Writer {
  /**
   * Carries out what `decide` says, as one push if the server can replace two branches in one step. Nothing is
   * ever overwritten that `decide` has not seen.
   *
   * @throws StoreError
   */
  write<T>(request: WriteRequest<T>): Promise<T>;
}

export interface WriterOptions {
  readonly cache: Cache;
  readonly context: ErrorContext;
  /** The branches as last seen: a stale answer costs a lost push, and no more. */
  readonly known: () => Promise<Branches>;
  /** Looks at the server. */
  readonly look: () => Promise<Branches>;
  /** Told what the branches are after a push. */
  readonly pushed: (branches: Branches) => Promise<void>;
  /** Whether the server can replace two branches in one step, as far as is known. */
  readonly atomic: { known(): boolean; learnNot(): Promise<void> };
}

/** Lost pushes in a row after which the server showed the branches just as they were before. */
const MAX_CONTRADICTIONS = 4;
/** Pushes whose answer did not come that are tried once more, though it turned out that they did not arrive. */
const MAX_FAILURES = 1;
const PAUSE_MS = 50;
const MAX_PAUSE_MS = 1_500;

export function gitWriter({ cache, context, known, look, pushed, atomic }: WriterOptions): Writer {
  async function pushAll(draft: Draft, message: string): Promise<'done' | 'lost'> {
    let branches = draft.branches;
    const infos = await describe(branches, cache);
    refuseOthersBranches(draft, infos, context);
    for (let stages = stagesOf(draft, atomic.known()); stages.length > 0; ) {
      const [edits = new Map<string, Uint8Array | undefined>(), ...later] = stages;
      const sides = SIDES.filter((side) => [...edits.keys()].some((key) => sideOf(key) === side));
      const commits = await makeCommits(
        cache,
        sides.map((side) => ({
          side,
          replaces: infos[side],
          edits: [...edits].filter(([key]) => sideOf(key) === side),
          message,
        })),
      );
      const updates = sides.map((side, index) => ({
        ref: branches.refs[side],
        seen: branches[side]?.commit,
        /* v8 ignore next -- a commit for each side, or makeCommits has thrown */
        commit: commits[index] ?? '',
      }));
      const outcome = await push(cache, updates, context);
      if (outcome.kind === 'lost') return 'lost';
      if (outcome.kind === 'not-atomic') {
        await atomic.learnNot();
        stages = stagesOf(draft, false);
        continue;
      }
      for (const [index, side] of sides.entries()) {
        const files = edited(branches[side], edits, side);
        /* v8 ignore next -- as above */
        branches = { ...branches, [side]: { commit: commits[index] ?? '', files } };
      }
      await pushed(branches);
      if (later.length > 0) Object.assign(infos, await describe(branches, cache));
      stages = later;
    }
    return 'done';
  }

  return {
    async write({ message, decide }) {
      const deadline = Date.now() + context.limits.writeMs;
      let failures = 0;
      let contradictions = 0;
      let lost: Branches | undefined;
      for (let attempt = 0; ; attempt++) {
        let draft = draftOf(await (attempt === 0 ? known() : look()));
        contradictions = lost && isSame(lost, draft.branches) ? contradictions + 1 : 0;
        if (contradictions > MAX_CONTRADICTIONS) throw contradictory(context);
        let result = await decide(draft);
        if (attempt === 0 && !draft.isCertain()) {
          draft = draftOf(await look());
          result = await decide(draft);
        }
        if (draft.edits.size === 0) return result;
        try {
          if ((await pushAll(draft, message)) === 'done') return result;
          lost = draft.branches;
        } catch (error) {
          if (!(error instanceof StoreError) || error.kind !== 'unreachable') throw error;
          // It may have arrived all the same.
          const now = await look().catch(() => {
            throw error;
          });
          const again = draftOf(now);
          const found = await decide(again);
          if (again.edits.size === 0) return found;
          if (failures++ >= MAX_FAILURES) throw error;
        }
        if (Date.now() > deadline) {
          throw new StoreError(
            'unreachable',
            `Others kept writing to ${context.location} for ${Math.round(context.limits.writeMs / 1000)} s.`,
            'Try again.',
          );
        }
        // Hosts that collided once should not meet again in step.
        await sleep(Math.random() * Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** attempt));
      }
    },
  };
}

function isSame(one: Branches, other: Branches): boolean {
  return SIDES.every((side) => one[side]?.commit === other[side]?.commit);
}

function contradictory({ location }: ErrorContext): StoreError {
  return new StoreError(
    'unreachable',
    `Cannot push to ${location}: the server says that its branches have changed, and shows them as they were.`,
    'Check whether this network wants a login page or a proxy first, and whether the server is in order.',
  );
}

type Edits = ReadonlyMap<string, Uint8Array | undefined>;

/**
 * What is pushed in one step: all of it where that can be; else what is kept and tombstones before the current
 * objects, and those before the backup copies, as the contract wants it.
 */
function stagesOf({ edits }: Draft, atomic: boolean): Edits[] {
  if (atomic) return [edits];
  const isBackup = (key: string) => key.startsWith(AREA_PREFIX.backup);
  const parts = [
    (key: string) => sideOf(key) === 'records' && !isBackup(key),
    (key: string) => sideOf(key) === 'credentials',
    isBackup,
  ];
  return parts
    .map((belongs) => new Map([...edits].filter(([key]) => belongs(key))))
    .filter(({ size }) => size > 0);
}

function edited(branch: Branch | undefined, edits: Edits, side: Side): ReadonlyMap<string, TreeEntry> {
  const files = new Map(branch?.files);
  for (const [key, bytes] of edits) {
    if (sideOf(key) !== side) continue;
    if (bytes) files.set(key, { oid: blobId(bytes), size: bytes.length, mode: '100644' });
    else files.delete(key);
  }
  return files;
}

type Infos = Partial<Record<Side, CommitInfo>>;

async function describe(branches: Branches, cache: Cache): Promise<Infos> {
  const heads = SIDES.flatMap((side) => {
    const commit = branches[side]?.commit;
    return commit === undefined ? [] : [{ side, oid: commit, size: 0 }];
  });
  const infos: Infos = {};
  await readObjects(cache, heads, ({ oid }, bytes) => {
    for (const head of heads) if (head.oid === oid) infos[head.side] = parseCommit(bytes);
  });
  return infos;
}

/** Replacing a branch with one commit must not cost anyone theirs. */
function refuseOthersBranches({ branches, edits }: Draft, infos: Infos, { location }: ErrorContext): void {
  const touches = (side: Side) => [...edits.keys()].some((key) => sideOf(key) === side);
  const name = (side: Side) => branches.refs[side].replace(/^refs\/heads\//, '');
  const { credentials } = infos;
  if (credentials && credentials.parents > 0 && !credentials.isProxys) {
    throw new StoreError(
      'refused',
      `The branch ${name('credentials')} of ${location} has a history that is not CLIProxyAPI's, and each write would replace it with one commit. Nothing was written.`,
      'Use an empty private repository, or set GITSTORE_GIT_BRANCH to a branch that is not there yet.',
    );
  }
  const foreign = [...(branches.records?.files.keys() ?? [])].find((path) => sideOf(path) !== 'records');
  if (touches('records') && foreign !== undefined) {
    throw new StoreError(
      'refused',
      `The branch ${name('records')} of ${location} holds files that are not ours (${foreign}). Nothing was written.`,
      'cliproxyapi-sync keeps its records on a branch of that name: rename the one that is there, or use another repository.',
    );
  }
}
