import { printable } from '../../credential/name.ts';
import { StoreError } from '../store.ts';
import type { GitLimits, GitOptions } from './options.ts';
import type { GitAnswer } from './program.ts';

export interface ErrorContext {
  readonly options: GitOptions;
  readonly limits: GitLimits;
  readonly location: string;
}

/** What git said of the server, as one sentence on what failed on what, and one on what to do. */
export function gitError(answer: GitAnswer, doing: string, context: ErrorContext): StoreError {
  const { kind, because, remedy } = explain(answer, context);
  return new StoreError(kind, `Cannot ${doing} ${context.location}: ${because}.`, remedy);
}

/** For an answer that no Git server gives: a captive portal, a web server, a proxy's error page. */
export function notGit({ location, options }: ErrorContext): StoreError {
  const { because, remedy } = noGitServer(hostOf(options.url));
  return new StoreError('unreachable', `Cannot look at ${location}: ${because}.`, remedy);
}

function noGitServer(host: string) {
  return {
    because: `what answers at ${host} is no Git server, or something between is in its place`,
    remedy: 'Check GITSTORE_GIT_URL, and whether this network wants a login page or a proxy first.',
  };
}

interface Explanation {
  readonly kind: StoreError['kind'];
  /** Why, as the end of a sentence, without its full stop. */
  readonly because: string;
  readonly remedy: string;
}

/** What a message of git, curl or ssh (with LC_ALL=C) means. The first that fits counts. */
interface Case extends Explanation {
  readonly pattern: RegExp;
}

const LATER = 'Nothing was lost. It is tried again at the next run.';
const TOKEN =
  "Check GITSTORE_GIT_TOKEN (has it expired?) and GITSTORE_GIT_USERNAME (GitHub: any name; GitLab: oauth2, or the token's name; Bitbucket: x-token-auth).";
const RIGHTS =
  'Give the token the right to write to this repository (GitHub: Contents, read and write; GitLab: write_repository and the role Maintainer; Bitbucket: repository write).';
const ADDRESS =
  'Check GITSTORE_GIT_URL. The repository must exist: make an empty private one if there is none. Many servers also say so of a repository that the token or key may not see.';
const NETWORK = `Check the network and GITSTORE_GIT_URL. ${LATER}`;

function explain(answer: GitAnswer, context: ErrorContext): Explanation {
  const { stderr, ended } = answer;
  const { limits, options } = context;
  if (ended === 'too-much') {
    return {
      kind: 'refused',
      because: `its branches hold more than ${Math.round(limits.fetchBytes / 1024 / 1024)} MB, which is no store`,
      remedy: 'Use a repository of its own, or set GITSTORE_GIT_BRANCH to a branch that is not there yet.',
    };
  }
  const silent = 'the server did not answer in time';
  if (ended !== undefined) return { kind: 'unreachable', because: silent, remedy: NETWORK };
  // The address may hold any word.
  const words = stderr.replaceAll(options.url, 'URL');
  const found = casesFor(options, silent).find(({ pattern }) => pattern.test(words));
  if (found) return found;
  const said = lastWords(stderr, options);
  return {
    kind: 'unreachable',
    because: said === '' ? `git failed (exit code ${answer.code})` : `git says: ${said}`,
    remedy: `Check GITSTORE_GIT_URL, and whether git itself can clone it. ${LATER}`,
  };
}

function casesFor({ transport, token, url }: GitOptions, silent: string): Case[] {
  const host = hostOf(url);
  const refused = (pattern: RegExp, because: string, remedy: string): Case => ({
    pattern,
    kind: 'refused',
    because,
    remedy,
  });
  const unreachable = (pattern: RegExp, because: string, remedy = NETWORK): Case => ({
    pattern,
    kind: 'unreachable',
    because,
    remedy,
  });
  return [
    // HTTP, and curl's words for the connection.
    token === undefined
      ? refused(
          /could not read (Username|Password)|Authentication failed|returned error: 401/,
          'the server wants a login',
          'Set GITSTORE_GIT_TOKEN to a token with the right to write to this repository.',
        )
      : refused(
          /could not read (Username|Password)|Authentication failed|returned error: 401|HTTP Basic: Access denied/,
          'the server does not take the user name and token',
          TOKEN,
        ),
    refused(/returned error: 403|HTTP 403/, 'the token has no right to do so (403)', `${RIGHTS} ${TOKEN}`),
    unreachable(
      /returned error: (429|5\d\d)|HTTP (429|5\d\d)/,
      'the server failed, or asks to slow down',
      LATER,
    ),
    refused(/returned error: 413|HTTP 413/, 'the server takes no push of that size', 'Raise its limit.'),
    refused(
      /returned error: 30\d|unable to update url base from redirection/,
      'the server sends elsewhere',
      ADDRESS,
    ),
    unreachable(
      /not valid: is this a git repository|invalid server response|expected flush|protocol error|bad line length/,
      noGitServer(host).because,
      noGitServer(host).remedy,
    ),
    {
      pattern:
        /wrong version number|unknown protocol|unexpected TLS packet|record layer failure|packet length/i,
      kind: 'configuration',
      because: `${host} does not speak TLS`,
      remedy: 'If the server really has no TLS, set GITSTORE_GIT_URL to http://.',
    },
    refused(
      /certificate|SSL: no alternative|SEC_E_|server verification failed|CAfile/i,
      `the certificate of ${host} is not trusted`,
      'Check GITSTORE_GIT_URL and the clock. For a certificate authority of your own, name its certificate in GIT_SSL_CAINFO.',
    ),
    // ssh's words.
    refused(
      /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/,
      `ssh does not know the key of ${host}`,
      `Check it, and add it: ssh ${host} once by hand, as the user that runs this program.`,
    ),
    refused(
      /Permission denied \(|Too many authentication failures|Load key .*: /,
      `${host} takes none of this user's ssh keys`,
      'Add the public key to the repository, with the right to write (a deploy key will do). A key with a passphrase must be in the ssh agent. Which key: ~/.ssh/config.',
    ),
    refused(
      /marked as read only|key .*read.?only|denied to .*|You are not allowed to push|insufficient permission|Write access .* not granted/i,
      'this login has no right to write there',
      RIGHTS,
    ),
    unreachable(
      /Could not resolve|Name or service not known|Temporary failure in name resolution/i,
      `the host name ${host} is not known (DNS)`,
    ),
    unreachable(
      /Connection refused|Failed to connect|Couldn't connect|Could not connect/i,
      `nothing listens at ${host} (connection refused)`,
      `Check that the server runs, and GITSTORE_GIT_URL. ${LATER}`,
    ),
    unreachable(/timed out|Operation too slow|Timeout/i, silent),
    {
      pattern: /cannot run ssh|ssh: not found|ssh: command not found|error: cannot run/,
      kind: 'configuration',
      because: 'there is no ssh program',
      remedy: 'Install ssh (OpenSSH), or use the https:// address and a token.',
    },
    {
      pattern: /transport '.*' not allowed/,
      kind: 'configuration',
      because: 'the server sends to an address of another kind',
      remedy: ADDRESS,
    },
    refused(
      /mismatched algorithms|unsupported object format|hash algorithm/i,
      'it is a repository with SHA-256 objects, which CLIProxyAPI cannot use either',
      'Make one with the usual SHA-1 objects.',
    ),
    refused(
      transport === 'file'
        ? /insufficient permission|Permission denied|Read-only file system/i
        : /insufficient permission for adding/i,
      'this user may not write there',
      'Give the user that runs this program the right to write to the repository.',
    ),
    refused(
      /not found|does not exist|does not appear to be a git repository|could not be found|returned error: (404|410)|No such (file|project)/i,
      'there is no such repository',
      ADDRESS,
    ),
    refused(
      /No space left|Disk quota|quota/i,
      'there is no more room',
      'Make room there, or raise the quota.',
    ),
    unreachable(
      /hung up|early EOF|unexpected disconnect|Connection reset|Empty reply|Recv failure|Send failure|RPC failed|Broken pipe|Connection closed|kex_exchange/i,
      `${host} broke the connection`,
    ),
  ];
}

/**
 * The last line that says something, without the words around it and without any secret; what the server says
 * itself (`remote: `) before what git makes of it.
 */
export function lastWords(stderr: string, options: Pick<GitOptions, 'token' | 'username'>): string {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => line.replace(/^(remote: )?(fatal|error|warning): /i, '$1').trim())
    .filter((line) => line !== '' && !/^(remote:)?\s*$/.test(line));
  const [line = ''] = [lines.findLast((each) => each.startsWith('remote:')) ?? lines.at(-1)];
  return printable(scrub(line.replace(/^remote:\s*/, ''), options)).slice(0, 300);
}

/** Without the token in any of its forms, and without what stands for a login in a URL. */
export function scrub(text: string, { token, username }: Pick<GitOptions, 'token' | 'username'>): string {
  const secrets =
    token === undefined
      ? []
      : [Buffer.from(`${username}:${token}`).toString('base64'), encodeURIComponent(token), token];
  return secrets
    .reduce((clean, secret) => clean.replaceAll(secret, '***'), text)
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi, '$1');
}

/** For messages: the host, or the machine itself. */
export function hostOf(url: string): string {
  if (url.startsWith('/') || url.startsWith('file:')) return 'this machine';
  if (url.includes('://')) return new URL(url).host;
  return url.replace(/^(?:[^@]+@)?(\[[^\]]+\]|[^:]+):.*$/s, '$1');
}
