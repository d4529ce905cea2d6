import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { printable } from '../../credential/name.ts';
import type { StoreError, Tag } from '../store.ts';
import { MAX_PARALLEL } from './client.ts';
import { withDeadline } from './deadline.ts';
import { directGet } from './direct-get.ts';
import type { Endpoint } from './endpoint.ts';
import { codeOf, isCode, notS3, statusOf, storeErrorFrom } from './errors.ts';
import { type ListedKey, type ListingHabits, listKeys } from './listing.ts';
import { omitLocation, sendHeaders, type WireHeaders, watchGeneration } from './middleware.ts';
import type { S3Options, S3Timeouts } from './options.ts';
import { describe, readDirectly, readObject } from './read-object.ts';
import { tagOf } from './tag.ts';

/**
 * The few requests that we make of one bucket, each bounded in time, number and size. What a caller decides on
 * is in the answers; everything else is thrown as a `StoreError`.
 */
export interface Bucket {
  /** `s3://bucket at host`. */
  readonly location: string;

  /** All keys below a prefix, up to the delimiter if there is one; undefined if there is no such bucket. */
  list(prefix: string, delimiter?: string): Promise<ListedKey[] | undefined>;
  get(key: string): Promise<GetAnswer>;
  /** Undefined if there is no such object (or no bucket: HEAD cannot tell). */
  head(key: string): Promise<HeadAnswer | undefined>;
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<PutAnswer>;
  remove(key: string, headers?: WireHeaders): Promise<RemoveAnswer>;
  /** Makes the bucket; one that is there already is no error here. */
  create(): Promise<void>;
  close(): void;
}

export type GetAnswer =
  | ({ readonly kind: 'object'; readonly bytes: Uint8Array } & HeadAnswer)
  | { readonly kind: 'absent' }
  | { readonly kind: 'no-bucket' }
  | { readonly kind: 'too-large'; readonly size: number }
  /** This key may not be read; others may. */
  | { readonly kind: 'denied'; readonly error: StoreError };

export interface HeadAnswer {
  readonly tag: Tag;
  /** Google Cloud Storage's number of this content. */
  readonly generation?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface PutOptions {
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Conditions, in the provider's dialect. */
  readonly headers?: WireHeaders;
}

export type PutAnswer =
  | { readonly kind: 'written'; readonly tag: Tag; readonly generation?: string }
  /** The condition did not hold: 412, 409, or 404 on If-Match. */
  | { readonly kind: 'refused'; readonly status: number }
  /** The provider does not know this condition: 501. */
  | { readonly kind: 'unsupported' };

export type RemoveAnswer =
  | { readonly kind: 'removed' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'denied'; readonly error: StoreError };

export interface BucketParts {
  readonly client: S3Client;
  readonly options: S3Options;
  readonly endpoint: Endpoint;
  readonly timeouts: S3Timeouts;
  readonly habits: ListingHabits;
}

export function openBucket({ client, options, endpoint, timeouts, habits }: BucketParts): Bucket {
  const name = options.bucket;
  const location = `s3://${name} at ${endpoint.host}`;
  const limit = pLimit(MAX_PARALLEL);
  const timed = <T>(run: (signal: AbortSignal) => Promise<T>) =>
    limit(() => withDeadline(timeouts.overall, run));
  const direct = directGet(client, name, endpoint);
  const failure = (error: unknown, doing: string) => storeErrorFrom(error, { doing, location, endpoint });

  async function head(key: string): Promise<HeadAnswer | undefined> {
    const command = new HeadObjectCommand({ Bucket: name, Key: key });
    const generation = watchGeneration(command);
    try {
      const output = await timed((abortSignal) => client.send(command, { abortSignal }));
      return { ...describe(output, location), ...generation() };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw failure(error, `look at ${printable(key)}`);
    }
  }

  async function get(key: string): Promise<GetAnswer> {
    try {
      return await timed(
        async (signal) =>
          (await readDirectly(() => direct(key, signal))) ??
          (await readObject(client, { bucket: name, key, location }, signal)),
      );
    } catch (error) {
      if (codeOf(error) === 'NoSuchBucket') return { kind: 'no-bucket' };
      if (statusOf(error) === 404) return { kind: 'absent' };
      const stated = failure(error, `read ${printable(key)}`);
      if (deniesKey(error)) return { kind: 'denied', error: stated };
      throw stated;
    }
  }

  /** The tag of an object with these bytes; undefined if there is none, or one with others. */
  async function tagOfBytes(key: string, bytes: Uint8Array): Promise<Tag | undefined> {
    const found = await get(key);
    return found.kind === 'object' && Buffer.compare(found.bytes, bytes) === 0 ? found.tag : undefined;
  }

  return {
    location,
    head,
    get,

    async list(prefix, delimiter) {
      try {
        return await listKeys({ client, bucket: name, location, timed, habits }, prefix, delimiter);
      } catch (error) {
        if (codeOf(error) === 'NoSuchBucket') return undefined;
        throw failure(error, `list ${prefix}`);
      }
    },

    async put(key, bytes, { contentType = 'application/json', metadata, headers = {} } = {}) {
      const command = new PutObjectCommand({
        Bucket: name,
        Key: key,
        Body: bytes,
        ContentType: contentType,
        ...(metadata && { Metadata: { ...metadata } }),
      });
      command.middlewareStack.use(sendHeaders(headers));
      const generation = watchGeneration(command);
      try {
        const { ETag } = await timed((abortSignal) => client.send(command, { abortSignal }));
        // What answers without an ETag may be no S3 server at all: look whether the object is there, and not an older one.
        const tag = ETag === undefined ? await tagOfBytes(key, bytes) : tagOf(ETag);
        if (tag === undefined) throw notS3(location);
        return { kind: 'written', tag, ...generation() };
      } catch (error) {
        const refusal = refusalOf(error, headers);
        if (refusal) return refusal;
        throw failure(error, `write ${printable(key)}`);
      }
    },

    async remove(key, headers = {}) {
      const command = new DeleteObjectCommand({ Bucket: name, Key: key });
      command.middlewareStack.use(sendHeaders(headers));
      try {
        await timed((abortSignal) => client.send(command, { abortSignal }));
        return { kind: 'removed' };
      } catch (error) {
        if (statusOf(error) === 404 && codeOf(error) !== 'NoSuchBucket') return { kind: 'removed' };
        const refusal = refusalOf(error, headers);
        if (refusal) return { kind: refusal.kind };
        const stated = failure(error, `remove ${printable(key)}`);
        if (deniesKey(error)) return { kind: 'denied', error: stated };
        throw stated;
      }
    },

    async create() {
      const command = new CreateBucketCommand({ Bucket: name });
      if (!endpoint.aws) command.middlewareStack.use(omitLocation);
      try {
        await timed((abortSignal) => client.send(command, { abortSignal }));
      } catch (error) {
        // Made by another host at the same moment, or taken by someone else: the next request to it tells.
        if (isCode(error, 'BucketAlreadyOwnedByYou', 'BucketAlreadyExists', 'OperationAborted')) return;
        throw failure(error, 'make the bucket');
      }
    },

    close: () => client.destroy(),
  };
}

function refusalOf(error: unknown, headers: WireHeaders) {
  if (Object.keys(headers).length === 0) return undefined;
  const status = statusOf(error);
  const code = codeOf(error);
  if (status === 412 || status === 409 || code === 'PreconditionFailed') {
    return { kind: 'refused', status: status === 409 ? 409 : 412 } as const;
  }
  // AWS and Ceph answer so to If-Match on a key that is gone.
  if (status === 404 && code !== 'NoSuchBucket') return { kind: 'refused', status } as const;
  if (status === 501 || code === 'NotImplemented') return { kind: 'unsupported' } as const;
  return undefined;
}

/** Whether an error is about one object rather than about the access keys or the bucket. */
function deniesKey(error: unknown): boolean {
  return isCode(error, 'AccessDenied', 'InvalidObjectState');
}
