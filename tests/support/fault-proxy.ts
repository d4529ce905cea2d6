import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { resign } from './resign.ts';

/**
 * A stand-in for the network and for other providers, in front of a real S3 server: counts requests, and spoils
 * those that a rule picks. What it does not touch it hands on as it came, `Host` included, which is signed.
 */
export interface FaultProxy {
  /** `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  /** What came since the start or the last `forget`, in order. */
  readonly requests: readonly S3Request[];
  /** How many of each kind; kinds that did not come are left out. */
  counts(): Partial<Record<RequestKind, number>>;
  forget(): void;
  /** From now on. The rule may count and remember. */
  spoil(rule: (request: S3Request) => Fault | undefined): void;
  stop(): Promise<void>;
}

export type RequestKind = 'LIST' | 'GET' | 'HEAD' | 'PUT' | 'COPY' | 'DELETE' | 'BUCKET';

export interface S3Request {
  readonly kind: RequestKind;
  readonly bucket: string;
  /** Decoded; for LIST the prefix. */
  readonly key: string;
  readonly query: Readonly<Record<string, string>>;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the request has a condition. */
  readonly conditional: boolean;
  /** As text. */
  readonly body: string;
}

export type Fault =
  /** An S3 error (or any status) instead of asking the server. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly code?: string;
      readonly extra?: string;
      readonly headers?: Record<string, string>;
    }
  /** Any body with status 200 (or another), instead of asking the server. */
  | {
      readonly kind: 'body';
      readonly body: string;
      readonly status?: number;
      readonly type?: string;
      readonly headers?: Record<string, string>;
    }
  /** Closes the connection at once. */
  | { readonly kind: 'reset' }
  /** Never answers. */
  | { readonly kind: 'silence' }
  /** The server's answer, ended after half its body. */
  | { readonly kind: 'half' }
  /** The server's answer, a byte at a time. Milliseconds. */
  | { readonly kind: 'drip'; readonly every: number }
  /** The request arrives, and its answer is lost. */
  | { readonly kind: 'lost-answer' }
  /** Holds the request back. Milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** A provider that ignores conditions. */
  | { readonly kind: 'ignore-conditions' }
  /** DigitalOcean Spaces: If-Match holds only without quotes. */
  | { readonly kind: 'unquoted' }
  /** Google Cloud Storage: conditions are ignored, but for one on its own generation numbers. */
  | { readonly kind: 'generations' };

export async function startFaultProxy(upstream: string, secretKey: string): Promise<FaultProxy> {
  const target = new URL(upstream);
  const agent = new Agent({ keepAlive: true });
  const requests: S3Request[] = [];
  const generations = generationBook();
  let rule: (request: S3Request) => Fault | undefined = () => undefined;

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const request = describeRequest(incoming, body.toString());
    requests.push(request);
    const fault = rule(request);
    const headers: Record<string, string> = { ...request.headers };

    switch (fault?.kind) {
      case 'answer': {
        const { status, code = 'InternalError', extra = '' } = fault;
        const xml = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message>${extra}</Error>`;
        outgoing.writeHead(status, { 'content-type': 'application/xml', ...fault.headers });
        outgoing.end(request.kind === 'HEAD' ? undefined : xml);
        return;
      }
      case 'body':
        outgoing.writeHead(fault.status ?? 200, {
          'content-type': fault.type ?? 'text/html',
          ...fault.headers,
        });
        outgoing.end(fault.body);
        return;
      case 'reset':
        incoming.socket.resetAndDestroy();
        return;
      case 'silence':
        return;
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, fault.ms));
        break;
      case 'ignore-conditions':
        dropConditions(headers);
        break;
      case 'unquoted': {
        const match = headers['if-match'];
        if (match?.startsWith('"')) headers['if-match'] = '"never"';
        else if (match !== undefined) headers['if-match'] = `"${match}"`;
        break;
      }
      case 'generations': {
        const wanted = headers['x-goog-if-generation-match'];
        dropConditions(headers);
        delete headers['x-goog-if-generation-match'];
        if (wanted === '0') headers['if-none-match'] = '*';
        else if (wanted !== undefined) headers['if-match'] = `"${generations.etag(wanted) ?? 'never'}"`;
        break;
      }
      // What is done to the answer, below.
      case 'half':
      case 'lost-answer':
      case 'drip':
      case undefined:
    }

    const { url = '/', method = 'GET' } = incoming;
    const changed = Object.keys({ ...headers, ...request.headers }).some(
      (name) => headers[name] !== request.headers[name],
    );
    const sent = changed ? resign({ method, url, headers }, secretKey) : headers;
    await new Promise<void>((resolve, reject) => {
      const onward = httpRequest(
        { host: target.hostname, port: target.port, path: url, method, headers: sent, agent },
        (answer) => {
          collect(answer)
            .then((answerBody) => {
              const answerHeaders = { ...answer.headers };
              if (fault?.kind === 'generations' && answer.headers.etag) {
                answerHeaders['x-goog-generation'] = generations.number(answer.headers.etag);
              }
              return respond(outgoing, fault, answer.statusCode ?? 502, answerHeaders, answerBody);
            })
            .then(resolve, reject);
        },
      );
      onward.on('error', reject);
      onward.end(body);
    });
  }

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    counts() {
      const counts: Partial<Record<RequestKind, number>> = {};
      for (const { kind } of requests) counts[kind] = (counts[kind] ?? 0) + 1;
      return counts;
    },
    forget() {
      requests.length = 0;
    },
    spoil(next) {
      rule = next;
    },
    async stop() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function respond(
  outgoing: ServerResponse,
  fault: Fault | undefined,
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: Buffer,
): Promise<void> {
  if (fault?.kind === 'lost-answer') {
    outgoing.socket?.resetAndDestroy();
    return;
  }
  const whole =
    'content-length' in headers || status === 204
      ? headers
      : { ...headers, 'content-length': String(body.length) };
  delete whole['transfer-encoding'];
  outgoing.writeHead(status, whole as Record<string, string>);
  if (fault?.kind === 'half' && body.length > 0) {
    outgoing.write(body.subarray(0, Math.floor(body.length / 2)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    outgoing.destroy();
    return;
  }
  if (fault?.kind === 'drip') {
    for (const byte of body) {
      if (outgoing.destroyed) return;
      outgoing.write(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, fault.every));
    }
    outgoing.end();
    return;
  }
  outgoing.end(body);
}

function describeRequest(incoming: IncomingMessage, body: string): S3Request {
  const url = incoming.url ?? '/';
  const [path = '', query = ''] = url.split('?');
  const parameters = new URLSearchParams(query);
  const [, bucket = '', ...rest] = path.split('/');
  const key = decodeURIComponent(rest.join('/'));
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) headers[name] = String(value);
  return {
    kind: kindOf(incoming.method ?? 'GET', key, parameters, headers),
    bucket,
    key: parameters.has('list-type') ? (parameters.get('prefix') ?? '') : key,
    query: Object.fromEntries(parameters),
    headers,
    conditional: ['if-match', 'if-none-match', 'x-goog-if-generation-match'].some((name) => name in headers),
    body,
  };
}

function kindOf(
  method: string,
  key: string,
  parameters: URLSearchParams,
  headers: Readonly<Record<string, string>>,
): RequestKind {
  if (parameters.has('list-type')) return 'LIST';
  if (key === '') return 'BUCKET';
  if (method === 'PUT') return 'x-amz-copy-source' in headers ? 'COPY' : 'PUT';
  return method === 'HEAD' ? 'HEAD' : method === 'DELETE' ? 'DELETE' : 'GET';
}

function dropConditions(headers: Record<string, string>): void {
  delete headers['if-match'];
  delete headers['if-none-match'];
}

/** Numbers for contents, and back. */
function generationBook() {
  const etags = new Map<string, string>();
  return {
    number(etag: string): string {
      const plain = etag.replaceAll('"', '');
      const number = BigInt(`0x${plain.slice(0, 12)}`).toString();
      etags.set(number, plain);
      return number;
    },
    etag: (number: string) => etags.get(number),
  };
}

async function collect(message: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks);
}
