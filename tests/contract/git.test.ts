import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import type { GitOptions } from '../../ts/src/stores/git/options.ts';
import { gitStore } from '../../ts/src/stores/git/store.ts';
import { git, makeRepository, repositoryFromOutside } from '../support/git.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { type StoreFixture, storeContract } from './suite.ts';

/** A repository of its own, and a cache that all its handles share, as the programs of one host do. */
async function fixture(
  optionsFor: (repository: string, name: string) => Pick<GitOptions, 'url' | 'transport' | 'token'>,
  root: string,
  config: readonly string[] = [],
): Promise<StoreFixture> {
  const home = await mkdtemp(join(root, 'repository-'));
  const repository = join(home, 'logins.git');
  await makeRepository(repository, 'main');
  if (config.length > 0) git(repository, ['config', ...config]);
  const outside = repositoryFromOutside(repository);
  const options: GitOptions = {
    ...optionsFor(repository, repository.slice(root.length)),
    username: 'git',
    program: 'git',
    cacheDir: join(home, 'cache'),
  };
  return {
    open: (memory) => gitStore(options, memory),
    async writeForeign(area, name, bytes) {
      if (area === 'current') outside.write('master', { [`auths/${name}`]: bytes });
      else outside.write('cliproxyapi-sync', { [`backup/auths/${name}`]: bytes });
    },
    async writeConfig(bytes) {
      outside.write('master', { 'config/config.yaml': bytes });
    },
    async readAside(name) {
      const prefix = `sync/rejected/${name}/`;
      const files = outside.files('cliproxyapi-sync').filter((path) => path.startsWith(prefix));
      return files.map((path) => outside.read('cliproxyapi-sync', path) ?? Buffer.alloc(0));
    },
    fingerprint: async () => outside.refs(),
    remove: () => rm(home, { recursive: true, force: true }),
  };
}

describe('over file://', () => {
  const onDisk = (repository: string) => ({ url: repository, transport: 'file' }) as const;
  storeContract('the Git store', () => fixture(onDisk, tmpdir()));
  storeContract('the Git store where no two branches can be replaced at once', () =>
    fixture(onDisk, tmpdir(), ['receive.advertiseAtomic', 'false']),
  );
});

describe('over HTTP', () => {
  let root: string;
  let server: GitServer;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'git-server-'));
    server = await startGitServer(root);
  });
  afterAll(async () => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  });
  const overHttp = (_: string, name: string) =>
    ({ url: `${server.origin}${name}`, transport: 'http', token: server.token }) as const;

  storeContract('the Git store', () => fixture(overHttp, root));
});
