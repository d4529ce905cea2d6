// On Node 20 the SDK tells that it will want a later one.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { HomeStore } from './bundle.ts';
import { repositoryFromOutside } from './git.ts';

/** The store as any other program sees and changes it: nothing of ours is asked. */
export interface OutsideStore {
  /** Makes the bucket, or the directory: our programs make it themselves. */
  make(): Promise<void>;
  /** Sorted. */
  keys(prefix?: string): Promise<string[]>;
  /** Undefined if it is not there. */
  read(key: string): Promise<Buffer | undefined>;
  write(key: string, bytes: Uint8Array): Promise<void>;
  remove(key: string): Promise<void>;
  /** What changes whenever an object is written, even with the same bytes. */
  fingerprint(): Promise<string>;
  /** Lets go of the server; a schema goes with it. */
  close(): void | Promise<void>;
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
  const list = async (Prefix = '') => {
    const found: { key: string; line: string }[] = [];
    let token: string | undefined;
    do {
      const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken: token }));
      for (const { Key = '', ETag, LastModified } of page.Contents ?? [])
        found.push({ key: Key, line: `${Key} ${ETag} ${LastModified?.toISOString()}` });
      token = page.NextContinuationToken;
    } while (token !== undefined && token !== '');
    return found;
  };
  const unlessMissing = <T>(error: unknown, value: T): T => {
    if (error instanceof Error && /NoSuch(Key|Bucket)/.test(error.name)) return value;
    throw error;
  };
  return {
    make: async () => void (await client.send(new CreateBucketCommand({ Bucket }))),
    keys: async (prefix) => {
      const found = await list(prefix).catch((error: unknown) => unlessMissing(error, []));
      return found.map(({ key }) => key).sort();
    },
    async read(Key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
        return Buffer.from((await Body?.transformToByteArray()) ?? []);
      } catch (error) {
        return unlessMissing(error, undefined);
      }
    },
    write: async (Key, Body) => void (await client.send(new PutObjectCommand({ Bucket, Key, Body }))),
    remove: async (Key) => void (await client.send(new DeleteObjectCommand({ Bucket, Key }))),
    fingerprint: async () => {
      const found = await list().catch((error: unknown) => unlessMissing(error, []));
      return found
        .map(({ line }) => line)
        .sort()
        .join('\n');
    },
    close: () => client.destroy(),
  };
}

export function directoryFromOutside(root: string): OutsideStore {
  const files = async (prefix = '') => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .filter((key) => key.startsWith(prefix))
      .sort();
  };
  return {
    make: async () => void (await mkdir(root, { recursive: true })),
    keys: files,
    read: (key) => readFile(join(root, key)).catch(() => undefined),
    async write(key, bytes) {
      await mkdir(dirname(join(root, key)), { recursive: true });
      await writeFile(join(root, key), bytes);
    },
    remove: (key) => rm(join(root, key)),
    async fingerprint() {
      const lines = (await files()).map(async (key) => {
        const { ino, mtimeMs, size } = await stat(join(root, key));
        return `${key} ${ino} ${size} ${mtimeMs}`;
      });
      return (await Promise.all(lines)).join('\n');
    },
    close: () => undefined,
  };
}

/** A bare repository on this disk: the credentials on `master`, our records on a branch of their own. */
export function gitFromOutside(path: string): OutsideStore {
  const repository = repositoryFromOutside(path);
  const branchOf = (key: string) => (/^(sync|backup)\//.test(key) ? 'cliproxyapi-sync' : 'master');
  return {
    make: async () => undefined,
    keys: async (prefix = '') =>
      [...repository.files('master'), ...repository.files('cliproxyapi-sync')]
        .filter((key) => key.startsWith(prefix))
        .sort(),
    read: async (key) => repository.read(branchOf(key), key),
    write: async (key, bytes) => void repository.write(branchOf(key), { [key]: bytes }),
    remove: async (key) => void repository.write(branchOf(key), { [key]: undefined }),
    fingerprint: async () => repository.refs(),
    close: () => undefined,
  };
}
