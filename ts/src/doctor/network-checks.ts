import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { errorCode } from '../files/atomic-write.ts';
import type { StoreSettings } from '../settings/store-settings.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

interface Target {
  readonly host: string;
  readonly port: number;
  /** `own`: what the store's protocol does by itself. */
  readonly tls: 'from-start' | 'own' | 'none';
}

/** Milliseconds for each step. */
const TIMEOUT_MS = 8_000;
/** A certificate that ends sooner is worth a word. */
const SOON_MS = 14 * 24 * 3600_000;

/** The way to the store's server: its name, its port, its certificate. */
export function networkChecks({ settings, problem }: DoctorContext): readonly Check[] {
  const target = settings && !problem ? targetOf(settings.store) : undefined;
  const check = (
    id: string,
    title: string,
    look: (target: Target) => Promise<Finding>,
    after: readonly string[] = [],
  ): Check => ({
    id,
    title,
    after,
    look: async () =>
      target
        ? look(target)
        : { status: 'skipped', message: 'there is no server whose address is known here' },
  });
  return [
    check('dns', 'host name', lookUp),
    check('tcp', 'connection', reach, ['dns']),
    check('tls', 'certificate', shakeHands, ['tcp']),
  ];
}

/** Where the server is; undefined where there is none, or only the store's own program can tell. */
function targetOf(store: StoreSettings): Target | undefined {
  switch (store.kind) {
    case 'directory':
      return undefined;
    case 'postgres': {
      const { address, ...first } = store.target.hosts[0];
      const host = address ?? first.host;
      // A unix socket. The driver says more of its TLS than a look from outside.
      return host === '' || host.startsWith('/') ? undefined : { host, port: first.port, tls: 'own' };
    }
    case 's3':
      return urlTarget(store.endpoint);
    case 'git':
      return urlTarget(store.url);
  }
}

function urlTarget(text: string): Target | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port } = new URL(text);
  const known = protocol in PORTS ? PORTS[protocol] : undefined;
  if (hostname === '' || known === undefined) return undefined;
  const tls = protocol === 'https:' ? 'from-start' : protocol === 'ssh:' ? 'own' : 'none';
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? known : Number(port), tls };
}

const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443, 'git:': 9418, 'ssh:': 22 };

async function lookUp({ host }: Target): Promise<Finding> {
  if (isIP(host)) return { status: 'ok', message: `${host} is an address` };
  try {
    const found = await within(lookup(host, { all: true }));
    return { status: 'ok', message: `${host} is ${found.map(({ address }) => address).join(', ')}` };
  } catch (error) {
    const message = `the host name ${host} is not known (${errorCode(error) ?? 'no answer'})`;
    return { status: 'failed', because: 'unreachable', message, remedy: `nslookup ${host}` };
  }
}

async function reach({ host, port }: Target): Promise<Finding> {
  const from = performance.now();
  const socket = connect({ host, port });
  try {
    await within(new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject)));
    return {
      status: 'ok',
      message: `${host}:${port} takes connections (${Math.round(performance.now() - from)} ms)`,
    };
  } catch (error) {
    const message = `${host}:${port} cannot be connected to (${errorCode(error) ?? 'no answer'})`;
    return { status: 'failed', because: 'unreachable', message, remedy: `nc -vz ${host} ${port}` };
  } finally {
    socket.destroy();
  }
}

async function shakeHands({ host, port, tls }: Target): Promise<Finding> {
  if (tls === 'own') return { status: 'skipped', message: "the store's own connection sees to it" };
  if (tls === 'none') {
    if (/^(localhost|127\..*|::1)$/.test(host))
      return { status: 'skipped', message: 'none is used on this machine' };
    return {
      status: 'warning',
      message: `none is used: whoever is between here and ${host} sees the logins`,
      remedy: 'Use an address that starts with https, if the server has one.',
    };
  }
  const openssl = `openssl s_client -connect ${host}:${port} -servername ${host} </dev/null`;
  const socket = connectTls({ host, port, ...(!isIP(host) && { servername: host }) });
  try {
    await within(
      new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)),
    );
    const until = Date.parse(socket.getPeerCertificate().valid_to);
    const date = new Date(until).toISOString().slice(0, 10);
    return until - Date.now() < SOON_MS
      ? { status: 'warning', message: `that of ${host} ends on ${date}`, remedy: openssl }
      : { status: 'ok', message: `that of ${host} is trusted, until ${date}` };
  } catch (error) {
    const code = errorCode(error) ?? 'no answer';
    const because = /^(E|no answer)/.test(code) ? ({ because: 'unreachable' } as const) : {};
    return {
      status: 'failed',
      ...because,
      message: `no TLS with ${host}:${port} (${code})`,
      remedy: openssl,
    };
  } finally {
    socket.destroy();
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
