import { printable } from '../../credential/name.ts';
import { StoreError } from '../store.ts';
import type { S3Options } from './options.ts';

export interface Endpoint {
  /** Scheme, host, port and path, without a slash at the end. */
  readonly url: string;
  /** Host and port, for messages. */
  readonly host: string;
  /** What requests are signed for. */
  readonly region: string;
  /** Whether it is AWS itself: alone it wants a location for a new bucket. */
  readonly aws: boolean;
}

/**
 * The endpoint that the settings mean. Pure.
 *
 * @throws StoreError `configuration` if they cannot be right; it never quotes what may hold a password.
 */
export function resolveEndpoint({ endpoint, bucket, region }: S3Options): Endpoint {
  const text = endpoint.trim();
  if (!BUCKET.test(bucket)) {
    throw wrong(
      `The bucket name "${printable(bucket)}" cannot be one.`,
      'Set OBJECTSTORE_BUCKET to the name alone: 3 to 63 letters, digits, dots and hyphens.',
    );
  }
  const url = parse(text);
  if (url.username || url.password) {
    throw wrong(
      `The S3 endpoint for ${url.host} has a user name or password in it.`,
      'Put them into OBJECTSTORE_ACCESS_KEY and OBJECTSTORE_SECRET_KEY.',
    );
  }
  if (url.search || url.hash) {
    throw wrong(`The S3 endpoint for ${url.host} has a "?" or "#" in it.`, ENDPOINT_REMEDY);
  }
  if (url.hostname.startsWith(`${bucket.toLowerCase()}.`) && VIRTUAL_HOSTS.test(url.hostname)) {
    // It would work, on keys below a folder with the bucket's name, where no other program looks.
    throw wrong(
      `The S3 endpoint ${url.host} has the bucket in its host name.`,
      `Set OBJECTSTORE_ENDPOINT to ${url.host.slice(bucket.length + 1)}.`,
    );
  }
  // Dashboards show the bucket's own address (R2: https://ID.r2.cloudflarestorage.com/BUCKET).
  const path = url.pathname.replace(/\/+$/, '');
  const base = path === `/${bucket}` ? '' : path;
  const awsRegion = regionOfAwsHost(url.hostname);
  return {
    url: `${url.protocol}//${url.host}${base}`,
    host: url.host,
    region: region?.trim() || awsRegion || 'auto',
    aws: awsRegion !== undefined,
  };
}

/** The region in the host of an AWS endpoint: `s3.`, `s3-`, `s3.dualstack.`, `s3-fips.`; undefined elsewhere. */
export function regionOfAwsHost(hostname: string): string | undefined {
  const match = AWS_HOST.exec(hostname.toLowerCase());
  if (!match) return undefined;
  const region = match[1];
  // `s3-external-1` is an old name of us-east-1.
  return region === undefined || region === 'external-1' ? 'us-east-1' : region;
}

const AWS_HOST =
  /^s3(?:-fips)?(?:\.dualstack)?(?:[.-]([a-z]{2}[a-z0-9-]*-\d|external-1))?\.amazonaws\.com(?:\.cn)?$/;
const VIRTUAL_HOSTS =
  /^[^/]+?\.(s3[.-].*amazonaws\.com(\.cn)?|[a-z0-9-]+\.digitaloceanspaces\.com|.*r2\.cloudflarestorage\.com)$/;
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,221}[A-Za-z0-9]$/;
const ENDPOINT_REMEDY =
  'Set OBJECTSTORE_ENDPOINT to a host such as s3.eu-central-1.amazonaws.com, or to https://HOST:PORT.';

function parse(text: string): URL {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    throw wrong(
      `The S3 endpoint has the scheme "${scheme}", which is neither http nor https.`,
      ENDPOINT_REMEDY,
    );
  }
  let url: URL;
  try {
    url = new URL(scheme === undefined ? `https://${text}` : text);
  } catch {
    throw wrong('The S3 endpoint is no address.', ENDPOINT_REMEDY);
  }
  if (url.hostname === '') throw wrong('The S3 endpoint names no host.', ENDPOINT_REMEDY);
  return url;
}

function wrong(message: string, remedy: string): StoreError {
  return new StoreError('configuration', message, remedy);
}
