import { SettingsError } from './settings-error.ts';

/** `GITSTORE_GIT_URL`, taken apart. */
export interface GitRemote {
  /** What `git` is given: without password, and without user name but for SSH. */
  readonly url: string;
  readonly transport: 'http' | 'ssh' | 'file';
  /** The user name and password that the URL held, decoded. */
  readonly username?: string;
  readonly password?: string;
}

/**
 * Reads `GITSTORE_GIT_URL`: `https://`, `http://`, `ssh://`, `git@host:path`, `file://` or an absolute path.
 * Anything else is refused, `ext::` above all: it names a command to run.
 *
 * @param home What a leading `~/` stands for.
 * @throws SettingsError. The value is in no message: people paste URLs with tokens in them.
 */
export function parseGitRemote(value: string, home: () => string): GitRemote {
  if (/[\u0000-\u001f\u007f\\]/.test(value)) throw urlError('has control characters or backslashes');
  if (value.startsWith('/')) return { url: value, transport: 'file' };
  if (value.startsWith('~/')) return { url: `${home()}${value.slice(1)}`, transport: 'file' };
  if (/\s/.test(value)) throw urlError('has blanks');
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(value)?.[1]?.toLowerCase();
  if (scheme === undefined) return scpLike(value);
  if (value.includes('?') || value.includes('#')) throw urlError('has a query or a fragment');
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw urlError('is not a valid URL');
  }
  switch (scheme) {
    case 'https':
    case 'http':
      return { ...httpRemote(url), transport: 'http' };
    case 'ssh':
    case 'git+ssh':
    case 'ssh+git':
      checkHost(url.hostname);
      checkHost(url.username || url.hostname);
      return {
        url: `ssh://${url.username && `${url.username}@`}${url.host}${url.pathname}`,
        transport: 'ssh',
      };
    case 'file':
      return { url: value, transport: 'file' };
    case 'git':
      throw urlError('has the scheme "git", which nobody can write through');
    default:
      // A long one is no scheme but the start of something that was pasted, such as a token.
      throw urlError(
        `has ${/^[a-z+]{1,10}$/.test(scheme) ? `the scheme "${scheme}"` : 'a scheme that is none'}; only https, http, ssh and file are possible`,
      );
  }
}

function httpRemote(url: URL): Omit<GitRemote, 'transport'> {
  if (url.pathname === '/') throw urlError('names a host and no repository');
  const username = decoded(url.username);
  const password = decoded(url.password);
  return {
    url: `${url.protocol}//${url.host}${url.pathname}`,
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
  };
}

/** `[user@]host:path`, as ssh and scp write it. */
function scpLike(value: string): GitRemote {
  const match = /^(?:[^@:/]+@)?(?<host>\[[0-9a-f:.]+\]|[^@:/]+):(?<path>.*)$/i.exec(value);
  const { host = '', path = '' } = match?.groups ?? {};
  if (!match || path === '' || path.startsWith(':')) {
    throw urlError(
      /^[\w.-]+\.[a-z]{2,}\//i.test(value) ? 'has no scheme' : 'is no URL, no host:path and no absolute path',
    );
  }
  checkHost(host);
  checkHost(value);
  return { url: value, transport: 'ssh' };
}

/** What begins with a dash, with its user name or without, ssh would take for an option (CVE-2017-1000117). */
function checkHost(host: string): void {
  if (host === '' || host.startsWith('-')) throw urlError('has no valid host');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw urlError('has a user name or password that is not percent-encoded as it should be');
  }
}

function urlError(problem: string): SettingsError {
  return new SettingsError(
    `GITSTORE_GIT_URL ${problem}`,
    'Set GITSTORE_GIT_URL to the address that the provider shows for cloning, such as ' +
      'https://github.com/me/logins.git or git@github.com:me/logins.git.',
  );
}

/** The branch of our own records, beside the one of the credentials. */
export const RECORDS_BRANCH = 'cliproxyapi-sync';

/** `GITSTORE_GIT_BRANCH`, by the rules of git-check-ref-format(1). */
export function checkGitBranch(value: string): string {
  const problem =
    value === RECORDS_BRANCH
      ? 'is the name of the branch that cliproxyapi-sync keeps its own records on'
      : value === 'HEAD' ||
          /^[-/]|\/$|\.$|\.\.|\/\/|@\{|^@$|(^|\/)\.|\.lock(\/|$)|[\s\u0000-\u001f\u007f~^:?*[\\]/.test(value)
        ? 'is not a name that a branch can have'
        : undefined;
  if (problem === undefined) return value;
  throw new SettingsError(
    `GITSTORE_GIT_BRANCH ${problem}`,
    'Set GITSTORE_GIT_BRANCH to a plain name such as main, or remove it: then the default branch is taken.',
  );
}

/** A user name or token: it goes to git line by line. */
export function checkGitSecret(name: string, value: string): string {
  if (!/[\u0000-\u001f\u007f]/.test(value)) return value;
  throw new SettingsError(
    `${name} has line breaks or control characters`,
    `Set ${name} to the value alone, in one line.`,
  );
}
