// On Node 20 the SDK tells that it will want a later one.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { HomeStore } from '../support/bundle.ts';

/** The store as another program sees it: nothing of ours is asked. */
export interface OutsideStore {
  /** Sorted. */
  keys(prefix: string): Promise<string[]>;
  /** Undefined if it is not there. */
  read(key: string): Promise<Buffer | undefined>;
  /** Makes the bucket, or the directory. */
  make(): Promise<void>;
  close(): void;
}

export function bucketFromOutside(store: Extract<HomeStore, { kind: 's3' }>): OutsideStore {
  const client = new S3Client({
    endpoint: store.endpoint,
    region: 'auto',
    forcePathStyle: true,
    credentials: { accessKeyId: store.accessKey, secretAccessKey: store.secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const Bucket = store.bucket;
  return {
    async keys(Prefix) {
      const found: string[] = [];
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken: token }),
        );
        for (const { Key = '' } of page.Contents ?? []) found.push(Key);
        token = page.NextContinuationToken;
      } while (token !== undefined && token !== '');
      return found.sort();
    },
    async read(Key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
        return Buffer.from((await Body?.transformToByteArray()) ?? []);
      } catch (error) {
        if (error instanceof Error && error.name === 'NoSuchKey') return undefined;
        throw error;
      }
    },
    async make() {
      await client.send(new CreateBucketCommand({ Bucket }));
    },
    close: () => client.destroy(),
  };
}

export function directoryFromOutside(root: string): OutsideStore {
  return {
    async keys(prefix) {
      const names = await readdir(join(root, prefix), { recursive: true }).catch((): string[] => []);
      return names
        .filter((name) => name.endsWith('.json'))
        .map((name) => prefix + name)
        .sort();
    },
    read: (key) => readFile(join(root, key)).catch(() => undefined),
    make: async () => void (await mkdir(root, { recursive: true })),
    close: () => undefined,
  };
}
