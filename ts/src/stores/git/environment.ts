/** What git gets from us and nobody else: no configuration, hook, template or prompt of the user's has a say. */
import { join } from 'node:path';
import type { GitLimits, GitOptions } from './options.ts';

/** Of the variables that git itself reads, those that say how to get to the server. */
const KEPT = [
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GIT_SSH_VARIANT',
  'GIT_SSL_CAINFO',
  'GIT_SSL_CAPATH',
  'GIT_SSL_CERT',
  'GIT_SSL_KEY',
  'GIT_HTTP_PROXY_AUTHMETHOD',
];

/** BatchMode: nobody is there to answer a question. The rest: a connection that died is noticed. */
const SSH = 'ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3';

const USERNAME = 'CLIPROXYAPI_SYNC_GIT_USERNAME';
const PASSWORD = 'CLIPROXYAPI_SYNC_GIT_PASSWORD';

/**
 * The environment for git.
 *
 * @param gitDir The repository: one of ours, as `cache.ts` makes them.
 */
export function gitEnvironment(
  gitDir: string,
  objects: string,
  { transport }: Pick<GitOptions, 'transport'>,
  env: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || (name.startsWith('GIT_') && !KEPT.includes(name))) continue;
    // What asks people questions, and what translates the messages that are understood below.
    if (['SSH_ASKPASS', 'DISPLAY', 'LANG', 'LANGUAGE'].includes(name) || name.startsWith('LC_')) continue;
    result[name] = value;
  }
  const { GIT_SSL_CAINFO, SSL_CERT_FILE } = result;
  if (!GIT_SSL_CAINFO && SSL_CERT_FILE) result.GIT_SSL_CAINFO = SSL_CERT_FILE;
  return {
    ...result,
    ...(!result.GIT_SSH_COMMAND && !result.GIT_SSH && { GIT_SSH_COMMAND: SSH }),
    // libcurl reads ~/.netrc. ssh finds its own files without HOME, but what its configuration runs may not.
    ...(transport === 'http' && { HOME: gitDir }),
    LC_ALL: 'C',
    GIT_DIR: gitDir,
    GIT_OBJECT_DIRECTORY: objects,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(gitDir, 'global'),
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
  };
}

/** What a call that talks to the server has besides. Readable by this user's own processes alone (proc(5)). */
export function secretEnvironment({ transport, username, token }: GitOptions): Record<string, string> {
  return transport === 'http' && token !== undefined ? { [USERNAME]: username, [PASSWORD]: token } : {};
}

/** The repository's own configuration, where nothing has a place that is secret. */
export function repositoryConfig(options: GitOptions, limits: GitLimits): string {
  const schemes = { http: ['http', 'https'], ssh: ['ssh'], file: ['file'] }[options.transport];
  const sections: Record<string, Record<string, string>> = {
    core: {
      repositoryFormatVersion: '0',
      bare: 'true',
      hooksPath: '/dev/null',
      attributesFile: '/dev/null',
      excludesFile: '/dev/null',
      autocrlf: 'false',
      logAllRefUpdates: 'false',
      fsyncObjectFiles: 'false',
      commitGraph: 'false',
    },
    gc: { auto: '0' },
    maintenance: { auto: 'false' },
    // As packs, whose growth can be watched, however few the objects.
    fetch: { unpackLimit: '1', writeCommitGraph: 'false', recurseSubmodules: 'false' },
    push: { gpgSign: 'false', followTags: 'false', recurseSubmodules: 'no', negotiate: 'false' },
    http: {
      lowSpeedLimit: '1',
      lowSpeedTime: String(limits.idleSeconds),
      // More than that is sent in chunks, which some servers refuse.
      postBuffer: String(32 * 1024 * 1024),
      // Sends the token at once, where git can (2.46): else each call begins with a refusal.
      ...(options.token !== undefined && { proactiveAuth: 'basic' }),
    },
    protocol: { allow: 'never' },
    ...Object.fromEntries(schemes.map((scheme) => [`protocol "${scheme}"`, { allow: 'always' }])),
  };
  if (options.transport === 'http' && options.token !== undefined) {
    // For this host alone: one that it redirects to is told nothing. Asked again after a refusal, it has no other.
    const helper = `!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$${USERNAME}" "$${PASSWORD}"; }; f`;
    sections[`credential "${new URL(options.url).origin}"`] = { helper };
  }
  return Object.entries(sections)
    .map(([name, values]) => `[${name}]\n${Object.entries(values).map(assignment).join('')}`)
    .join('');
}

/** For the programs at the other end of `file://` too, so it holds only what they need: other users' repositories. */
export const GLOBAL_CONFIG = '[safe]\n\tdirectory = *\n';

function assignment([name, value]: [string, string]): string {
  return `\t${name} = "${value.replace(/[\\"]/g, '\\$&')}"\n`;
}
