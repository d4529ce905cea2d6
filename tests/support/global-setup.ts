import type { TestProject } from 'vitest/node';
import { type AccessKeys, findWeed, startSeaweedFs } from './seaweedfs.ts';

/** One S3 server for the whole run; each test makes buckets of its own. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
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

/** Where the S3 server is; undefined if SeaweedFS is not installed. */
export type ProvidedS3 = { endpoint: string; admin: AccessKeys; reader: AccessKeys } | undefined;

declare module 'vitest' {
  interface ProvidedContext {
    s3: ProvidedS3;
  }
}
