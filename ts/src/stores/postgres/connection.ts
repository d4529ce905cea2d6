import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { isSocket, type PostgresHost, type PostgresTarget } from '../../settings/postgres-target.ts';
import { StoreError } from '../store.ts';
import { isConnectionLost, isWorthAnotherTry, messageOf, sqlState } from './errors.ts';
import { passwordFor } from './passfile.ts';
import { type TlsAttempt, tlsAttempts } from './tls.ts';

declare module 'pg' {
  // They are there, and are not in its types.
  interface ClientBase {
    ref(): void;
    unref(): void;
  }
}

/** One connection, made when it is first needed and again when it was lost. */
export interface Database {
  /**
   * Runs one statement, which is one round trip and a transaction of its own; nothing is left in the session, so
   * that a pooler may stand between (pgbouncer's transaction mode, Supabase, Neon). Calls wait for each other.
   *
   * A statement that a restart, a lost connection or a deadlock ended is run again for a while: it MUST come to the
   * same if it had been carried out before.
   *
   * @throws What `pg` or Node threw; StoreError where the settings are at fault.
   */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** As `query`, for several statements without values in one transaction; gives the rows of the last. */
  script<Row extends pg.QueryResultRow>(text: string): Promise<Row[]>;
  /** The host that was last talked to, for people. */
  host(): string;
  /** May be called twice. */
  close(): Promise<void>;
}

/** Milliseconds. */
export interface PostgresTimeouts {
  /** Until a connection stands, for each host; `connect_timeout` comes before it. */
  readonly connect: number;
  /** One statement, before the server gives it up; this side gives up a little later. */
  readonly statement: number;
  /** How long a statement is tried again once a connection has stood in this run. */
  readonly patience: number;
}

export const DEFAULT_TIMEOUTS: PostgresTimeouts = { connect: 8_000, statement: 30_000, patience: 8_000 };

/** While no connection has stood yet: enough for a lost packet, too short for anyone to wait for a dead server. */
const FIRST_PATIENCE_MS = 1_000;
/** What this side waits longer than the server. */
const GRACE_MS = 5_000;
const CLOSE_MS = 1_000;

export function openDatabase(target: PostgresTarget, timeouts: PostgresTimeouts): Database {
  let client: pg.Client | undefined;
  let stood = false;
  let hostName = nameOf(target.hosts[0]);
  /** Whether the server takes a time limit when the connection is made; poolers may not. */
  let limitsAtStart = true;
  let queue: Promise<unknown> = Promise.resolve();

  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = queue.then(run, run);
    queue = turn.catch(() => undefined);
    return turn;
  }

  async function persistently<T>(run: (connected: pg.Client) => Promise<T>): Promise<T> {
    const begun = Date.now();
    for (let attempt = 1; ; attempt++) {
      let used: pg.Client | undefined;
      try {
        used = client ??= await connect();
        used.ref();
        return await run(used);
      } catch (error) {
        if (isConnectionLost(error)) abandon(used);
        const patience = stood ? timeouts.patience : FIRST_PATIENCE_MS;
        if (!isWorthAnotherTry(error) || Date.now() - begun > patience) throw error;
        await sleep(Math.min(50 * 2 ** attempt, 1_000) * (0.5 + Math.random()));
      } finally {
        // An idle connection keeps no process alive.
        used?.unref();
      }
    }
  }

  /** Without waiting: it may never say goodbye. */
  function abandon(lost: pg.Client | undefined): void {
    if (client === lost) client = undefined;
    lost?.unref();
    lost?.end().catch(() => undefined);
  }

  /** The first host that lets us in and is what is asked for, as libpq goes through them. */
  async function connect(): Promise<pg.Client> {
    let failure: unknown;
    const wanted = target.sessionAttributes;
    const rounds = wanted === 'prefer-standby' ? (['standby', 'any'] as const) : ([wanted] as const);
    for (const attributes of rounds) {
      for (const host of target.hosts) {
        hostName = nameOf(host);
        try {
          const connected = await connectTo(host);
          if (attributes === 'any' || (await isWanted(connected, attributes))) {
            stood = true;
            return connected;
          }
          await connected.end();
          failure = new StoreError(
            'unreachable',
            `No server that PGSTORE_DSN names is ${attributes}, as its target_session_attrs asks.`,
            'Try again when the servers have agreed on their roles. Check the hosts in PGSTORE_DSN.',
          );
        } catch (error) {
          // Who is not let in here is let in nowhere; the settings are the same everywhere too.
          if (/^(28|3D)/.test(sqlState(error) ?? '') || error instanceof StoreError) throw error;
          failure = error;
        }
      }
    }
    throw failure;
  }

  async function connectTo(host: PostgresHost): Promise<pg.Client> {
    const attempts = await tlsAttempts(target.tls, host);
    for (const [index, attempt] of attempts.entries()) {
      try {
        return await open(host, attempt);
      } catch (error) {
        if (index === attempts.length - 1 || !mayDoOtherwise(error)) throw error;
      }
    }
    throw new Error('no way to connect');
  }

  async function open(host: PostgresHost, ssl: TlsAttempt): Promise<pg.Client> {
    const { connectTimeout } = target;
    const opened = new pg.Client({
      host: host.address ?? (host.host === '' ? defaultHost(host.port) : host.host),
      port: host.port,
      user: target.user,
      database: target.database,
      // A function, so that `pg` looks for none itself.
      password: async () => (await passwordFor(target, host)) ?? '',
      ssl,
      sslnegotiation: ssl && target.tls.direct ? 'direct' : 'postgres',
      enableChannelBinding: ssl !== false && target.channelBinding,
      connectionTimeoutMillis: connectTimeout === undefined ? timeouts.connect : connectTimeout * 1_000,
      keepAlive: true,
      application_name: target.applicationName ?? 'cliproxyapi-sync',
      ...(target.options !== undefined && { options: target.options }),
      ...(limitsAtStart && { statement_timeout: timeouts.statement }),
      query_timeout: timeouts.statement + GRACE_MS,
    });
    // Told while nothing is under way: the next statement finds out.
    opened.on('error', () => {
      if (client === opened) client = undefined;
    });
    try {
      await opened.connect();
      return opened;
    } catch (error) {
      abandon(opened);
      if (limitsAtStart && /unsupported startup parameter/i.test(messageOf(error))) {
        limitsAtStart = false;
        return open(host, ssl);
      }
      throw error;
    }
  }

  return {
    query: <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) =>
      inTurn(() => persistently(async (connected) => (await connected.query<Row>(text, [...values])).rows)),

    script: <Row extends pg.QueryResultRow>(text: string) =>
      inTurn(() =>
        persistently(async (connected) => {
          // One answer for each statement.
          const results: pg.QueryResult<Row> | pg.QueryResult<Row>[] = await connected.query<Row>(text);
          /* v8 ignore next -- a text of statements has at least one answer */
          return [results].flat().at(-1)?.rows ?? [];
        }),
      ),

    host: () => hostName,

    async close() {
      const goodbye = inTurn(async () => {
        const closed = client;
        client = undefined;
        await closed?.end().catch(() => undefined);
      });
      await Promise.race([goodbye, sleep(CLOSE_MS)]);
    },
  };
}

async function isWanted(connected: pg.Client, attributes: string): Promise<boolean> {
  const { rows } = await connected.query<{ standby: boolean; readonly: boolean }>(
    "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS readonly",
  );
  return rows.some(({ standby, readonly }) => {
    switch (attributes) {
      case 'read-write':
        return !readonly;
      case 'read-only':
        return readonly;
      case 'primary':
        return !standby;
      default:
        return standby;
    }
  });
}

/** Whether `prefer` and `allow` go on to their second way: no TLS there, or none without; the server wants the other. */
function mayDoOtherwise(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return (
    sqlState(error) === '28000' ||
    /does not support SSL|establishing an SSL/.test(messageOf(error)) ||
    /^(ERR_SSL|ERR_TLS|EPROTO)/.test(code)
  );
}

/** Where libpq looks for a server of this machine; without a socket there, TCP. */
function defaultHost(port: number): string {
  const directories = ['/var/run/postgresql', '/run/postgresql', '/private/tmp', '/tmp'];
  return directories.find((directory) => existsSync(join(directory, `.s.PGSQL.${port}`))) ?? 'localhost';
}

function nameOf(host: PostgresHost): string {
  if (isSocket(host)) return host.host === '' ? 'this machine' : `the socket in ${host.host}`;
  /* v8 ignore next -- what has neither is a socket */
  const name = host.host || (host.address ?? '');
  return `${name.includes(':') ? `[${name}]` : name}:${host.port}`;
}
