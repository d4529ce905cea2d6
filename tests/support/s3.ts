// On Node 20 the SDK tells that it will want a later one.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

import { randomBytes } from 'node:crypto';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { inject } from 'vitest';
import type { S3Options } from '../../ts/src/stores/s3/options.ts';
import type { AccessKeys } from './seaweedfs.ts';

/** The S3 server of this run; undefined if SeaweedFS is not installed: then skip, which the set-up has said. */
export const s3Server = inject('s3');

/** The server, in a test that is skipped without one. */
export function server(): NonNullable<typeof s3Server> {
  if (!s3Server) throw new Error('there is no S3 server');
  return s3Server;
}

/** Settings for a bucket of its own that is not there yet. */
export function freshBucket(keys: AccessKeys = server().admin, endpoint = server().endpoint): S3Options {
  return { endpoint, bucket: `test-${randomBytes(6).toString('hex')}`, region: 'auto', ...keys };
}

/** A bucket seen from outside, through the SDK alone. */
export interface OutsideView {
  put(key: string, bytes: Uint8Array): Promise<void>;
  get(key: string): Promise<OutsideObject>;
  /** Sorted. */
  keys(prefix?: string): Promise<string[]>;
  /** Keys and ETags. */
  fingerprint(): Promise<string>;
  close(): void;
}

export interface OutsideObject {
  readonly bytes: Buffer;
  readonly contentType: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export function lookInto(
  { endpoint, bucket: Bucket }: S3Options,
  keys: AccessKeys = server().admin,
): OutsideView {
  const client = new S3Client({
    endpoint,
    region: 'auto',
    forcePathStyle: true,
    credentials: { accessKeyId: keys.accessKey, secretAccessKey: keys.secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  async function list(prefix = ''): Promise<string[]> {
    const found: string[] = [];
    let token: string | undefined;
    do {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket, Prefix: prefix, ContinuationToken: token }),
      );
      for (const { Key, ETag } of page.Contents ?? []) found.push(`${Key}\t${ETag}`);
      token = page.NextContinuationToken;
    } while (token);
    return found.sort();
  }
  return {
    async put(Key, Body) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body }));
    },
    async get(Key) {
      const answer = await client.send(new GetObjectCommand({ Bucket, Key }));
      return {
        bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []),
        contentType: answer.ContentType,
        metadata: answer.Metadata ?? {},
      };
    },
    keys: async (prefix) => (await list(prefix)).map((line) => line.split('\t')[0] ?? ''),
    fingerprint: async () => (await list()).join('\n'),
    close: () => client.destroy(),
  };
}
