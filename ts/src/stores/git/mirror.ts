/**
 * The clone in which a native proxy works. It clones only into an empty directory, and one that is there it refuses if a
 * file changed on both sides (internal/store/gitstore.go); after a sync by us both are the case. So the clone is made
 * anew, at the head of the branch and with the same files as it has: the proxy finds nothing to reconcile.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseName } from '../../credential/name.ts';
import { parseCredential } from '../../credential/version.ts';
import { ensureDirectory, errorWords, writeFileAtomically } from '../../files/atomic-write.ts';
import { AREA_PREFIX, CONFIG_KEY } from '../layout.ts';
import { StoreError } from '../store.ts';
import { type Branch, isFile, type TreeEntry } from './branches.ts';
import type { Cache } from './cache.ts';
import { gitEnvironment } from './environment.ts';
import { readObjects } from './objects.ts';
import { DEFAULT_LIMITS, type GitOptions } from './options.ts';
import type { GitProgram } from './program.ts';

/**
 * Makes `root` a clone of the branch. Nothing is asked of the server: all of the branch is in the cache.
 *
 * @param ref Full name of the branch's ref.
 * @returns Credentials that the directory holds in another version than the branch. If there are any, nothing was done.
 */
export async function makeMirror(
  root: string,
  { commit, files }: Branch,
  ref: string,
  options: GitOptions,
  cache: Cache,
  program: GitProgram,
): Promise<readonly string[]> {
  const entries = new Map([...files].filter(([, entry]) => isFile(entry)));
  const outdated = new Map<string, TreeEntry>();
  const others: string[] = [];
  await readEach(entries, cache, async (path, bytes, entry) => {
    const here = await readFile(join(root, path)).catch(() => undefined);
    if (here && Buffer.compare(here, bytes) === 0) return;
    const name = path.startsWith(AREA_PREFIX.current) && path.slice(AREA_PREFIX.current.length);
    const isCredential = name && parseName(name).ok;
    // What is neither ours nor the config the proxy puts there itself.
    if (!isCredential && path !== CONFIG_KEY && here === undefined) return;
    outdated.set(path, entry);
    if (isCredential && !isSameVersion(here, bytes)) others.push(name);
  });
  if (others.length > 0) return others;

  const gitDir = join(root, '.git');
  const fresh = join(root, `.git-${randomUUID()}`);
  try {
    await ensureDirectory(root);
    await makeRepository(fresh, root, commit, ref, options, cache, program);
    await rm(gitDir, { recursive: true, force: true });
    await rename(fresh, gitDir);
    await readEach(outdated, cache, async (path, bytes) => {
      await ensureDirectory(dirname(join(root, path)));
      await writeFileAtomically(join(root, path), bytes);
    });
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (error instanceof StoreError) throw error;
    const message = `Cannot make a clone in ${root} (${errorWords(error)}).`;
    throw new StoreError('refused', message, 'Look at that directory.', { cause: error });
  }
  return [];
}

/** Both are no credentials, or the same version of one. */
function isSameVersion(here: Uint8Array | undefined, there: Uint8Array): boolean {
  const wanted = parseCredential(there);
  if (!wanted.ok) return true;
  const found = here && parseCredential(here);
  return found?.ok === true && found.version.id === wanted.version.id;
}

async function readEach(
  entries: ReadonlyMap<string, TreeEntry>,
  cache: Cache,
  receive: (path: string, bytes: Uint8Array, entry: TreeEntry) => Promise<void>,
): Promise<void> {
  const contents = new Map<string, Uint8Array>();
  const distinct = new Map([...entries.values()].map((entry) => [entry.oid, entry]));
  await readObjects(cache, [...distinct.values()], ({ oid }, bytes) => {
    contents.set(oid, new Uint8Array(bytes));
  });
  for (const [path, entry] of entries) {
    /* v8 ignore next -- what cannot be read has thrown */
    const bytes = contents.get(entry.oid) ?? new Uint8Array();
    await receive(path, bytes, entry);
  }
}

async function makeRepository(
  gitDir: string,
  root: string,
  commit: string,
  ref: string,
  options: GitOptions,
  cache: Cache,
  program: GitProgram,
): Promise<void> {
  const branch = ref.replace(/^refs\/heads\//, '');
  const tracking = `refs/remotes/origin/${branch}`;
  for (const path of [join(gitDir, 'objects/pack'), join(gitDir, ref), join(gitDir, tracking)])
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(join(gitDir, 'config'), mirrorConfig(options.url, branch), { mode: 0o600 });
  await writeFile(join(gitDir, 'HEAD'), `ref: ${ref}\n`, { mode: 0o600 });

  const env = { ...gitEnvironment(gitDir, join(gitDir, 'objects'), options), GIT_WORK_TREE: root };
  const run = async (args: readonly string[], input: readonly Uint8Array[] = []) => {
    const answer = await program.run(args, { env, input, timeoutMs: DEFAULT_LIMITS.commandMs });
    if (answer.code !== 0) throw new Error(`git ${args[0]}: ${answer.stderr.trim() || answer.code}`);
  };
  const pack = await cache.local(['pack-objects', '--revs', '--stdout', '-q'], [`${commit}\n`]);
  await run(['index-pack', '--stdin'], [pack]);
  for (const name of [ref, tracking]) await writeFile(join(gitDir, name), `${commit}\n`, { mode: 0o600 });
  await run(['read-tree', commit]);
}

/** As the proxy's own clone has it, without the user name and the token: those it has from its environment. */
function mirrorConfig(url: string, branch: string): string {
  const value = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`;
  return [
    '[core]',
    '\trepositoryformatversion = 0',
    '\tfilemode = true',
    '\tbare = false',
    '\tautocrlf = false',
    '[remote "origin"]',
    `\turl = ${value(url)}`,
    '\tfetch = +refs/heads/*:refs/remotes/origin/*',
    `[branch ${value(branch)}]`,
    '\tremote = origin',
    `\tmerge = ${value(`refs/heads/${branch}`)}`,
    '',
  ].join('\n');
}
