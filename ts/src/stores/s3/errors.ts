import { printable } from '../../credential/name.ts';
import { CERTIFICATE_ERRORS } from '../certificate-errors.ts';
import { StoreError } from '../store.ts';
import type { Endpoint } from './endpoint.ts';

export interface ErrorContext {
  /** What was tried, as it follows "Cannot": `list auths/`. */
  readonly doing: string;
  /** `s3://bucket at host`. */
  readonly location: string;
  readonly endpoint: Endpoint;
}

/**
 * What the SDK or Node threw, as one sentence on what failed on what, and one on what to do. Nothing of the
 * request is quoted, so no key or signature can be in it; of the answer, only names and the server's own message.
 */
export function storeErrorFrom(error: unknown, context: ErrorContext): StoreError {
  if (error instanceof StoreError) return error;
  const { kind, because, remedy } = explain(error, context);
  // The SDK's error as the cause would carry the request with its signature into any log that prints it whole.
  return new StoreError(kind, `Cannot ${context.doing} in ${context.location}: ${because}.`, remedy);
}

/** For an answer that no S3 server gives: a captive portal, a web server, a proxy's error page. */
export function notS3(location: string): StoreError {
  return new StoreError(
    'unreachable',
    `What answers for ${location} is no S3 server, or something between is in its place.`,
    'Check OBJECTSTORE_ENDPOINT, and whether this network wants a login page or a proxy first.',
  );
}

/** The HTTP status of an answer; undefined if there was none. */
export function statusOf(error: unknown): number | undefined {
  const metadata = field(error, '$metadata');
  const status = field(metadata, 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}

/** S3's code of an error, such as `NoSuchBucket`; the class of the error where the server gave none. */
export function codeOf(error: unknown): string | undefined {
  const code = field(error, 'Code') ?? field(error, 'name');
  return typeof code === 'string' ? code : undefined;
}

/** Whether it is one of these. */
export function isCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = codeOf(error);
  return code !== undefined && codes.includes(code);
}

interface Explanation {
  readonly kind: StoreError['kind'];
  /** Why, as the end of a sentence, without its full stop. */
  readonly because: string;
  readonly remedy: string;
}

/** Network time, where it is off. */
/* v8 ignore next -- the tests run on one system at a time */
const SET_CLOCK =
  process.platform === 'darwin' ? '`sudo sntp -sS time.apple.com`' : '`sudo timedatectl set-ntp true`';
const LATER = 'Nothing was lost. It is tried again at the next run.';
const KEYS = 'Check OBJECTSTORE_ACCESS_KEY and OBJECTSTORE_SECRET_KEY against what the provider shows.';

function explain(error: unknown, context: ErrorContext): Explanation {
  return explainConnection(error, context) ?? explainCode(error, context) ?? explainStatus(error, context);
}

/** Failures before there was an answer. */
function explainConnection(error: unknown, { endpoint }: ErrorContext): Explanation | undefined {
  const { host } = endpoint;
  const code = nodeCode(error);
  const unreachable = (because: string, remedy: string): Explanation => ({
    kind: 'unreachable',
    because,
    remedy,
  });
  // The SDK calls broken connections time-outs too, and keeps Node's code (@smithy/node-http-handler).
  const timedOut = code === undefined && isCode(error, 'TimeoutError', 'AbortError');
  if (timedOut || code === 'ETIMEDOUT') {
    return unreachable(
      `${host} did not answer in time`,
      `Check the network and OBJECTSTORE_ENDPOINT. ${LATER}`,
    );
  }
  if (statusOf(error) !== undefined || code === undefined) return undefined;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return unreachable(
      `the host name ${host} is not known (DNS)`,
      `Check the network and OBJECTSTORE_ENDPOINT. ${LATER}`,
    );
  }
  if (code === 'ECONNREFUSED') {
    return unreachable(
      `nothing listens at ${host} (connection refused)`,
      `Check that the server runs, and the port in OBJECTSTORE_ENDPOINT. ${LATER}`,
    );
  }
  if (code in CERTIFICATE_ERRORS) {
    return {
      kind: 'refused',
      because: `the certificate of ${host} ${CERTIFICATE_ERRORS[code]} (${code})`,
      remedy:
        'Check OBJECTSTORE_ENDPOINT and the clock. For a certificate authority of your own, name its certificate ' +
        'in NODE_EXTRA_CA_CERTS.',
    };
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) {
    return {
      kind: 'configuration',
      because: `${host} does not speak TLS`,
      remedy: `If the server really has no TLS, set OBJECTSTORE_ENDPOINT to http://${host}.`,
    };
  }
  if (code.startsWith('HPE_')) {
    return unreachable(
      `${host} does not speak HTTP`,
      `Check the port and the scheme in OBJECTSTORE_ENDPOINT.`,
    );
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return unreachable(`${host} broke the connection (${code})`, `Check the network. ${LATER}`);
  }
  return unreachable(`the connection to ${host} failed (${code})`, `Check the network. ${LATER}`);
}

/** Answers with one of S3's codes. */
function explainCode(error: unknown, context: ErrorContext): Explanation | undefined {
  const { endpoint, location } = context;
  const refused = (because: string, remedy: string): Explanation => ({ kind: 'refused', because, remedy });
  switch (codeOf(error)) {
    case 'InvalidAccessKeyId':
    case 'UnrecognizedClientException':
      return refused('the access key is not known there', KEYS);
    case 'SignatureDoesNotMatch':
    case 'InvalidSignature':
    case 'InvalidSignatureException':
      return refused('the signature is wrong, so the secret key most likely is', KEYS);
    case 'ExpiredToken':
    case 'TokenRefreshRequired':
    case 'InvalidToken':
      return refused('the access key has expired', `Make a new one. ${KEYS}`);
    case 'AccessDenied':
    case 'AllAccessDisabled':
    case 'AccountProblem':
      return refused(
        `the access key has no right to do so${serverMessage(error)}`,
        'Give it the rights to list, read, write and remove objects in this bucket (and to make it, if it is missing).',
      );
    case 'InvalidObjectState':
      return refused('the object is in an archive', 'Restore it from the archive, or remove it.');
    case 'RequestTimeTooSkewed':
    case 'RequestExpired':
    case 'RequestInTheFuture':
      return refused(
        `the clock of this machine is ${skew(error)} that of the server`,
        `Set the clock: ${SET_CLOCK}; then run again.`,
      );
    case 'NoSuchBucket':
      return refused(
        'there is no such bucket',
        'Check OBJECTSTORE_BUCKET; `sync` makes the bucket if the key may.',
      );
    case 'InvalidBucketName':
      return {
        kind: 'configuration',
        because: 'the bucket name is not allowed',
        remedy: 'Set another OBJECTSTORE_BUCKET.',
      };
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
    case 'AuthorizationHeaderMalformed':
    case 'IllegalLocationConstraintException':
    case 'InvalidRegionName':
    case 'InvalidLocationConstraint':
      return wrongRegion(error, endpoint);
    case 'SlowDown':
    case 'TooManyRequests':
    case 'Throttling':
    case 'ThrottlingException':
    case 'RequestLimitExceeded':
      return { kind: 'unreachable', because: 'the server asks to slow down', remedy: LATER };
    case 'QuotaExceeded':
    case 'XMinioStorageFull':
    case 'XMinioAdminBucketQuotaExceeded':
    case 'InsufficientCapacity':
      return refused('there is no more room', `Make room in ${location}, or raise its quota.`);
    default:
      return undefined;
  }
}

/** Answers that have nothing but a status to go by: HEAD, and what is no XML. */
function explainStatus(error: unknown, { endpoint }: ErrorContext): Explanation {
  const status = statusOf(error);
  const code = codeOf(error);
  const said = `status ${status}${code ? `, ${printable(code)}` : ''}${serverMessage(error)}`;
  if (status === undefined || (status >= 200 && status < 300)) {
    return {
      kind: 'unreachable',
      because: `what ${endpoint.host} answers is not what an S3 server would`,
      remedy: 'Check OBJECTSTORE_ENDPOINT, and whether this network wants a login page or a proxy first.',
    };
  }
  if (status === 301 || status === 307 || status === 308) return wrongRegion(error, endpoint);
  if (status === 507)
    return { kind: 'refused', because: 'there is no more room', remedy: 'Make room there.' };
  if (status === 429) return { kind: 'unreachable', because: 'the server asks to slow down', remedy: LATER };
  if (status >= 500) return { kind: 'unreachable', because: `the server failed (${said})`, remedy: LATER };
  if (status === 401 || status === 403) {
    return {
      kind: 'refused',
      because: `the server denies it (${said})`,
      remedy: `${KEYS} Check the key's rights on the bucket.`,
    };
  }
  return {
    kind: 'refused',
    because: `the server refuses it (${said})`,
    remedy:
      'Check OBJECTSTORE_ENDPOINT, OBJECTSTORE_BUCKET and OBJECTSTORE_REGION against what the provider shows.',
  };
}

function wrongRegion(error: unknown, { region, host }: Endpoint): Explanation {
  const right = field(error, 'Region') ?? header(error, 'x-amz-bucket-region') ?? regionInMessage(error);
  const elsewhere = field(error, 'Endpoint');
  const named = typeof right === 'string' && /^[a-z0-9-]+$/.test(right) ? right : undefined;
  return {
    kind: 'configuration',
    because: named
      ? `the bucket is in the region ${named}, not in ${region}`
      : `the bucket is not in the region ${region}, or not at ${host}`,
    remedy: named
      ? `Set OBJECTSTORE_REGION=${named}${host.endsWith('amazonaws.com') ? ` and OBJECTSTORE_ENDPOINT=s3.${named}.amazonaws.com` : ''}.`
      : `Set OBJECTSTORE_REGION and OBJECTSTORE_ENDPOINT as the provider shows them${
          typeof elsewhere === 'string' ? ` (the server names ${printable(elsewhere)})` : ''
        }.`,
  };
}

/** `The authorization header is malformed; the region 'auto' is wrong; expecting 'eu-west-1'`. */
function regionInMessage(error: unknown): string | undefined {
  return /expecting '([a-z0-9-]+)'/.exec(error instanceof Error ? error.message : '')?.[1];
}

/** How the clock here stands to the server's: `17 minutes ahead of`. */
function skew(error: unknown): string {
  const told = field(error, 'ServerTime') ?? header(error, 'date');
  const server =
    told instanceof Date ? told.getTime() : typeof told === 'string' ? Date.parse(told) : Number.NaN;
  if (Number.isNaN(server)) return 'too far from';
  const ahead = Date.now() - server;
  const minutes = Math.round(Math.abs(ahead) / 60_000);
  const amount = minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
  return `${amount} ${ahead > 0 ? 'ahead of' : 'behind'}`;
}

/** What the server itself says, in brackets, if it is a short line; never what could hold a signature. */
function serverMessage(error: unknown): string {
  if (!(error instanceof Error) || statusOf(error) === undefined) return '';
  const { message } = error;
  const useless =
    message === '' || message.length > 200 || message === 'UnknownError' || message === codeOf(error);
  return useless || /credential|signature|authorization/i.test(message) ? '' : ` ("${printable(message)}")`;
}

/** Node's code of a failed connection, also inside what the SDK wrapped or a list of attempts (IPv6, then IPv4). */
function nodeCode(error: unknown, depth = 0): string | undefined {
  const code = field(error, 'code');
  if (typeof code === 'string') return code;
  if (error instanceof AggregateError && depth < 5) return nodeCode(error.errors[0], depth + 1);
  const cause = field(error, 'cause');
  return cause !== undefined && depth < 5 ? nodeCode(cause, depth + 1) : undefined;
}

function header(error: unknown, name: string): unknown {
  return field(field(field(error, '$response'), 'headers'), name);
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value ? Reflect.get(value, name) : undefined;
}
