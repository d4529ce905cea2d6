import { SettingsError } from './settings-error.ts';

/**
 * `OBJECTSTORE_ENDPOINT` as a URL: `https` if it names no scheme, no slash at its end. Requests are path style,
 * so an endpoint that already holds the bucket's name would put everything below a folder of that name.
 *
 * @throws SettingsError. The value is in no message: people paste URLs with passwords in them.
 */
export function checkEndpoint(value: string, bucket: string): string {
  if (/[\s\u0000-\u001f\u007f\\]/.test(value))
    throw endpointError('has blanks, control characters or backslashes');
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(value)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    // A long one is no scheme but the start of something that was pasted, such as a key.
    throw endpointError(
      `has ${/^[a-z+]{1,10}$/i.test(scheme) ? `the scheme "${scheme}"` : 'a scheme that is none'}; only http and https are possible`,
    );
  }
  // `https:/host` and `https:///host` would be read as hosts of other names.
  if (/^https?:(?!\/\/[^/])/i.test(value)) throw endpointError('has no host after its scheme');
  let url: URL;
  try {
    url = new URL(scheme === undefined ? `https://${value}` : value);
  } catch {
    throw endpointError('is not a valid host or URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw endpointError(
      'has a user name or password in it',
      'Put the keys into OBJECTSTORE_ACCESS_KEY and OBJECTSTORE_SECRET_KEY.',
    );
  }
  if (value.includes('?') || value.includes('#')) throw endpointError('has a query or a fragment');
  const path = url.pathname.replace(/\/+$/, '');
  if (
    path === `/${bucket}` ||
    (url.hostname.startsWith(`${bucket}.`) && VIRTUAL_HOST.test(url.hostname.slice(bucket.length + 1)))
  ) {
    throw endpointError(
      'has the name of the bucket in it',
      'Leave the bucket out of OBJECTSTORE_ENDPOINT: OBJECTSTORE_BUCKET names it.',
    );
  }
  return `${url.protocol}//${url.host}${path}`;
}

/** What follows the bucket in the virtual-host form of the providers that have one. */
const VIRTUAL_HOST =
  /^(s3[.-].*amazonaws\.com(\.cn)?|s3\.amazonaws\.com|[a-z0-9]+\.digitaloceanspaces\.com|storage\.googleapis\.com|[0-9a-f]{32}\.([a-z]+\.)?r2\.cloudflarestorage\.com)$/;

function endpointError(problem: string, remedy?: string): SettingsError {
  return new SettingsError(
    `OBJECTSTORE_ENDPOINT ${problem}`,
    remedy ??
      "Set OBJECTSTORE_ENDPOINT to the provider's host, such as s3.eu-central-1.amazonaws.com or http://localhost:9000.",
  );
}

/**
 * `OBJECTSTORE_BUCKET`, by the rule of the S3 client in CLIProxyAPI (minio-go, `CheckValidBucketName`): wider
 * than what AWS takes for new buckets, since old ones and other providers have capitals and underscores.
 */
export function checkBucket(value: string): string {
  const problem =
    value.length < 3 || value.length > 63
      ? `has ${value.length} characters; a bucket's name has 3 to 63`
      : !/^[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]$/.test(value)
        ? "has characters that a bucket's name cannot have"
        : /\.\.|\.-|-\./.test(value)
          ? 'has dots next to dots or hyphens'
          : /^\d+\.\d+\.\d+\.\d+$/.test(value)
            ? 'looks like an IP address'
            : undefined;
  if (problem === undefined) return value;
  throw new SettingsError(
    `OBJECTSTORE_BUCKET ${problem}`,
    'Set OBJECTSTORE_BUCKET to the name alone: lower-case letters, digits and hyphens, without s3:// and without a path.',
  );
}

/** `OBJECTSTORE_REGION`: it goes into every signature, so a stray character would read as a wrong key. */
export function checkRegion(value: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value)) return value;
  throw new SettingsError(
    'OBJECTSTORE_REGION has characters that a region cannot have',
    "Set OBJECTSTORE_REGION to the provider's name for it, such as eu-central-1, or remove it.",
  );
}

/**
 * The region that an AWS endpoint names: `s3.eu-west-1.amazonaws.com`, its dual-stack, FIPS and China forms; the
 * global `s3.amazonaws.com` is us-east-1 (AWS General Reference, "Amazon S3 endpoints"). Undefined for others.
 */
export function regionOf(endpoint: string): string | undefined {
  const { hostname } = new URL(endpoint);
  const labels = /^(.*)\.amazonaws\.com(?:\.cn)?$/.exec(hostname)?.[1];
  if (labels === undefined) return undefined;
  return REGION.exec(labels)?.[0] ?? 'us-east-1';
}

const REGION = /(?<=[.-])[a-z]{2,3}(?:-[a-z]+)+-\d+$/;
