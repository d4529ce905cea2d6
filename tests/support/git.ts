/** Repositories as other programs see and change them: nothing of ours is asked. */
import { execFile, execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Without what a developer's own git would be told. */
export function cleanGitEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'));
  return {
    ...(Object.fromEntries(entries) as Record<string, string>),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    LC_ALL: 'C',
  };
}

const PROXY = ['CLIProxyAPI', 'cliproxy@local'] as const;

function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    ...cleanGitEnvironment(),
    GIT_AUTHOR_NAME: PROXY[0],
    GIT_AUTHOR_EMAIL: PROXY[1],
    GIT_COMMITTER_NAME: PROXY[0],
    GIT_COMMITTER_EMAIL: PROXY[1],
    ...more,
  };
}

/** Runs git in a repository, and gives what it prints. */
export function git(
  repository: string,
  args: readonly string[],
  { env = {}, input }: { env?: Readonly<Record<string, string>>; input?: Uint8Array } = {},
): Buffer {
  return execFileSync('git', ['-C', repository, ...args], {
    env: environment(env),
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
    ...(input && { input }),
  });
}

const execute = promisify(execFile);

/** The same without holding up the server that it may talk to, which runs in this process. */
export async function gitLater(repository: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute('git', ['-C', repository, ...args], { env: environment() });
  return stdout;
}

/** An empty bare repository. */
export async function makeRepository(path: string, head = 'master'): Promise<void> {
  await mkdir(path, { recursive: true });
  git(path, ['init', '--quiet', '--bare', `--initial-branch=${head}`]);
}

/** A bare repository on this disk, changed in place. */
export interface GitFromOutside {
  /** Paths on a branch; none if there is no such branch. */
  files(branch: string): string[];
  read(branch: string, path: string): Buffer | undefined;
  /** Undefined removes. Each is one commit, without a parent as CLIProxyAPI's are, if nothing else is said. */
  write(
    branch: string,
    files: Readonly<Record<string, Uint8Array | undefined>>,
    options?: CommitOptions,
  ): string;
  head(branch: string): string | undefined;
  /** All refs and what they point to. */
  refs(): string;
}

export interface CommitOptions {
  readonly keepHistory?: boolean;
  /** The committer. */
  readonly email?: string;
  readonly mode?: string;
}

export function repositoryFromOutside(path: string): GitFromOutside {
  const attempt = (args: readonly string[]): Buffer | undefined => {
    try {
      return git(path, args);
    } catch {
      return undefined;
    }
  };
  const head = (branch: string) =>
    attempt(['rev-parse', '--verify', `refs/heads/${branch}`])
      ?.toString()
      .trim();
  return {
    head,
    refs: () => git(path, ['for-each-ref']).toString(),
    files: (branch) =>
      (attempt(['ls-tree', '-r', '-z', '--name-only', `refs/heads/${branch}`]) ?? Buffer.alloc(0))
        .toString()
        .split('\0')
        .filter((name) => name !== ''),
    read: (branch, file) => attempt(['cat-file', 'blob', `refs/heads/${branch}:${file}`]),
    write(branch, files, { keepHistory = false, email = PROXY[1], mode = '100644' } = {}) {
      const index = join(path, `index-${randomUUID()}`);
      const env = { GIT_INDEX_FILE: index, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_EMAIL: email };
      const before = head(branch);
      try {
        if (before !== undefined) git(path, ['read-tree', before], { env });
        for (const [file, bytes] of Object.entries(files)) {
          if (bytes === undefined) {
            const removal = Buffer.from(`0 ${'0'.repeat(40)}\t${file}\0`);
            git(path, ['update-index', '-z', '--index-info'], { env, input: removal });
            continue;
          }
          const oid = git(path, ['hash-object', '-w', '--stdin', '--no-filters'], { input: bytes });
          git(path, ['update-index', '--add', '--cacheinfo', `${mode},${oid.toString().trim()},${file}`], {
            env,
          });
        }
        const tree = git(path, ['write-tree'], { env }).toString().trim();
        const parent = keepHistory && before !== undefined ? ['-p', before] : [];
        const commit = git(path, ['commit-tree', tree, '-m', 'From outside', ...parent], { env })
          .toString()
          .trim();
        git(path, ['update-ref', `refs/heads/${branch}`, commit]);
        return commit;
      } finally {
        void rm(index, { force: true });
      }
    },
  };
}

/** A clone that is written to as CLIProxyAPI's own store does it (internal/store/gitstore.go). */
export interface NativeWriter {
  /**
   * Pulls, writes one file, makes all of it one parentless commit, and pushes that under a lease. False if the lease
   * was lost: CLIProxyAPI says so in its log, and has the change at its next save.
   */
  save(path: string, bytes: Uint8Array): Promise<boolean>;
}

export async function nativeWriter(clone: string, url: string, branch: string): Promise<NativeWriter> {
  await mkdir(dirname(clone), { recursive: true });
  await gitLater('/', 'clone', '--quiet', `--branch=${branch}`, url, clone);
  return {
    async save(path, bytes) {
      await gitLater(
        clone,
        'fetch',
        '--quiet',
        'origin',
        `+refs/heads/${branch}:refs/remotes/origin/${branch}`,
      );
      await gitLater(clone, 'reset', '--quiet', '--hard', `origin/${branch}`);
      const seen = (await gitLater(clone, 'rev-parse', `origin/${branch}`)).trim();
      await mkdir(dirname(join(clone, path)), { recursive: true });
      await writeFile(join(clone, path), bytes);
      await gitLater(clone, 'add', '--', path);
      const tree = (await gitLater(clone, 'write-tree')).trim();
      const commit = (await gitLater(clone, 'commit-tree', tree, '-m', `Sync auth ${path}`)).trim();
      const ref = `refs/heads/${branch}`;
      return gitLater(
        clone,
        'push',
        '--quiet',
        `--force-with-lease=${ref}:${seen}`,
        'origin',
        `${commit}:${ref}`,
      ).then(
        () => true,
        () => false,
      );
    },
  };
}
