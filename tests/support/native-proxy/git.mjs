/**
 * internal/store/gitstore.go. A start clones, but only into an empty directory, or pulls; a save pulls first. A pull puts
 * the paths that the remote changed into the work tree, unless one of them differs from the local head too, whatever to:
 * then it fails, and so does everything after it. Then tracked files that are missing are put back. A save is one commit
 * without a parent of the whole tree, pushed under a lease on what was fetched; a push that fails is undone locally.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export function open({ variable, exampleConfig, at, slow }) {
  const url = variable('GITSTORE_GIT_URL');
  const root = join(variable('GITSTORE_LOCAL_PATH') ?? process.cwd(), 'gitstore');
  const authDir = join(root, 'auths');
  const configPath = join(root, 'config/config.yaml');
  const env = {
    ...process.env,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'CLIProxyAPI',
    GIT_AUTHOR_EMAIL: 'cliproxy@local',
    GIT_COMMITTER_NAME: 'CLIProxyAPI',
    GIT_COMMITTER_EMAIL: 'cliproxy@local',
  };
  const bytes = (...args) =>
    execFileSync('git', ['-C', root, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 28,
    });
  const git = (...args) =>
    bytes(...args)
      .toString()
      .trim();
  const names = (...args) =>
    bytes(...args)
      .toString()
      .split('\0')
      .filter((name) => name !== '');
  const head = () => git('rev-parse', 'HEAD');
  const branch = () => git('symbolic-ref', '--short', 'HEAD');
  const tree = (commit) => names('ls-tree', '-r', '-z', '--name-only', commit);

  async function ensureRepository() {
    if (!existsSync(join(root, '.git'))) {
      if (existsSync(root) && readdirSync(root).length > 0)
        throw new Error(`clone remote: destination path already exists and is not empty ${root}`);
      await slow();
      const only = variable('GITSTORE_GIT_BRANCH');
      execFileSync('git', ['clone', '--quiet', ...(only ? [`--branch=${only}`] : []), url, root], {
        env,
        stdio: 'pipe',
      });
    } else {
      const dirty = new Set(
        names('status', '--porcelain', '-z', '--no-renames', '--untracked-files=all').map((line) =>
          line.slice(3),
        ),
      );
      const base = head();
      await slow();
      git('fetch', '--quiet', 'origin');
      const remote = git('rev-parse', `refs/remotes/origin/${branch()}`);
      const changed = remote === base ? [] : names('diff', '--name-only', '-z', '--no-renames', base, remote);
      const conflict = changed.find((path) => dirty.has(path));
      if (conflict !== undefined)
        throw new Error(
          `reconcile remote changes: remote path ${conflict} conflicts with local change ${conflict}`,
        );
      for (const [index, path] of changed.entries()) {
        if (index === changed.length >> 1) await at('fill');
        if (!tree(remote).includes(path)) rmSync(join(root, path), { force: true });
        else write(path, bytes('cat-file', 'blob', `${remote}:${path}`));
      }
      git('update-ref', `refs/heads/${branch()}`, remote);
      git('read-tree', 'HEAD');
      for (const path of tree('HEAD'))
        if (!existsSync(join(root, path))) write(path, bytes('cat-file', 'blob', `HEAD:${path}`));
    }
    for (const path of [authDir, dirname(configPath)]) mkdirSync(path, { recursive: true, mode: 0o700 });
  }

  function write(path, content) {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o700 });
    writeFileSync(join(root, path), content, { mode: 0o600 });
  }

  function commitAndPush(message, path) {
    const base = head();
    git('read-tree', 'HEAD');
    if (existsSync(path)) git('add', '--', path);
    else git('rm', '--quiet', '--cached', '--ignore-unmatch', '--', path);
    const made = git('commit-tree', git('write-tree'), '-m', message);
    if (git('rev-parse', `${made}^{tree}`) === git('rev-parse', 'HEAD^{tree}')) return;
    const name = branch();
    const ref = `refs/heads/${name}`;
    git('update-ref', ref, made);
    try {
      const seen = git('rev-parse', `refs/remotes/origin/${name}`);
      git('push', '--quiet', `--force-with-lease=${ref}:${seen}`, 'origin', `${made}:${ref}`);
      git('update-ref', `refs/remotes/origin/${name}`, made);
    } catch (error) {
      git('update-ref', ref, base);
      git('read-tree', 'HEAD');
      throw new Error(`push: ${error.stderr}`);
    }
  }

  const refusesRemoval = (message, path) => {
    if (!message.startsWith('Remove auth ') || existsSync(path)) return false;
    if (tree('HEAD').includes(relative(root, path)))
      throw new Error(
        `refusing watcher-originated removal of tracked auth ${relative(root, path)}; use an explicit delete`,
      );
    return true;
  };

  return {
    authDir,
    configPath,
    async bootstrap() {
      await at('connect');
      await ensureRepository();
      await at('list');
      if (existsSync(configPath)) return;
      exampleConfig(configPath);
      await ensureRepository();
      commitAndPush('Update config', configPath);
    },
    beforeSave: ensureRepository,
    async persist(message, path, by) {
      if (by === 'watch') {
        if (refusesRemoval(message, path)) return;
        await ensureRepository();
        if (refusesRemoval(message, path)) return;
      }
      commitAndPush(message, path);
    },
  };
}
