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

/** What requests need to know of the endpoint that the settings checked. Pure. */
export function resolveEndpoint({ endpoint, region }: S3Options): Endpoint {
  const { host, hostname } = new URL(endpoint);
  return { url: endpoint, host, region, aws: /(^|\.)amazonaws\.com(\.cn)?$/.test(hostname) };
}
