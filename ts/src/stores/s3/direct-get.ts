import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import type { Endpoint } from './endpoint.ts';

/** An answer with status 200, its body not read yet. */
export interface DirectAnswer {
  readonly body: Readable;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What the SDK's connections answer. */
interface Answer {
  readonly statusCode: number;
  readonly headers: DirectAnswer['headers'];
  readonly body?: unknown;
}

/**
 * Asks for objects with the SDK's signer and the SDK's connections, but not through its pipeline: some forty
 * middlewares and a schema take five times as long as the rest of a GET, and a new machine makes one for each
 * credential.
 *
 * @returns The answer, if it is a plain success. Anything else is undefined, for the SDK to ask again: it knows
 *   what may be retried and what an error means.
 */
export function directGet(client: S3Client, bucket: string, endpoint: Endpoint) {
  const { protocol, host, hostname, port, pathname } = new URL(endpoint.url);
  const base = `${pathname === '/' ? '' : pathname}/${bucket}/`;
  let signer: ReturnType<S3Client['config']['signer']> | undefined;
  return async (key: string, abortSignal: AbortSignal): Promise<DirectAnswer | undefined> => {
    signer ??= client.config.signer();
    const request = {
      method: 'GET',
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      path: base + key.split('/').map(encodeSegment).join('/'),
      query: {},
      headers: { host, 'user-agent': 'cliproxyapi-sync' },
    };
    try {
      const signed = await (await signer).sign(request);
      type Sendable = Parameters<typeof client.config.requestHandler.handle>[0];
      // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- the signer types what it was given by the one part it needs
      const sent = client.config.requestHandler.handle(signed as Sendable, { abortSignal });
      // eslint-disable-next-line @typescript-eslint/no-unsafe-assignment -- the SDK does not type it
      const { statusCode, headers, body }: Answer = (await sent).response;
      if (!(body instanceof Readable)) return undefined;
      if (statusCode === 200) return { body, headers };
      // Read to its end, so that the connection can be used again.
      body.on('error', () => undefined).resume();
      return undefined;
    } catch (error) {
      if (abortSignal.aborted) throw error;
      return undefined;
    }
  };
}

/** As signature version 4 wants it: more than `encodeURIComponent` encodes. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
