import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Endpoint } from './endpoint.ts';
import type { S3Options, S3Timeouts } from './options.ts';

/** How many requests run at once: sockets too, so that no request's time runs out while it waits for one. */
export const MAX_PARALLEL = 32;

/** Attempts of one request, the first included. */
export const MAX_ATTEMPTS = 3;

export const DEFAULT_TIMEOUTS: S3Timeouts = { connect: 5_000, idle: 10_000, overall: 30_000 };

/**
 * The SDK's client for these settings. Everything that it would otherwise look up by itself, in files, in the
 * environment or over the network, is given here: settings come from one place, and starting costs no time.
 */
export function s3Client(options: S3Options, endpoint: Endpoint, timeouts: S3Timeouts): S3Client {
  const config: S3ClientConfig = {
    endpoint: endpoint.url,
    forcePathStyle: true,
    region: endpoint.region,
    credentials: { accessKeyId: options.accessKey, secretAccessKey: options.secretKey },
    requestHandler: new NodeHttpHandler({
      connectionTimeout: timeouts.connect,
      requestTimeout: timeouts.idle,
      throwOnRequestTimeout: true,
      socketTimeout: timeouts.idle,
      httpAgent: { keepAlive: true, maxSockets: MAX_PARALLEL },
      httpsAgent: { keepAlive: true, maxSockets: MAX_PARALLEL },
    }),
    // R2, GCS, Ceph, MinIO and SeaweedFS know no trailing checksums, or only some of them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    retryMode: 'standard',
    maxAttempts: MAX_ATTEMPTS,
    // A clock that is wrong also misdates refreshes: it is for a person to mend, not to be hidden.
    disableClockSkewCorrection: true,
    // Waiting for a "100 Continue" costs a round trip, and proxies swallow it.
    expectContinueHeader: false,
    followRegionRedirects: false,
    defaultsMode: 'standard',
    authSchemePreference: ['sigv4'],
    disableS3ExpressSessionAuth: true,
    sigv4aSigningRegionSet: [endpoint.region],
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    userAgentAppId: async () => undefined,
    defaultUserAgentProvider: async () => [['cliproxyapi-sync']],
  };
  return withoutVersionWarning(() => new S3Client(config));
}

/**
 * On Node 20 the SDK tells users once, at the first client, to update Node, unless this variable is set. It is
 * put back at once: the environment is handed on to other programs.
 */
function withoutVersionWarning<T>(make: () => T): T {
  const before = process.env[QUIET];
  process.env[QUIET] = 'true';
  try {
    return make();
  } finally {
    if (before === undefined) delete process.env[QUIET];
    else process.env[QUIET] = before;
  }
}

const QUIET = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';
