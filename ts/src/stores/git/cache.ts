/**
 * What was fetched, kept on this host so that it is not fetched again. Below the cache directory, for each URL:
 *
 *     objects/        Git's objects, which all processes share: an object is its content, so nobody disturbs another
 *     heads.json      commits of which all is in objects/
 *
 * All of it may be removed at any time, and is removed by us when it is damaged or has grown. Each store has a
 * repository of its own on top, with refs and locks that are nobody else's, in the system's temporary directory:
 * it is gone when the store is closed.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printable } from '../../credential/name.ts';
import { sha256 } from '../../credential/version.ts';
import { ensureDirectory, errorWords, hasCode, writeFileAtomically } from '../../files/atomic-write.ts';
import { fileError } from '../directory/errors.ts';
import { StoreError } from '../store.ts';
import { GLOBAL_CONFIG, gitEnvironment, repositoryConfig, secretEnvironment } from './environment.ts';
import type { GitLimits, GitOptions } from './options.ts';
import type { GitAnswer, GitProgram } from './program.ts';

export interface Cache {
  /** Runs git on what is here. Throws `CacheDamaged` if it fails. */
  local(args: readonly string[], input?: Iterable<Uint8Array | string>): Promise<Buffer>;
  /** Runs git to talk to the server. */
  remote(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<GitAnswer>;
  /** Where a ref of this store's own repository points to. */
  ref(name: string): Promise<string>;
  /** Whether all of a commit is here. */
  has(commit: string): Promise<boolean>;
  /** Takes note that all of these commits is here. */
  remember(commits: readonly string[]): Promise<void>;
  /** Throws everything away. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** What is here cannot be read, or is gone: to be thrown away, and fetched again. */
export class CacheDamaged extends Error {}

/** Heads that are remembered: those of now, and some before, from which a server can tell what is new. */
const MAX_HEADS = 6;
/** Where git itself would pack, here everything is fetched anew: loose objects are what we wrote, packs what came. */
const MAX_LOOSE = 12_000;
const MAX_PACKS = 200;
/**
 * Bytes that one call of git on what is here may print: 8 MB of objects, or a listing of all that a store may have. A
 * tree that has itself in it many times takes no room and lists without end.
 */
const MAX_OUTPUT = 96 * 1024 * 1024;
/** The beginning of the names of what is to be removed. */
const OLD = 'old-';
/** From then on nobody is still receiving. Milliseconds. */
const STALE_MS = 24 * 60 * 60 * 1000;

export function gitCache(options: GitOptions, limits: GitLimits, git: GitProgram): Cache {
  const directory = join(options.cacheDir, sha256(Buffer.from(options.url)).slice(0, 16));
  const objects = join(directory, 'objects');
  const headsFile = join(directory, 'heads.json');
  let opened: Promise<string> | undefined;
  let have: ReadonlySet<string> = new Set();

  /** Where the repository is, made if it is not there yet. */
  function open(): Promise<string> {
    opened ??= make().catch((error: unknown) => {
      opened = undefined;
      throw fileError(error, "keep a copy of the repository's content", options.cacheDir);
    });
    return opened;
  }

  async function make(): Promise<string> {
    await ensureDirectory(directory);
    await removeLeftovers(directory, objects);
    if (hasGrown(objects)) await discard();
    await mkdir(join(objects, 'pack'), { recursive: true, mode: 0o700 });
    const gitDir = await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-git-'));
    await mkdir(join(gitDir, 'refs/have'), { recursive: true });
    await writeFile(join(gitDir, 'config'), repositoryConfig(options, limits));
    await writeFile(join(gitDir, 'global'), GLOBAL_CONFIG);
    await writeFile(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
    const heads = await readHeads(headsFile);
    have = new Set(heads);
    // As refs, so that a fetch tells the server what it need not send.
    for (const [index, head] of heads.entries())
      await writeFile(join(gitDir, `refs/have/${index}`), `${head}\n`);
    return gitDir;
  }

  /** By a new name first: another process may be adding to it. */
  async function discard(): Promise<void> {
    const rubbish = join(directory, `${OLD}${randomUUID()}`);
    await rm(headsFile, { force: true });
    await rename(objects, rubbish).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error;
    });
    // What cannot be removed yet is removed when the next store is opened.
    await rm(rubbish, { recursive: true, force: true }).catch(() => undefined);
  }

  return {
    async local(args, input) {
      const { code, stdout, stderr, ended } = await git.run(args, {
        env: gitEnvironment(await open(), objects, options),
        timeoutMs: limits.commandMs,
        maxOutput: MAX_OUTPUT,
        ...(input && { input }),
      });
      if (ended === 'closed') throw interrupted();
      /* v8 ignore if -- tests/e2e/endless-store.test.ts has one, in a process of its own */
      if (ended === 'too-much') throw endless(options.url);
      if (/No space left on device|Disk quota exceeded/.test(stderr))
        throw fileError(Object.assign(new Error(), { code: 'ENOSPC' }), 'keep a copy', options.cacheDir);
      if (code !== 0) throw new CacheDamaged(`git ${args[0]}: ${stderr || `exit code ${code}`}`);
      return stdout;
    },

    async remote(args, more) {
      const env = {
        ...gitEnvironment(await open(), objects, options),
        ...secretEnvironment(options),
        ...more,
      };
      const before = new Set(incoming(objects));
      const answer = await git.run(args, {
        env,
        timeoutMs: limits.commandMs,
        isTooMuch: () => sizeOf(incoming(objects).filter((path) => !before.has(path))) > limits.fetchBytes,
      });
      if (answer.ended === 'closed') throw interrupted();
      return answer;
    },

    async ref(name) {
      try {
        return (await readFile(join(await open(), name), 'utf8')).trim();
      } catch (error) {
        throw new CacheDamaged(`${name}: ${errorWords(error)}`);
      }
    },

    async has(commit) {
      await open();
      return have.has(commit);
    },

    async remember(commits) {
      const heads = [...new Set([...commits, ...(await readHeads(headsFile))])].slice(0, MAX_HEADS);
      have = new Set([...have, ...commits]);
      await writeFileAtomically(headsFile, Buffer.from(`${JSON.stringify(heads)}\n`), {
        syncDirectory: false,
      }).catch((error: unknown) => {
        throw hasCode(error, 'ENOENT')
          ? new CacheDamaged('it was removed')
          : fileError(error, 'keep a copy', options.cacheDir);
      });
    },

    async reset() {
      await removeRepository();
      have = new Set();
      await discard().catch((error: unknown) => {
        throw fileError(error, 'remove the copy of what was fetched', options.cacheDir);
      });
    },

    close: removeRepository,
  };

  async function removeRepository(): Promise<void> {
    const gitDir = await opened?.catch(() => undefined);
    opened = undefined;
    if (gitDir !== undefined) await rm(gitDir, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function readHeads(path: string): Promise<string[]> {
  try {
    const heads: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(heads) ? heads.filter(isObjectId) : [];
  } catch {
    return [];
  }
}

/** Whether this is the name of an object, by its SHA-1. */
export function isObjectId(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{40}$/.test(text);
}

/** What a process that was killed was about to remove, or had received in part. */
async function removeLeftovers(directory: string, objects: string): Promise<void> {
  const old = names(directory).filter((name) => name.startsWith(OLD));
  for (const name of old)
    await rm(join(directory, name), { recursive: true, force: true }).catch(() => undefined);
  for (const path of incoming(objects)) {
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true });
  }
}

/** Loose objects are spread evenly over 256 folders, so one of them tells how many there are (git-gc(1)). */
function hasGrown(objects: string): boolean {
  return names(join(objects, '17')).length * 256 > MAX_LOOSE || packs(objects).length > MAX_PACKS;
}

function packs(objects: string): string[] {
  return names(join(objects, 'pack')).filter((name) => name.endsWith('.pack'));
}

/** Files of what is being received, or was when a process was killed. */
function incoming(objects: string): string[] {
  const folder = join(objects, 'pack');
  return names(folder)
    .filter((name) => name.startsWith('tmp_'))
    .map((name) => join(folder, name));
}

function sizeOf(paths: readonly string[]): number {
  /* v8 ignore next -- git may end, and rename it, between the listing and this look at it */
  return paths.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function endless(url: string): StoreError {
  return new StoreError(
    'refused',
    `The repository ${printable(url)} lists more files than any store of credentials has.`,
    'Use a repository that holds credentials alone, or remove what else is there.',
  );
}

function interrupted(): StoreError {
  return new StoreError('unreachable', 'Git was ended before it was done.', 'Run it again.');
}
