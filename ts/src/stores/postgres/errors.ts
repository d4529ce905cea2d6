import { printable } from '../../credential/name.ts';
import { CERTIFICATE_ERRORS } from '../certificate-errors.ts';
import { StoreError } from '../store.ts';

export interface ErrorContext {
  /** What was tried, as it follows "Cannot": `list what is`. */
  readonly doing: string;
  /** `postgres://user@host:port/database, schema x`. */
  readonly location: string;
  /** The host that was last talked to. */
  readonly host: string;
  readonly user: string;
  readonly database: string;
}

/**
 * What `pg` or Node threw, as one sentence on what failed on what, and one on what to do. Of the server's answer
 * only its own message is quoted, and never where it could quote data: no token or password can be in it.
 */
export function storeErrorFrom(error: unknown, context: ErrorContext): StoreError {
  if (error instanceof StoreError) return error;
  // A mistake in this program is no fault of the network.
  if (error instanceof TypeError || error instanceof RangeError) throw error;
  const { kind, because, remedy } = explain(error, context);
  // The driver's error as the cause would carry the statement's details into any log that prints it whole.
  return new StoreError(kind, `Cannot ${context.doing} in ${context.location}: ${because}.`, remedy);
}

/** The server's code of an error (PostgreSQL's documentation, "Error Codes"); undefined if it comes from here. */
export function sqlState(error: unknown): string | undefined {
  // Node's codes look like these: EPERM.
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A table, or the schema, is not there. */
export function isMissing(error: unknown): boolean {
  return ['42P01', '3F000'].includes(sqlState(error) ?? '');
}

/** The server cannot hold this very content, as it could another's: no reason for other credentials to fail. */
export function isAboutContent(error: unknown): boolean {
  // Data exceptions, constraints, limits of the program (a name too long for an index).
  return /^(22|23|54)/.test(sqlState(error) ?? '');
}

/** Whether the connection is not to be used again. */
export function isConnectionLost(error: unknown): boolean {
  const code = sqlState(error);
  return code === undefined || /^(08|57P|XX)/.test(code) || code === '25006';
}

/** Whether the same statement may do, a moment later: a restart, a dropped connection, a deadlock. */
export function isWorthAnotherTry(error: unknown): boolean {
  const code = sqlState(error);
  if (code !== undefined) {
    // Another made the same table at that moment: 23505 on the catalogue, 42P06, 42P07, 42710 (the type that each table
    // has), XX000 "concurrently updated".
    return (
      /^(40001|40P01|57P0[123]|53300|42P06|42P07|42710|08006|08003)$/.test(code) ||
      (code === '23505' && /^pg_/.test(field(error, 'table') ?? '')) ||
      (code === 'XX000' && /concurrently/.test(messageOf(error)))
    );
  }
  return (
    ['ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'ENOENT'].includes(nodeCode(error) ?? '') ||
    /^(Connection terminated|Client has encountered|Client was closed)/.test(messageOf(error))
  );
}

interface Explanation {
  readonly kind: StoreError['kind'];
  /** Why, as the end of a sentence, without its full stop. */
  readonly because: string;
  readonly remedy: string;
}

const LATER = 'Nothing was lost. It is tried again at the next run.';

const unreachable = (because: string, remedy = LATER): Explanation => ({
  kind: 'unreachable',
  because,
  remedy,
});
const refused = (because: string, remedy: string): Explanation => ({ kind: 'refused', because, remedy });
const misconfigured = (because: string, remedy: string): Explanation => ({
  kind: 'configuration',
  because,
  remedy,
});

function explain(error: unknown, context: ErrorContext): Explanation {
  const code = sqlState(error);
  return code === undefined
    ? explainConnection(error, context)
    : (explainPooler(error, context) ?? explainState(code, error, context));
}

/** What went wrong before the server had a say, or instead of it. */
function explainConnection(error: unknown, { host }: ErrorContext): Explanation {
  const code = nodeCode(error);
  const message = messageOf(error);
  if (message === 'timeout expired' || message === 'Query read timeout' || code === 'ETIMEDOUT')
    return unreachable(`${host} did not answer in time`, `Check the network and PGSTORE_DSN. ${LATER}`);
  if (/does not support SSL/.test(message)) {
    return misconfigured(
      `${host} has no TLS, which the sslmode in PGSTORE_DSN demands`,
      'Turn TLS on in the server. On a network that nobody else can listen to, set sslmode=disable.',
    );
  }
  if (/client password must be a/.test(message)) {
    return refused(
      `${host} asks for a password, and there is none`,
      'Put it into PGSTORE_DSN (postgres://USER:PASSWORD@...), PGPASSWORD or ~/.pgpass.',
    );
  }
  if (/^SASL/.test(message)) {
    return refused(
      `${host} and this program could not agree on how to prove the password`,
      'Check the password in PGSTORE_DSN, and whether a proxy stands between that changes what is sent.',
    );
  }
  if (code === undefined) {
    return unreachable(`the connection to ${host} was lost`, `Check the network and the server. ${LATER}`);
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return unreachable(
      `the host name of ${host} is not known (DNS)`,
      `Check the network and the host in PGSTORE_DSN. ${LATER}`,
    );
  }
  if (code === 'ECONNREFUSED' || code === 'ENOENT') {
    return unreachable(
      `nothing listens at ${host} (${code === 'ENOENT' ? 'no such socket' : 'connection refused'})`,
      `Check that the server runs, and the host and port in PGSTORE_DSN. ${LATER}`,
    );
  }
  if (code in CERTIFICATE_ERRORS) {
    return refused(
      `the certificate of ${host} ${CERTIFICATE_ERRORS[code]} (${code})`,
      code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        ? 'Write the host into PGSTORE_DSN as the certificate has it, or set sslmode=verify-ca.'
        : "Name the certificate of the server's authority in PGSTORE_DSN: sslrootcert=/path/to/ca.pem.",
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return refused(`this user may not use ${host} (${code})`, 'Give it the right to, or connect over TCP.');
  }
  if (/^(EPROTO|ERR_SSL|ERR_TLS|ERR_OSSL)/.test(code)) {
    return refused(
      `TLS with ${host} failed (${code})`,
      'Check the certificate and key in PGSTORE_DSN (sslcert, sslkey), and that a PostgreSQL server is at that port.',
    );
  }
  return unreachable(`the connection to ${host} failed (${code})`, `Check the network. ${LATER}`);
}

/** What poolers answer, who have codes of their own choosing. */
function explainPooler(error: unknown, { user, database, host }: ErrorContext): Explanation | undefined {
  const message = messageOf(error);
  if (/tenant or user not found|no such user|SASL authentication failed/i.test(message)) {
    return refused(
      `the pooler at ${host} does not know the user ${printable(user)}, or its password is wrong`,
      'Check user and password in PGSTORE_DSN against what the provider shows. At Supabase the user of a pooler is postgres.PROJECT.',
    );
  }
  if (/no such database/i.test(message)) return noDatabase(database, host);
  if (/unsupported startup parameter/i.test(message)) {
    return misconfigured(
      `the pooler at ${host} does not take a parameter in PGSTORE_DSN`,
      'Remove what is not about the connection from PGSTORE_DSN, or name the server itself.',
    );
  }
  return undefined;
}

/** Answers of the server. */
function explainState(code: string, error: unknown, context: ErrorContext): Explanation {
  const { user, database, host } = context;
  const said = `"${printable(messageOf(error)).slice(0, 200)}"`;
  switch (code) {
    case '28P01':
      return refused(
        `the password for the user ${printable(user)} is wrong, or there is no such user`,
        'Check user and password in PGSTORE_DSN. In a URI "@", "/", ":" and "%" in a password are written %40, %2F, %3A and %25.',
      );
    case '28000':
      return refused(
        `${host} does not let the user ${printable(user)} in (${said})`,
        'Check the user in PGSTORE_DSN and its sslmode, and on the server pg_hba.conf, or which addresses the provider lets in.',
      );
    case '3D000':
    case '57P04':
      return noDatabase(database, host);
    case '42501':
      return refused(
        `the user ${printable(user)} has no right to do so (${said})`,
        'Let its owner grant this user the schema (USAGE, and CREATE for the first run) and all rights on its tables; ' +
          'or name a schema of its own in PGSTORE_SCHEMA.',
      );
    case '25006':
      return refused(
        `the server only lets us read (a replica, or default_transaction_read_only)`,
        'Name the primary server in PGSTORE_DSN; with several hosts add target_session_attrs=read-write.',
      );
    case '3F000':
      return refused(
        'there is no schema to put the tables into',
        'Set PGSTORE_SCHEMA, such as cliproxy; it is made if it is missing.',
      );
    case '42P01':
      return refused(
        'a table of the store is not there',
        'Run `cliproxyapi-sync sync`, which makes what is missing.',
      );
    case '42703':
    case '42883':
    case '42804':
    case '42P10':
      return otherTable(said);
    case '53300':
    case '53400':
      return unreachable(
        `the server has no connection left`,
        `Raise its max_connections, or let a pooler stand between. ${LATER}`,
      );
    case '53100':
      return refused("the server's disk is full", 'Make room there, then run again.');
    case '57014':
    case '55P03':
      return unreachable(
        'the server did not get it done in time, or something else holds a lock on it',
        `Look at what else runs on the server (pg_stat_activity). ${LATER}`,
      );
    case '57P01':
    case '57P02':
    case '57P03':
      return unreachable('the server is being started or stopped');
    case '42601':
      return refused(
        `the server does not understand it (${said})`,
        'Check that it is PostgreSQL 12 or later, and the options in PGSTORE_DSN.',
      );
    case '42704':
    case '22023':
      return misconfigured(
        'the server does not know a parameter in PGSTORE_DSN, or its value',
        "Compare the parameters in PGSTORE_DSN with those of PostgreSQL's documentation. One that is not libpq's own is handed to the server as a setting.",
      );
    case '42939':
      return misconfigured('the name of the schema is reserved', 'Set another PGSTORE_SCHEMA.');
    default:
      if (/^(08|40|53|55|57|58|XX)/.test(code)) return unreachable(`the server failed (${code}, ${said})`);
      // Messages about data quote data.
      if (isAboutContent(error)) return refused(`the server cannot hold it (${code})`, UNFIT);
      return refused(`the server refuses it (${code}, ${said})`, 'Check the server, and PGSTORE_DSN.');
  }
}

const UNFIT = 'Take out of it what is at fault, or log in anew; the other credentials are not affected.';

/** Why one credential cannot be the content of a row, though it is kept in history, which holds any bytes. */
export function contentError(error: unknown, name: string, location: string): StoreError {
  const code = sqlState(error);
  const because =
    code === '22P05'
      ? 'it has a NUL (\\u0000), or a character that the encoding of the database has not'
      : code === '22P02'
        ? 'it has what PostgreSQL takes for no JSON (half a surrogate pair, such as \\ud800 alone)'
        : code === '22003'
          ? 'it has a number that is too large'
          : `the server refuses such content (${code})`;
  return new StoreError(
    'refused',
    `Cannot write ${printable(name)} in ${location}: a JSONB column cannot hold it, since ${because}.`,
    UNFIT,
  );
}

/** A table of the right name that is not ours nor CLIProxyAPI's. */
export function otherTable(what: string): Explanation {
  return refused(
    `a table there has the right name and other columns, so it is someone else's (${what})`,
    'Nothing in it was touched. Set PGSTORE_SCHEMA to a schema of its own, such as cliproxy, also for CLIProxyAPI.',
  );
}

function noDatabase(database: string, host: string): Explanation {
  return refused(
    `there is no database ${printable(database)} at ${host}`,
    'Check the database in PGSTORE_DSN, or make it: CREATE DATABASE.',
  );
}

/** Node's code, also inside a list of attempts (IPv6, then IPv4). */
function nodeCode(error: unknown): string | undefined {
  const code = field(error, 'code');
  if (code !== undefined) return code;
  return error instanceof AggregateError ? nodeCode(error.errors[0]) : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

function field(value: unknown, name: string): string | undefined {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  return typeof found === 'string' ? found : undefined;
}
