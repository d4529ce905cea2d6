/** A Git repository for one test, our stores on it, and what others do to it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GitOptions } from '../../ts/src/stores/git/options.ts';
import { gitStore } from '../../ts/src/stores/git/store.ts';
import type { Store, StoreMemory } from '../../ts/src/stores/store.ts';
import { type GitFromOutside, git, makeRepository, repositoryFromOutside } from './git.ts';
import { type GitServer, startGitServer } from './git-server.ts';
import { memoryInMemory } from './memory.ts';

export interface GitWorld {
  readonly home: string;
  /** Of the bare repository. */
  readonly path: string;
  readonly outside: GitFromOutside;
  readonly cacheDir: string;
  readonly options: GitOptions;
  open(more?: Partial<GitOptions>, memory?: StoreMemory): Store;
  /** Serves the repository; `options` for it. */
  serve(): Promise<{
    readonly server: GitServer;
    readonly http: Pick<GitOptions, 'url' | 'transport' | 'token'>;
  }>;
  end(): Promise<void>;
}

export async function gitWorld(head = 'master'): Promise<GitWorld> {
  const home = await mkdtemp(join(tmpdir(), 'git-world-'));
  const path = join(home, 'served/logins.git');
  await makeRepository(path, head);
  const cacheDir = join(home, 'cache');
  const options: GitOptions = { url: path, transport: 'file', username: 'git', program: 'git', cacheDir };
  const stores: Store[] = [];
  const servers: GitServer[] = [];
  return {
    home,
    path,
    outside: repositoryFromOutside(path),
    cacheDir,
    options,
    open(more = {}, memory = memoryInMemory()) {
      const store = gitStore({ ...options, ...more }, memory);
      stores.push(store);
      return store;
    },
    async serve() {
      const server = await startGitServer(join(home, 'served'));
      servers.push(server);
      return {
        server,
        http: { url: `${server.origin}/logins.git`, transport: 'http', token: server.token },
      };
    },
    async end() {
      await Promise.all(stores.map((store) => store.close()));
      await Promise.all(servers.map((server) => server.stop()));
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Whether a text is in any file below a directory, by its content or its path. */
export async function filesWith(directory: string, text: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (path.includes(text)) found.push(path);
    else if (entry.isFile() && (await readFile(path)).includes(text)) found.push(path);
  }
  return found;
}

/** Takes a file out of a repository's configuration: `config(world, 'receive.denyNonFastForwards', 'true')`. */
export function config({ path }: GitWorld, ...args: readonly string[]): void {
  git(path, ['config', ...args]);
}
