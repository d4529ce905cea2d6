import { ListObjectsV2Command, type ListObjectsV2CommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { MAX_KEYS, tooMany } from '../bounds.ts';
import { StoreError, type Tag } from '../store.ts';
import { notS3 } from './errors.ts';
import { tagOf } from './tag.ts';

/** Pages may come short or empty; more of them than this means that they will not end. */
const MAX_PAGES = 2_000;

export interface ListedKey {
  /** As it is in the store, decoded. */
  readonly key: string;
  readonly tag: Tag;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970, by the store's clock. */
  readonly modified: number;
}

/**
 * What a `+` in a URL-encoded listing stands for. AWS and MinIO encode a space as `+` and a plus as `%2B`, as in
 * forms; SeaweedFS encodes as in paths and leaves a plus as it is. Nothing in the answer says which.
 */
export type PlusSign = 'space' | 'plus';

/** What is remembered of how a provider writes listings. */
export interface ListingHabits {
  plusSign(): PlusSign | undefined;
  learnPlusSign(sign: PlusSign): Promise<void>;
}

export interface ListingParts {
  readonly client: S3Client;
  readonly bucket: string;
  readonly location: string;
  /** Runs one request in its time limit. */
  readonly timed: <T>(run: (signal: AbortSignal) => Promise<T>) => Promise<T>;
  readonly habits: ListingHabits;
}

/**
 * All keys below `prefix` (up to the next `delimiter`), every page joined.
 *
 * @throws StoreError, or what the SDK throws, if it would not be complete: nothing is better than a part, which
 *   reads as deletions.
 */
export async function listKeys(
  parts: ListingParts,
  prefix: string,
  delimiter?: string,
): Promise<ListedKey[]> {
  const keys: ListedKey[] = [];
  const tokens = new Set<string>();
  let token: string | undefined;
  for (let pages = 1; ; pages++) {
    const page = await requestPage(parts, { prefix, delimiter, token, encoded: true });
    const decode = await keyDecoder(parts, page, { prefix, delimiter, token });
    for (const object of page.Contents ?? []) {
      const key = decode(object.Key ?? '');
      if (object.ETag === undefined || !key.startsWith(prefix)) throw notS3(parts.location);
      const size = object.Size ?? 0;
      keys.push({ key, tag: tagOf(object.ETag), size, modified: object.LastModified?.getTime() ?? 0 });
    }
    if (keys.length > MAX_KEYS || pages > MAX_PAGES) throw tooMany(prefix, parts.location);
    if (!page.IsTruncated) return keys;
    token = page.NextContinuationToken;
    if (token === undefined || token === '' || tokens.has(token)) throw cutShort(parts.location, prefix);
    tokens.add(token);
  }
}

interface PageRequest {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly token: string | undefined;
}

async function requestPage(
  { client, bucket, location, timed }: ListingParts,
  { prefix, delimiter, token, encoded }: PageRequest & { readonly encoded: boolean },
): Promise<ListObjectsV2CommandOutput> {
  const command = new ListObjectsV2Command({
    Bucket: bucket,
    Prefix: prefix,
    MaxKeys: 1000,
    // XML cannot hold every character of a key, and parsers change some that it can.
    ...(encoded && { EncodingType: 'url' }),
    ...(delimiter !== undefined && { Delimiter: delimiter }),
    ...(token !== undefined && { ContinuationToken: token }),
  });
  const page = await timed((abortSignal) => client.send(command, { abortSignal }));
  // Any XML at all would read as an empty listing; a listing always says whether it goes on.
  if (typeof page.IsTruncated !== 'boolean') throw notS3(location);
  return page;
}

async function keyDecoder(parts: ListingParts, page: ListObjectsV2CommandOutput, request: PageRequest) {
  if (page.EncodingType !== 'url') return (key: string) => key;
  const encoded = (page.Contents ?? []).map((object) => object.Key ?? '');
  const example = encoded.find((key) => key.includes('+'));
  if (example === undefined) return (key: string) => decodeKey(key, 'plus');
  const sign = parts.habits.plusSign() ?? (await findPlusSign(parts, encoded, example, request));
  return (key: string) => decodeKey(key, sign);
}

/** Finds out what a `+` stands for: from its neighbours, or by asking for the same page without encoding. */
async function findPlusSign(
  parts: ListingParts,
  encoded: readonly string[],
  example: string,
  request: PageRequest,
): Promise<PlusSign> {
  const all = encoded.join('/');
  let sign: PlusSign | undefined;
  if (/%20/.test(all)) sign = 'plus';
  else if (/%2b/i.test(all)) sign = 'space';
  else {
    const page = await requestPage(parts, { ...request, encoded: false });
    const plain = new Set((page.Contents ?? []).map((object) => object.Key));
    if (plain.has(decodeKey(example, 'plus'))) sign = 'plus';
    else if (plain.has(decodeKey(example, 'space'))) sign = 'space';
  }
  if (sign === undefined) throw cutShort(parts.location, request.prefix);
  await parts.habits.learnPlusSign(sign);
  return sign;
}

function decodeKey(key: string, plus: PlusSign): string {
  const text = plus === 'space' ? key.replaceAll('+', ' ') : key;
  try {
    return decodeURIComponent(text);
  } catch {
    // Bytes that are not UTF-8: such a name is refused later, and must not hide the others.
    const latin1 = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    return Buffer.from(latin1, 'latin1').toString();
  }
}

function cutShort(location: string, prefix: string): StoreError {
  return new StoreError(
    'unreachable',
    `The listing of ${prefix} in ${location} was cut short: the store did not say how it goes on.`,
    'Nothing was changed. Try again; if it stays so, the provider, or a proxy before it, is at fault.',
  );
}
