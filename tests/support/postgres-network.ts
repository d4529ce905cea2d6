import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';

/**
 * What stands between a client and a PostgreSQL server: counts round trips, cuts connections, and has TLS, which the
 * server of the tests has not.
 */
export interface PostgresNetwork {
  /** On `localhost`. */
  readonly port: number;
  /** What was asked since the start or the last `forget`: one letter of the protocol for each round trip. */
  readonly asked: readonly string[];
  /** The parameters that clients gave when they connected. */
  readonly startups: readonly Readonly<Record<string, string>>[];
  /** Whether the last client came with TLS. */
  encrypted(): boolean;
  forget(): void;
  /** From now on. The rule may count and remember; it is asked for each statement. */
  spoil(rule: (text: string) => Fault | undefined): void;
  /** Breaks all connections that there are. */
  cut(): void;
  stop(): Promise<void>;
}

export type Fault =
  /** The connection breaks before the statement arrives. */
  | 'lost'
  /** The statement arrives and is carried out, and the connection breaks before its answer does. */
  | 'lost-answer'
  /** The connection breaks as soon as the statement has arrived: the server goes on with it, and nobody waits. */
  | 'lost-midway'
  /** Nothing comes back, ever. */
  | 'silence'
  /** The server's error with this SQLSTATE, and the statement does not arrive. */
  | { readonly error: string };

export interface NetworkOptions {
  /** Files of a certificate and its key. Without: `N` to whoever asks for TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Answers every connection with this error instead of asking the server. */
  readonly refuse?: { readonly code: string; readonly message: string };
  /** As a pooler that takes no parameters but these when a client connects. */
  readonly startupParameters?: readonly string[];
}

const SSL_REQUEST = 80877103;
const TLS_HANDSHAKE = 0x16;

export async function startPostgresNetwork(
  upstream: number,
  options: NetworkOptions = {},
): Promise<PostgresNetwork> {
  const tls = options.tls && {
    cert: await readFile(options.tls.certificate),
    key: await readFile(options.tls.key),
  };
  const sockets = new Set<Socket>();
  const asked: string[] = [];
  const startups: Record<string, string>[] = [];
  let rule: (text: string) => Fault | undefined = () => undefined;
  let encrypted = false;

  function track<T extends Socket>(socket: T): T {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    return socket;
  }

  /** A client, after TLS was settled. */
  function serve(client: Socket): void {
    encrypted = client instanceof TLSSocket;
    const server = track(connect(upstream, 'localhost'));
    let rest = Buffer.alloc(0);
    let started = false;
    /** The text of the statement whose `Sync` is still to come. */
    let text = '';
    /** What belongs to it, until it is known what becomes of it. */
    let held: Buffer[] = [];
    let muted = false;
    client.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const header = started ? 1 : 0;
        if (rest.length < header + 4) return;
        const length = header + rest.readInt32BE(header);
        if (rest.length < length) return;
        const message = rest.subarray(0, length);
        rest = rest.subarray(length);
        if (!started) {
          started = true;
          const parameters = startupOf(message);
          startups.push(parameters);
          const unknown = Object.keys(parameters).find(
            (name) => options.startupParameters && !options.startupParameters.includes(name),
          );
          const error = unknown
            ? { code: '08P01', message: `unsupported startup parameter: ${unknown}` }
            : options.refuse;
          if (error) {
            client.end(errorResponse(error));
            server.destroy();
            return;
          }
          server.write(message);
          continue;
        }
        const type = String.fromCharCode(message[0] ?? 0);
        if (type === 'P' || type === 'Q') text = message.toString('utf8', 5);
        if (type === 'S' || type === 'Q') {
          asked.push(type);
          const fault = rule(text);
          if (typeof fault === 'object') {
            held = [];
            client.write(statementError(fault.error));
            continue;
          }
          if (fault === 'lost') {
            client.destroy();
            server.destroy();
            return;
          }
          if (fault === 'lost-midway') {
            client.removeAllListeners('close');
            client.destroy();
            server.end(Buffer.concat([...held, message]));
            return;
          }
          if (fault !== undefined) muted = true;
          // An answer, so it is done.
          if (fault === 'lost-answer') server.once('data', () => client.destroy());
          server.write(Buffer.concat([...held, message]));
          held = [];
        } else if ('PBDECF'.includes(type)) held.push(message);
        else server.write(message);
      }
    });
    server.on('data', (chunk) => {
      if (!muted) client.write(chunk);
    });
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
  }

  const listener = createServer((socket) => {
    track(socket).once('data', (first: Buffer) => {
      // TLS without asking for it first (`sslnegotiation=direct`).
      if (tls && first[0] === TLS_HANDSHAKE) {
        socket.pause();
        socket.unshift(first);
        serve(track(new TLSSocket(socket, { isServer: true, ALPNProtocols: ['postgresql'], ...tls })));
        return;
      }
      if (first.length !== 8 || first.readInt32BE(4) !== SSL_REQUEST) {
        socket.pause();
        socket.unshift(first);
        serve(socket);
        socket.resume();
        return;
      }
      socket.write(tls ? 'S' : 'N');
      serve(tls ? track(new TLSSocket(socket, { isServer: true, ...tls })) : socket);
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, 'localhost', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (listener.address() as AddressInfo).port,
    asked,
    startups,
    encrypted: () => encrypted,
    forget() {
      asked.length = 0;
    },
    spoil(next) {
      rule = next;
    },
    cut,
    async stop() {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

function startupOf(message: Buffer): Record<string, string> {
  const words = message.toString('utf8', 8).split('\0');
  const parameters: Record<string, string> = {};
  for (let index = 0; words[index]; index += 2) parameters[words[index] ?? ''] = words[index + 1] ?? '';
  return parameters;
}

/** An error, and that the server is ready for the next statement. */
function statementError(code: string): Buffer {
  const body = Buffer.from(`SERROR\0VERROR\0C${code}\0Minjected failure\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body, Buffer.from('Z\0\0\0\u0005I')]);
}

function errorResponse({ code, message }: { readonly code: string; readonly message: string }): Buffer {
  const body = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** An authority, and a certificate by it for `localhost`, which is not for `127.0.0.1`; made by `openssl`. */
export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  /** Of another authority. */
  readonly otherCa: string;
  remove(): Promise<void>;
}

export async function makeCertificates(): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), 'certificates-'));
  const file = (name: string) => join(directory, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: directory });
  for (const ca of ['ca', 'other']) {
    const subject = ['-days', '30', '-subj', `/CN=Test authority ${ca}`];
    await openssl('req', '-x509', ...key, ...subject, '-keyout', `${ca}.key`, '-out', `${ca}.crt`);
  }
  await openssl('req', ...key, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr');
  await writeFile(file('server.ext'), 'subjectAltName=DNS:localhost\n');
  const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'server.ext'];
  await openssl('x509', '-req', '-days', '30', '-in', 'server.csr', ...signing, '-out', 'server.crt');
  return {
    ca: file('ca.crt'),
    certificate: file('server.crt'),
    key: file('server.key'),
    otherCa: file('other.crt'),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
