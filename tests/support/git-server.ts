/** Git over HTTP with Basic authentication, by the real `git http-backend`. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cleanGitEnvironment } from './git.ts';

export interface GitServer {
  /** `http://127.0.0.1:port`. */
  readonly origin: string;
  readonly username: string;
  readonly token: string;
  /** All that was asked, in order: `GET /x.git/info/refs?service=git-upload-pack 200`. */
  readonly requests: readonly string[];
  /** What to do to requests instead of answering them; undefined answers. */
  spoil(fault: (request: GitRequest) => GitFault | undefined): void;
  stop(): Promise<void>;
}

export interface GitRequest {
  readonly method: string;
  /** With the query. */
  readonly url: string;
  /** `git-upload-pack` or `git-receive-pack`. */
  readonly service: string;
  /** How many came before it. */
  readonly count: number;
}

export type GitFault =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset' }
  /** It is done, and the answer does not arrive. */
  | { readonly kind: 'lose-answer' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** 64 kB every 50 ms. */
  | { readonly kind: 'slow' };

/** Serves all repositories below a directory. */
export async function startGitServer(
  root: string,
  token = `the-t0ken-S3CR3T-${randomUUID()}`,
): Promise<GitServer> {
  const username = 'git';
  const requests: string[] = [];
  let fault: (request: GitRequest) => GitFault | undefined = () => undefined;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const service = /git-(upload|receive)-pack/.exec(url)?.[0] ?? '';
    const spoiled = fault({ method, url, service, count: requests.length });
    response.on('finish', () => requests.push(`${method} ${url} ${response.statusCode}`));
    if (spoiled?.kind === 'silence') return;
    if (spoiled?.kind === 'reset') return void request.socket.destroy();
    if (spoiled?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, spoiled.ms));
    const expected = `Basic ${Buffer.from(`${username}:${token}`).toString('base64')}`;
    if (spoiled?.kind === 'answer') {
      response.writeHead(spoiled.status, spoiled.headers).end(spoiled.body ?? '');
    } else if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end();
    } else {
      cgi(request, response, spoiled?.kind);
    }
  }

  function cgi(request: IncomingMessage, response: ServerResponse, spoiled?: GitFault['kind']): void {
    const { pathname, search } = new URL(request.url ?? '', 'http://localhost');
    const header = (name: string) => String(request.headers[name] ?? '');
    const child = spawn('git', ['http-backend'], {
      env: {
        ...cleanGitEnvironment(),
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_PROTOCOL: header('git-protocol'),
        PATH_INFO: decodeURIComponent(pathname),
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method ?? '',
        CONTENT_TYPE: header('content-type'),
        HTTP_CONTENT_ENCODING: header('content-encoding'),
        REMOTE_USER: username,
        REMOTE_ADDR: '127.0.0.1',
        ...(header('content-length') && { CONTENT_LENGTH: header('content-length') }),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.pipe(child.stdin);
    child.stdin.on('error', () => undefined);
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('close', () => {
      if (spoiled === 'lose-answer') return void request.socket.destroy();
      const output = Buffer.concat(chunks);
      const end = output.indexOf('\r\n\r\n');
      let status = 200;
      for (const line of output.subarray(0, end).toString().split('\r\n')) {
        const [name = '', value = ''] = line.split(/: (.*)/s);
        if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
        else if (name !== '') response.setHeader(name, value);
      }
      response.writeHead(status);
      const body = output.subarray(end + 4);
      if (spoiled !== 'slow') return void response.end(body);
      let at = 0;
      const timer = setInterval(() => {
        response.write(body.subarray(at, at + 65_536));
        at += 65_536;
        if (at < body.length && !response.destroyed) return;
        clearInterval(timer);
        response.end();
      }, 50);
    });
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    username,
    token,
    requests,
    spoil(next) {
      fault = next;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
