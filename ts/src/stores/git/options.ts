/** What a person sets to use a Git repository; the settings module reads it from `GITSTORE_*`. */
export interface GitOptions {
  /** As `settings/git-remote.ts` makes it: without a password. */
  readonly url: string;
  readonly transport: 'http' | 'ssh' | 'file';
  /** For HTTP: what goes with the token. */
  readonly username: string;
  /** For HTTP; without it only what needs no login works. */
  readonly token?: string;
  /** Absent: the remote's default branch. */
  readonly branch?: string;
  /** The git program: a path, or a name to look up in PATH. */
  readonly program: string;
  /** For copies of what was fetched, a directory for each URL; made if missing, safe to remove at any time. */
  readonly cacheDir: string;
  /** Limits, for tests; the defaults are in `DEFAULT_LIMITS`. */
  readonly limits?: Partial<GitLimits>;
}

export interface GitLimits {
  /** Milliseconds for one call of git that talks to the server; what is local gets as much. */
  readonly commandMs: number;
  /** Seconds without a byte over HTTP after which git gives up by itself. */
  readonly idleSeconds: number;
  /** Milliseconds for one write with all its retries, where others keep writing at the same time. */
  readonly writeMs: number;
  /** Bytes of one fetch: more is no store, but somebody's project. */
  readonly fetchBytes: number;
}

export const DEFAULT_LIMITS: GitLimits = {
  commandMs: 120_000,
  idleSeconds: 20,
  writeMs: 90_000,
  fetchBytes: 256 * 1024 * 1024,
};
