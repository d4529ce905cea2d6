import { RECORDS_BRANCH } from '../../settings/git-remote.ts';
import { StoreError } from '../store.ts';
import { isLocalFailure } from './branches.ts';
import { type Cache, CacheDamaged } from './cache.ts';
import { type ErrorContext, gitError, lastWords } from './errors.ts';

/** One branch to replace. */
export interface RefUpdate {
  readonly ref: string;
  /** The commit that the branch must still be at; undefined if it must not exist. */
  readonly seen: string | undefined;
  readonly commit: string;
}

export type PushOutcome =
  | { readonly kind: 'done' }
  /** A branch is not at what was seen any more; nothing was changed. */
  | { readonly kind: 'lost' }
  /** The server cannot replace several branches in one step; nothing was changed. */
  | { readonly kind: 'not-atomic' };

/**
 * Replaces branches, all or none, each only if it is still as seen: the server compares in the same step.
 *
 * @throws StoreError `unreachable` also where the answer was lost, and it may have been done.
 */
export async function push(
  cache: Cache,
  updates: readonly RefUpdate[],
  context: ErrorContext,
): Promise<PushOutcome> {
  const answer = await cache.remote([
    'push',
    '--quiet',
    '--porcelain',
    '--no-verify',
    ...(updates.length > 1 ? ['--atomic'] : []),
    ...updates.map(({ ref, seen = '' }) => `--force-with-lease=${ref}:${seen}`),
    context.options.url,
    ...updates.map(({ ref, commit }) => `${commit}:${ref}`),
  ]);
  if (answer.code === 0 && !answer.ended) return { kind: 'done' };
  if (!answer.ended) {
    if (/does not support --atomic/.test(answer.stderr)) return { kind: 'not-atomic' };
    const rejections = rejectionsIn(answer.stdout.toString());
    // The server's own words for a lease that is lost between its looking and its writing, and for two at once.
    if (rejections.some(({ reason }) => LOST.test(reason))) return { kind: 'lost' };
    const refusal = rejections.find(({ reason }) => !/atomic push failed|transaction failed/.test(reason));
    if (refusal) throw refused(refusal, answer.stderr, context);
    if (rejections.length > 0) return { kind: 'lost' };
    if (isLocalFailure(answer.stderr)) throw new CacheDamaged(answer.stderr);
  }
  throw gitError(answer, 'push to', context);
}

/**
 * Finds out whether this user may push, without pushing: the server asks for the right to write before it says what it
 * has. What it decides later, a protected branch or a hook, shows only when something is written.
 *
 * @throws StoreError if not.
 */
export async function tryPush(cache: Cache, commit: string, context: ErrorContext): Promise<void> {
  const args = ['push', '--dry-run', '--quiet', '--porcelain', '--no-verify', context.options.url];
  const answer = await cache.remote([...args, `${commit}:refs/heads/${RECORDS_BRANCH}-probe`]);
  if (answer.code === 0 && !answer.ended) return;
  if (!answer.ended && isLocalFailure(answer.stderr)) throw new CacheDamaged(answer.stderr);
  throw gitError(answer, 'push to', context);
}

const LOST =
  /stale info|failed to (update|lock) ref|cannot lock ref|unable to (lock|update)|incorrect old value|reference already exists|fetch first|remote ref updated since checkout|but expected/;

interface Rejection {
  readonly branch: string;
  readonly reason: string;
}

/** `!\t<from>:<to>\t[remote rejected] (<reason>)`: git-push(1), "OUTPUT". */
function rejectionsIn(output: string): Rejection[] {
  return output.split('\n').flatMap((line): Rejection[] => {
    const match = /^!\t[^\t]*:(?<ref>[^\t]*)\t\[[^\]]*\] \((?<reason>.*)\)$/.exec(line);
    const { ref = '', reason = '' } = match?.groups ?? {};
    return match ? [{ branch: ref.replace(/^refs\/heads\//, ''), reason }] : [];
  });
}

function refused(
  { branch, reason }: Rejection,
  stderr: string,
  { location, options }: ErrorContext,
): StoreError {
  const words = lastWordsOfServer(stderr, options) || reason;
  const message = `Cannot push to ${location}: the server refuses to replace the branch ${branch} ("${words}").`;
  if (/secret|GH009|push protection/i.test(stderr)) {
    return new StoreError(
      'refused',
      message,
      "The server looks for secrets in what is pushed, and credentials are some. Use a private repository, and turn off push protection in the repository's settings.",
    );
  }
  const other =
    branch === RECORDS_BRANCH
      ? 'Allow force pushes to it in the branch rules'
      : 'Allow force pushes to it in the branch rules, or set GITSTORE_GIT_BRANCH to another branch';
  return new StoreError(
    'refused',
    message,
    `Each write replaces the whole branch with one new commit, as CLIProxyAPI does, so the branch must not be protected. ${other} (GitHub: Settings, Rules or Branches; GitLab: Settings, Repository, Protected branches; Bitbucket: Branch restrictions; a server of your own: receive.denyNonFastForwards and hooks).`,
  );
}

/** Its first line that says something: what follows are hints and rulers. */
function lastWordsOfServer(stderr: string, options: ErrorContext['options']): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => /^remote:.*\w/.test(line));
  const [line = ''] = [
    ...lines.filter((each) => /error|GitLab|denied|denying|declined|protected/i.test(each)),
    ...lines,
  ];
  return lastWords(line, options).replace(/^error: /, '');
}
