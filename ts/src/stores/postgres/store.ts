import { describeTarget, type PostgresTarget } from '../../settings/postgres-target.ts';
import { markerBytes, type RememberedMarker, recallMarker, rememberMarker } from '../marker.ts';
import type { Reference, Store, StoreMarker, StoreMemory } from '../store.ts';
import { schemaOf } from './areas.ts';
import { commitAll } from './commit.ts';
import { commitConfig, readConfig, readConfigHistory } from './config.ts';
import { DEFAULT_TIMEOUTS, openDatabase, type PostgresTimeouts } from './connection.ts';
import { storeErrorFrom } from './errors.ts';
import { glance, serverClock } from './glance.ts';
import { readHistory } from './history.ts';
import { type Listed, listAll, MARKER_ID, markerIn } from './list.ts';
import { pruneHistory, readPruned } from './prune.ts';
import { readAll } from './read.ts';
import { creationOf, type Found, TABLE_KEYS } from './tables.ts';
import { tryOut } from './try-out.ts';

export interface PostgresOptions {
  /** `PGSTORE_DSN`, understood. */
  readonly target: PostgresTarget;
  /** `PGSTORE_SCHEMA`; made in `prepare` if missing. Undefined: what the user's `search_path` gives. */
  readonly schema: string | undefined;
  /** For tests and for slow links. */
  readonly timeouts?: Partial<PostgresTimeouts>;
}

/** What an object that no listing showed is taken for. Bytes. */
const USUAL_SIZE = 16 * 1024;

/**
 * A schema of a PostgreSQL server (12 or later) with CLIProxyAPI's own tables. Loads the driver: to be imported only
 * when it is used.
 */
export function postgresStore(options: PostgresOptions, memory: StoreMemory): Store {
  const { target } = options;
  const location = `${describeTarget(target)}${options.schema === undefined ? '' : `, schema ${options.schema}`}`;
  const schema = schemaOf(options.schema, location);
  const database = openDatabase(target, { ...DEFAULT_TIMEOUTS, ...options.timeouts });
  /** What the last listing showed. */
  let last: Listed | undefined;

  const explain = (doing: string) => (error: unknown) =>
    storeErrorFrom(error, {
      doing,
      location,
      host: database.host(),
      user: target.user,
      database: target.database,
    });
  async function guarded<T>(doing: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw explain(doing)(error);
    }
  }

  async function remember(found: RememberedMarker): Promise<void> {
    if (recallMarker(memory.read().marker)?.tag !== found.tag)
      await memory.write({ marker: rememberMarker(found) });
  }

  /**
   * Makes what is missing. Where others do so at once (hosts of ours, CLIProxyAPI), the server ends all but one with
   * an error in spite of IF NOT EXISTS; the second try finds it made.
   */
  async function make(found: Found, proposal: StoreMarker): Promise<StoreMarker> {
    const { marker } = schema.tables;
    const content = Buffer.from(markerBytes(proposal, new Date())).toString('base64');
    const rows = await database.script<{ readonly content: Buffer }>(
      [
        ...creationOf(options.schema, found),
        `INSERT INTO ${marker} (id, content) VALUES ('${MARKER_ID}', decode('${content}', 'base64')) ON CONFLICT DO NOTHING`,
        `SELECT content FROM ${marker} WHERE id = '${MARKER_ID}'`,
      ].join(';\n'),
    );
    /* v8 ignore next -- in the transaction that put it there if it was not */
    const held = markerIn(rows[0]?.content ?? new Uint8Array(), schema);
    await remember(held);
    return held.marker;
  }

  function sizeOf(reference: Reference): number {
    if (reference.area === 'history') return USUAL_SIZE;
    return last?.objects[reference.area].get(reference.name)?.size ?? USUAL_SIZE;
  }

  return {
    kind: 'postgres',
    location,

    remembered: () => recallMarker(memory.read().marker)?.marker,

    list: () =>
      guarded('list what is', async () => {
        last = await listAll(database, schema);
        const { found, marker, objects } = last;
        if (marker) await remember(marker);
        return {
          present: found.tables.size > 0,
          marker: marker?.marker,
          current: objects.current,
          backup: objects.backup,
          tombstones: objects.tombstone,
        };
      }),

    glance: () => guarded('look at what is', () => glance(database, schema)),

    read: (references, receive) =>
      guarded('read', () => readAll(database, schema, references, sizeOf, receive)),

    prepare: (proposal) =>
      guarded('make the store', async () => {
        last ??= await listAll(database, schema);
        const { found, marker } = last;
        if (!marker || found.tables.size < TABLE_KEYS.length) return make(found, proposal);
        await remember(marker);
        return marker.marker;
      }),

    commit: async (changes) =>
      changes.length === 0 ? [] : commitAll(database, schema, changes, explain('write')),

    history: (names) => guarded('list the history', () => readHistory(database, schema, names)),
    prune: (entries) => guarded('prune the history', () => pruneHistory(database, schema, entries)),
    pruned: (names) => guarded('read what was pruned', () => readPruned(database, schema, names)),
    readConfig: () => guarded('read the config', () => readConfig(database, schema)),
    commitConfig: (change) => guarded('write the config', () => commitConfig(database, schema, change)),
    configHistory: () => guarded("list the config's history", () => readConfigHistory(database, schema)),

    tryOut: () => guarded('write', () => tryOut(database, schema)),

    clock: () => guarded('ask the time', () => serverClock(database)),

    close: () => database.close(),
  };
}
