import { Readable } from 'node:stream';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { MAX_OBJECT_BYTES } from '../store.ts';
import type { GetAnswer, HeadAnswer } from './bucket.ts';
import { MAX_ATTEMPTS } from './client.ts';
import { pause } from './deadline.ts';
import type { DirectAnswer } from './direct-get.ts';
import { notS3 } from './errors.ts';
import { watchGeneration } from './middleware.ts';
import { tagOf } from './tag.ts';

/** One object to read, and where it is for messages. */
export interface ObjectToRead {
  readonly bucket: string;
  readonly key: string;
  readonly location: string;
}

/** Reads one object whole out of a plain success; undefined for anything else, which `readObject` is to look into. */
export async function readDirectly(get: () => Promise<DirectAnswer | undefined>) {
  const answer = await get();
  if (!answer) return undefined;
  const { body, headers } = answer;
  const length = Number(headers['content-length'] ?? Number.NaN);
  const { etag, 'x-goog-generation': generation } = headers;
  if (etag === undefined || length > MAX_OBJECT_BYTES) {
    body.destroy();
    return undefined;
  }
  const bytes = await readBounded(body).catch(() => undefined);
  if (bytes === undefined || (!Number.isNaN(length) && bytes.length !== length)) return undefined;
  const metadata = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith(METADATA) ? [[name.slice(METADATA.length), value] as const] : [],
  );
  return {
    kind: 'object' as const,
    bytes,
    tag: tagOf(etag),
    metadata: Object.fromEntries(metadata),
    ...(generation !== undefined && { generation }),
  };
}

const METADATA = 'x-amz-meta-';

/**
 * Reads one object whole, or not at all: a body that ends early is read again, one over `MAX_OBJECT_BYTES` is
 * left unread.
 *
 * @throws What the SDK throws, after its retries and ours.
 */
export async function readObject(
  client: S3Client,
  { bucket, key, location }: ObjectToRead,
  abortSignal: AbortSignal,
): Promise<Extract<GetAnswer, { kind: 'object' | 'too-large' }>> {
  for (let attempt = 1; ; attempt++) {
    const command = new GetObjectCommand({ Bucket: bucket, Key: key });
    const generation = watchGeneration(command);
    const output = await client.send(command, { abortSignal });
    const { Body: body, ContentLength: length } = output;
    /* v8 ignore if -- what the SDK types for browsers too: on Node a body is a stream */
    if (!(body instanceof Readable)) throw notS3(location);
    if (length !== undefined && length > MAX_OBJECT_BYTES) {
      body.destroy();
      return { kind: 'too-large', size: length };
    }
    const description = describe(output, location);
    try {
      const bytes = await readBounded(body);
      if (bytes === undefined) return { kind: 'too-large', size: length ?? MAX_OBJECT_BYTES + 1 };
      if (length !== undefined && bytes.length !== length) throw cutShort(bytes.length, length);
      return { kind: 'object', bytes, ...description, ...generation() };
    } catch (error) {
      // The SDK retries requests, not bodies: a connection that broke within one is as passing a fault.
      if (attempt >= MAX_ATTEMPTS || abortSignal.aborted) throw error;
      await pause(100 * 2 ** attempt);
    }
  }
}

/** What the headers of an answer say of an object. */
export function describe(
  output: { readonly ETag?: string | undefined; readonly Metadata?: Record<string, string> | undefined },
  location: string,
): HeadAnswer {
  // A captive portal answers 200 to everything: what has no ETag is no object.
  if (output.ETag === undefined) throw notS3(location);
  const { Metadata: metadata = {} } = output;
  return { tag: tagOf(output.ETag), metadata };
}

/** The whole body; undefined, and the rest left unread, if it is over `MAX_OBJECT_BYTES`. */
async function readBounded(body: Readable): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('a body of text');
    size += chunk.length;
    // Leaving the loop destroys the stream.
    if (size > MAX_OBJECT_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function cutShort(got: number, whole: number): Error {
  return Object.assign(new Error(`the answer ended after ${got} of ${whole} bytes`), { code: 'ECONNRESET' });
}
