import { userInfo } from 'node:os';
import { dsnError, parseDsn } from './postgres-dsn.ts';

/** Where a PostgreSQL server is and how to get in: `PGSTORE_DSN` understood. Holds secrets: never printed. */
export interface PostgresTarget {
  /** Tried in this order. */
  readonly hosts: readonly [PostgresHost, ...PostgresHost[]];
  readonly user: string;
  /** Absent: what the password file has, or none. */
  readonly password?: string;
  /** Default `~/.pgpass`. */
  readonly passfile?: string;
  readonly database: string;
  readonly tls: PostgresTls;
  readonly channelBinding: boolean;
  readonly sessionAttributes: SessionAttributes;
  /** Seconds for each host. */
  readonly connectTimeout?: number;
  readonly applicationName?: string;
  /** `options`, and every parameter that is not libpq's, which CLIProxyAPI's driver hands to the server too. */
  readonly options?: string;
}

export interface PostgresHost {
  /** A name or an address; the directory of a unix socket, with a slash in front; or empty: libpq's default. */
  readonly host: string;
  /** `hostaddr`: where to connect, in the place of a look-up of `host`. */
  readonly address?: string;
  readonly port: number;
}

export interface PostgresTls {
  /** With libpq's meaning; a unix socket never has TLS. */
  readonly mode: SslMode;
  /** A file, or `system`. Default `~/.postgresql/root.crt`, if it is there. */
  readonly rootCertificate?: string;
  /** Default `~/.postgresql/postgresql.crt` and `.key`, if they are there. */
  readonly certificate?: string;
  readonly key?: string;
  readonly keyPassword?: string;
  readonly direct: boolean;
}

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

const SESSION_ATTRIBUTES = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const;
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

/**
 * Understands `PGSTORE_DSN`. What it does not say is taken from libpq's own variables (`PGHOST`, `PGPASSWORD`,
 * `PGPASSFILE`, `PGSSLMODE` ...), as CLIProxyAPI's driver does, and then from libpq's defaults. A connection service
 * file is not read.
 *
 * @param variable Gives one of libpq's variables.
 * @throws SettingsError, without any part of the value.
 */
export function postgresTarget(dsn: string, variable: (name: string) => string | undefined): PostgresTarget {
  const given = parseDsn(dsn);
  const get = (name: string): string | undefined => {
    const value = given.get(name);
    if (value !== undefined && value !== '') return value;
    const fallback = VARIABLES[name];
    return fallback === undefined ? undefined : variable(fallback);
  };
  if (get('service') !== undefined) {
    throw dsnError('names a service', 'Write the parameters of the service into PGSTORE_DSN themselves.');
  }
  const user = get('user') ?? systemUser();
  const optional = {
    password: get('password'),
    passfile: get('passfile'),
    connectTimeout: seconds(get('connect_timeout')),
    applicationName: get('application_name') ?? get('fallback_application_name'),
    options: [get('options'), ...serverSettings(given)].filter(Boolean).join(' ') || undefined,
  };
  return {
    hosts: hostsOf(get),
    user,
    database: get('dbname') ?? user,
    tls: tlsOf(get),
    channelBinding: get('channel_binding') === 'require',
    sessionAttributes: oneOf(
      'target_session_attrs',
      get('target_session_attrs') ?? 'any',
      SESSION_ATTRIBUTES,
    ),
    ...definedOf(optional),
  };
}

/** Where it is, for people: a URI without the password. */
export function describeTarget({ hosts, user, database }: PostgresTarget): string {
  return `postgres://${encodeURIComponent(user)}@${addressOf(hosts, database)}`;
}

/** Which database it is, whoever asks: a name for what a host remembers of it. */
export function addressOf(hosts: PostgresTarget['hosts'], database: string): string {
  const named = hosts.filter((host) => !isSocket(host));
  const sockets = hosts.filter((host) => isSocket(host) && host.host !== '').map(({ host }) => host);
  const authority = named.map(({ host, address, port }) => `${bracketed(host || (address ?? ''))}:${port}`);
  const query = sockets.length > 0 ? `?host=${sockets.join(',')}` : '';
  return `${authority.join(',')}/${encodeURIComponent(database)}${query}`;
}

/** Whether this is a unix socket, a default one included. */
export function isSocket({ host, address }: Pick<PostgresHost, 'host' | 'address'>): boolean {
  return address === undefined && (host === '' || host.startsWith('/'));
}

const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  dbname: 'PGDATABASE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslnegotiation: 'PGSSLNEGOTIATION',
  channel_binding: 'PGCHANNELBINDING',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  application_name: 'PGAPPNAME',
  options: 'PGOPTIONS',
};

/** Of libpq's other parameters and of CLIProxyAPI's driver's own: without effect here, and not for the server. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  ...[
    'fallback_application_name',
    'client_encoding',
    'replication',
    'requirepeer',
    'require_auth',
    'sslpassword',
  ],
  ...[
    'sslcompression',
    'sslcrl',
    'sslcrldir',
    'sslsni',
    'sslcertmode',
    'sslkeylogfile',
    'load_balance_hosts',
  ],
  ...['ssl_min_protocol_version', 'ssl_max_protocol_version', 'min_protocol_version', 'max_protocol_version'],
  ...['keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout'],
  ...['gssencmode', 'gsslib', 'gssdelegation', 'krbsrvname', 'krbspn', 'servicefile', 'service'],
  ...['default_query_exec_mode', 'statement_cache_capacity', 'description_cache_capacity', 'sslinline'],
  ...['min_read_buffer_size', 'uselibpqcompat'],
]);

/** As `options` has them: a blank or backslash within a value is escaped. */
function serverSettings(given: ReadonlyMap<string, string>): string[] {
  return [...given]
    .filter(([name]) => !(name in VARIABLES) && !WITHOUT_EFFECT.has(name))
    .map(([name, value]) => {
      if (!/^[A-Za-z_][\w.]*$/.test(name)) throw dsnError('has a parameter whose name cannot be one');
      return `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`;
    });
}

type Get = (name: string) => string | undefined;

function hostsOf(get: Get): PostgresTarget['hosts'] {
  const names = (get('host') ?? '').split(',').map((name) => name.trim());
  const addresses = get('hostaddr')
    ?.split(',')
    .map((address) => address.trim());
  const ports = (get('port') ?? '').split(',').map((port) => port.trim());
  const count = Math.max(names.length, addresses?.length ?? 0);
  if ((addresses && names.length > 1 && names.length !== count) || (addresses && addresses.length !== count))
    throw dsnError('has another number of hosts than of addresses in hostaddr');
  if (ports.length !== 1 && ports.length !== count)
    throw dsnError('has another number of ports than of hosts');
  const hosts = Array.from({ length: count }, (_, index): PostgresHost => {
    const host = names[index] ?? '';
    const address = addresses?.[index];
    if (!HOST.test(host) || (address !== undefined && !/^[0-9A-Fa-f:.%]+$/.test(address)))
      throw dsnError('has a host that cannot be one');
    return {
      host,
      ...(address !== undefined && { address }),
      port: portOf((ports.length === 1 ? ports[0] : ports[index]) ?? ''),
    };
  });
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- a text split at commas has at least one part
  return hosts as [PostgresHost, ...PostgresHost[]];
}

/** The directory of a socket, or a name (letters of any script) or address. */
const HOST = /^(\/.*|[\p{L}\p{N}._:%-]*)$/u;

function portOf(text: string): number {
  if (text === '') return 5432;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw dsnError('has a port that is no number between 1 and 65535');
  return port;
}

function tlsOf(get: Get): PostgresTls {
  const rootCertificate = get('sslrootcert');
  const given = get('sslmode');
  const mode = oneOf(
    'sslmode',
    given ?? (rootCertificate === 'system' ? 'verify-full' : 'prefer'),
    SSL_MODES,
  );
  if (rootCertificate === 'system' && mode !== 'verify-full')
    throw dsnError('has sslrootcert=system with a weak sslmode', 'Set sslmode=verify-full.');
  const direct =
    oneOf('sslnegotiation', get('sslnegotiation') ?? 'postgres', ['postgres', 'direct']) === 'direct';
  if (direct && SSL_MODES.indexOf(mode) < SSL_MODES.indexOf('require'))
    throw dsnError('has sslnegotiation=direct with a weak sslmode', 'Set sslmode=require or higher.');
  const certificate = get('sslcert');
  const key = get('sslkey');
  const keyPassword = get('sslpassword');
  return { mode, direct, ...definedOf({ rootCertificate, certificate, key, keyPassword }) };
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined)
    throw dsnError(`has a ${name} that is none`, `Set ${name} to one of ${allowed.join(', ')}.`);
  return found;
}

function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,9}$/.test(text)) throw dsnError('has a connect_timeout that is no number of seconds');
  const value = Number(text);
  // libpq: zero and less is no limit, which a program that others wait for must have; 1 is too little for DNS.
  return value <= 0 ? undefined : Math.max(value, 2);
}

function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    throw dsnError('names no user, and this system has no name for the one that runs this program');
  }
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function definedOf<T extends Record<string, unknown>>(values: T) {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- `Object.entries` forgets the keys
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
