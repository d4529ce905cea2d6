import { createHash, createHmac } from 'node:crypto';

/** A request as it came over the wire, signed with AWS signature version 4. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query, encoded as they were sent. */
  readonly url: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The headers with a new signature over what is in them now: conditions are signed, so a stand-in for a provider
 * that ignores or translates them has to sign anew.
 */
export function resign({ method, url, headers }: SignedRequest, secretKey: string): Record<string, string> {
  const match = AUTHORIZATION.exec(headers.authorization ?? '');
  const [, accessKey, scope = '', signedBefore = ''] = match ?? [];
  if (accessKey === undefined) return { ...headers };
  const [date = '', region = '', service = ''] = scope.split('/');
  const signed = signedBefore
    .split(';')
    .concat(CONDITIONS)
    .filter((name, index, all) => name in headers && all.indexOf(name) === index)
    .sort();
  const [path = '', query = ''] = url.split('?');
  const canonical = [
    method,
    path,
    query
      .split('&')
      .filter((part) => part !== '')
      .map((part) => (part.includes('=') ? part : `${part}=`))
      .sort()
      .join('&'),
    ...signed.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/\s+/g, ' ')}`),
    '',
    signed.join(';'),
    headers['x-amz-content-sha256'] ?? '',
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretKey}`);
  const signature = hmac(key, toSign).toString('hex');
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${signed.join(';')}, Signature=${signature}`,
  };
}

const CONDITIONS = ['if-match', 'if-none-match'];
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=[0-9a-f]+$/;

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

function sha256(data: string): string {
  return createHash('sha256').update(data).digest('hex');
}
