/** The two branches of a store: CLIProxyAPI's own with the credentials and the config, and ours with our records. */
import { RECORDS_BRANCH } from '../../settings/git-remote.ts';
import { StoreError } from '../store.ts';
import { type Cache, CacheDamaged, isObjectId } from './cache.ts';
import { type ErrorContext, gitError, notGit } from './errors.ts';

/** What a branch holds, as far as it is a store's business. */
export interface Branch {
  readonly commit: string;
  /** By path. */
  readonly files: ReadonlyMap<string, TreeEntry>;
}

export interface TreeEntry {
  readonly oid: string;
  /** Bytes; 0 for what is no file. */
  readonly size: number;
  /** 100644 or 100755 for a file; others for a symbolic link or a submodule. */
  readonly mode: string;
}

export type Side = 'credentials' | 'records';

export type Branches = Readonly<Record<Side, Branch | undefined>> & {
  /** The full names of the two refs. */
  readonly refs: Readonly<Record<Side, string>>;
};

export const RECORDS_REF = `refs/heads/${RECORDS_BRANCH}`;
export const SIDES: readonly Side[] = ['credentials', 'records'];

/** Which branch has a key of `layout.ts`, or a folder above one. */
export function sideOf(key: string): Side {
  return /^(sync|backup)(\/|$)/.test(key) ? 'records' : 'credentials';
}

/** Whether an entry is a file, and neither a symbolic link nor a submodule. */
export function isFile({ mode }: TreeEntry): boolean {
  return mode === '100644' || mode === '100755';
}

/**
 * Looks at the server, and fetches what is not here yet.
 *
 * @param known What was seen before: a branch that has not moved is not read again.
 */
export async function lookAtBranches(
  cache: Cache,
  known: Branches | undefined,
  context: ErrorContext,
): Promise<Branches> {
  for (let attempt = 1; ; attempt++) {
    const remote = await listRemote(cache, context);
    const credentials = credentialsRef(remote, context);
    const refs = { credentials, records: RECORDS_REF };
    const heads = { credentials: remote.heads.get(credentials), records: remote.heads.get(RECORDS_REF) };
    const wanted: Side[] = [];
    for (const side of SIDES) {
      const head = heads[side];
      if (head !== undefined && !(await cache.has(head))) wanted.push(side);
    }
    if (wanted.length > 0) {
      const gone = await fetchInto(heads, refs, wanted, cache, context);
      // Removed between the two looks.
      if (gone && attempt < 3) continue;
    }
    return {
      refs,
      credentials: await readBranch('credentials', heads.credentials, known?.credentials, cache),
      records: await readBranch('records', heads.records, known?.records, cache),
    };
  }
}

/** The commit of the credentials' branch, from one look at the server that fetches nothing. */
export async function headOfCredentials(cache: Cache, context: ErrorContext): Promise<string | undefined> {
  const remote = await listRemote(cache, context);
  return remote.heads.get(credentialsRef(remote, context));
}

interface Remote {
  /** What HEAD points to, where the server says so. */
  readonly symref: string | undefined;
  /** The commit of each branch, by the full name of its ref; HEAD among them. */
  readonly heads: ReadonlyMap<string, string>;
}

async function listRemote(cache: Cache, context: ErrorContext): Promise<Remote> {
  const { url, transport } = context.options;
  const command = ['ls-remote', '--quiet', '--symref', url, 'HEAD', 'refs/heads/*'];
  const answer = await cache.remote(command);
  if (answer.code !== 0 || answer.ended) throw gitError(answer, 'look at', context);
  // A page that asks for a login is read as a list of no branches by the way of old servers, which is only files.
  if (answer.stdout.length === 0 && transport === 'http') {
    const { stderr } = await cache.remote(command, { GIT_TRACE_PACKET: '1' });
    if (!/packet: +(git|ls-remote)< /.test(stderr)) throw notGit(context);
  }
  let symref: string | undefined;
  const heads = new Map<string, string>();
  for (const line of answer.stdout.toString().split('\n')) {
    const [value = '', name = ''] = line.split('\t');
    if (value.startsWith('ref: ') && name === 'HEAD') symref = value.slice('ref: '.length);
    else if (isObjectId(value)) heads.set(name, value);
    else if (name !== '')
      throw new StoreError(
        'refused',
        `${context.location} is a repository with SHA-256 objects, which CLIProxyAPI cannot use either.`,
        'Make one with the usual SHA-1 objects.',
      );
  }
  return { symref, heads };
}

/**
 * The branch of the credentials: the one that is set; else the default branch; else, where HEAD points to nothing,
 * `master`, which CLIProxyAPI makes in an empty repository (internal/store/gitstore.go), or the only other one.
 */
function credentialsRef({ symref, heads }: Remote, { options, location }: ErrorContext): string {
  if (options.branch !== undefined) return `refs/heads/${options.branch}`;
  const branches = [...heads.keys()].filter((name) => name.startsWith('refs/heads/') && name !== RECORDS_REF);
  const master = 'refs/heads/master';
  const usual = [master, 'refs/heads/main'].filter((name) => branches.includes(name));
  if (symref === RECORDS_REF) {
    throw new StoreError(
      'configuration',
      `The default branch of ${location} is ${RECORDS_BRANCH}, which holds the records of cliproxyapi-sync.`,
      `Make ${branches[0]?.slice('refs/heads/'.length) ?? 'another'} the default branch in the repository's settings, or set GITSTORE_GIT_BRANCH.`,
    );
  }
  if (symref !== undefined && heads.has(symref)) return symref;
  // A server that does not say what HEAD points to.
  const head = heads.get('HEAD');
  if (head !== undefined) {
    const same = [...usual, ...branches].find((name) => heads.get(name) === head);
    if (same !== undefined) return same;
  }
  return usual[0] ?? (branches.length === 1 ? branches[0] : undefined) ?? master;
}

/** Fetches branches, and says which commits came: they may have moved on. True if one is gone. */
async function fetchInto(
  heads: Partial<Record<Side, string | undefined>>,
  refs: Branches['refs'],
  sides: readonly Side[],
  cache: Cache,
  context: ErrorContext,
): Promise<boolean> {
  const local = (side: Side) => `refs/fetched/${side}`;
  const answer = await cache.remote([
    'fetch',
    '--quiet',
    '--depth=1',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--no-auto-maintenance',
    context.options.url,
    ...sides.map((side) => `+${refs[side]}:${local(side)}`),
  ]);
  if (answer.code !== 0 || answer.ended) {
    if (/couldn't find remote ref/i.test(answer.stderr)) return true;
    if (isLocalFailure(answer.stderr)) throw new CacheDamaged(answer.stderr);
    throw gitError(answer, 'fetch', context);
  }
  const commits = await Promise.all(sides.map((side) => cache.ref(local(side))));
  for (const [index, side] of sides.entries()) heads[side] = commits[index];
  await cache.remember(commits);
  return false;
}

/** Whether a call that talks to the server failed for what is here, or is no more. */
export function isLocalFailure(stderr: string): boolean {
  return /not a git repository: '|loose object|is corrupt|unable to (read|find|open|create|write|migrate)|bad (object|tree|signature)|missing (blob|tree|commit)|inflate|packfile|object file .* is empty|src refspec|unpack-objects|index-pack|did not send all necessary|unresolved deltas/i.test(
    stderr.replace(/^remote:.*$/gm, ''),
  );
}

/** Only what is a store's business of the branch that may hold other people's files too; as folders or as files. */
const STORE_PATHS: Readonly<Record<Side, readonly string[]>> = {
  credentials: ['auths', 'config'],
  records: [],
};

async function readBranch(
  side: Side,
  commit: string | undefined,
  known: Branch | undefined,
  cache: Cache,
): Promise<Branch | undefined> {
  if (commit === undefined || known?.commit === commit) return commit === undefined ? undefined : known;
  const listing = await cache.local([
    'ls-tree',
    '-r',
    '-z',
    '-l',
    '--full-tree',
    commit,
    ...STORE_PATHS[side],
  ]);
  const files = new Map<string, TreeEntry>();
  // `<mode> <type> <oid> <size, padded>\t<path>`, each ended by a NUL.
  for (const line of listing.toString().split('\0')) {
    const tab = line.indexOf('\t');
    const [mode = '', , oid = '', size = ''] = line.slice(0, tab).split(/ +/);
    if (tab > 0) files.set(line.slice(tab + 1), { mode, oid, size: Number(size) || 0 });
  }
  return { commit, files };
}

/** What tells who made a commit, and what it holds. */
export interface CommitInfo {
  readonly tree: string;
  readonly parents: number;
  /** Whether CLIProxyAPI or we wrote it: each writes in the same name. */
  readonly isProxys: boolean;
}

export function parseCommit(bytes: Uint8Array): CommitInfo {
  const [header = ''] = Buffer.from(bytes).toString().split('\n\n', 1);
  const tree = /^tree ([0-9a-f]{40})$/m.exec(header)?.[1];
  if (tree === undefined) throw new CacheDamaged('a commit without a tree');
  return {
    tree,
    parents: (header.match(/^parent /gm) ?? []).length,
    isProxys: /^committer .*<cliproxy@local> /m.test(header),
  };
}
