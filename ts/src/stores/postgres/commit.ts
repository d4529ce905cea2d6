import { sha256 } from '../../credential/version.ts';
import { STEP_ORDERS, stepsOf } from '../commit-all.ts';
import type { CommitOutcome, StoreChange, StoreError, Tag } from '../store.ts';
import { AREAS, type Area, type Schema } from './areas.ts';
import { type Answer, type ChangeRow, COMMIT, type KeptRow, type RejectedRow } from './commit-statement.ts';
import type { Database } from './connection.ts';
import { contentError, isAboutContent } from './errors.ts';

/** One statement carries out at most so many changes, of so many bytes. */
const MAX_CHANGES = 500;
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Carries out changes, hundreds in one round trip: one statement, and one more for those that end tombstones, so that a
 * crash of anyone leaves all of a change or nothing; each change is done or lost for itself.
 */
export async function commitAll(
  database: Database,
  schema: Schema,
  changes: readonly StoreChange[],
  explain: (error: unknown) => StoreError,
): Promise<CommitOutcome[]> {
  const outcomes: CommitOutcome[] = [];
  let outage: StoreError | undefined;
  for (const some of portions(changes)) {
    if (!outage) {
      try {
        outcomes.push(...(await commitSome(database, schema, some)));
        continue;
      } catch (error) {
        const failure = explain(error);
        if (failure.kind !== 'refused') outage = failure;
        outcomes.push(...some.map((): CommitOutcome => ({ kind: 'failed', step: 'keep', error: failure })));
        continue;
      }
    }
    const error = outage;
    outcomes.push(...some.map((): CommitOutcome => ({ kind: 'failed', step: 'keep', error })));
  }
  if (outage && outcomes.every(({ kind }) => kind === 'failed')) throw outage;
  return outcomes;
}

/** In order; no name twice in one portion, since one statement changes a row once. */
function portions(changes: readonly StoreChange[]): StoreChange[][] {
  const result: StoreChange[][] = [];
  let names = new Set<string>();
  let bytes = 0;
  for (const change of changes) {
    const size = sizeOf(change);
    const last = result.at(-1);
    if (!last || last.length === MAX_CHANGES || bytes + size > MAX_BYTES || names.has(change.name)) {
      result.push([change]);
      names = new Set([change.name]);
      bytes = size;
    } else {
      last.push(change);
      names.add(change.name);
      bytes += size;
    }
  }
  return result;
}

async function commitSome(
  database: Database,
  schema: Schema,
  changes: readonly StoreChange[],
): Promise<CommitOutcome[]> {
  let outcomes: CommitOutcome[];
  try {
    outcomes = await once(database, schema, changes);
  } catch (error) {
    if (!isAboutContent(error)) throw error;
    // One content that cannot be held ended the statement: the others go without it.
    const [change, ...others] = changes;
    if (change && others.length === 0) return [await withoutContent(database, schema, change, error)];
    const half = Math.ceil(changes.length / 2);
    return [
      ...(await commitSome(database, schema, changes.slice(0, half))),
      ...(await commitSome(database, schema, changes.slice(half))),
    ];
  }
  // A statement does not see rows that came after it began, though it collides with them: what is there may be
  // what was to be written, by a first try whose answer was lost.
  const lost = changes.filter((_, index) => outcomes[index]?.kind === 'lost');
  if (lost.length === 0) return outcomes;
  const second = await once(database, schema, lost);
  return outcomes.map((outcome) => {
    if (outcome.kind !== 'lost') return outcome;
    /* v8 ignore next -- there are as many in "second" as were lost */
    return second.shift() ?? outcome;
  });
}

/** What cannot be a current row is kept all the same: history takes any bytes. */
async function withoutContent(
  database: Database,
  schema: Schema,
  { name, keep, keepAside = [] }: StoreChange,
  error: unknown,
): Promise<CommitOutcome> {
  const failure = contentError(error, name, schema.location);
  try {
    await once(database, schema, [{ name, keep, keepAside }]);
    return { kind: 'failed', step: 'current', error: failure };
  } catch (again) {
    if (!isAboutContent(again)) throw again;
    return { kind: 'failed', step: 'keep', error: failure };
  }
}

async function once(
  database: Database,
  schema: Schema,
  changes: readonly StoreChange[],
): Promise<CommitOutcome[]> {
  const answers = new Map<string, Answer>();
  // A statement has one order of steps for all of its changes.
  for (const order of STEP_ORDERS) {
    const some = changes.filter((change) => stepsOf(change) === order);
    if (some.length === 0) continue;
    const rows = await database.query<Answer>(COMMIT(schema.tables, order), [
      JSON.stringify(some.flatMap(keptRows)),
      JSON.stringify(some.flatMap(rejectedRows)),
      JSON.stringify(some.map(changeRow)),
    ]);
    for (const row of rows) answers.set(row.id, row);
  }
  return changes.map((change) => {
    const answer = answers.get(change.name);
    /* v8 ignore if -- the statement answers with a row for each change */
    if (!answer) throw new Error(`no answer for ${change.name}`);
    return outcomeOf(change, answer);
  });
}

function outcomeOf(change: StoreChange, answer: Answer): CommitOutcome {
  const tags: Partial<Record<Area, Tag>> = {};
  for (const area of stepsOf(change)) {
    if (!change[area]) continue;
    if (!answer[`${area}_done`]) return { kind: 'lost', step: area };
    const tag = answer[`${area}_tag`];
    if (tag !== null) tags[area] = tag;
  }
  return { kind: 'done', ...tags };
}

function keptRows({ name, keep }: StoreChange): KeptRow[] {
  return keep.map(({ id, bytes, host, reason, replaces, arrived }) => ({
    id: name,
    version: id,
    content: base64(bytes),
    host: withoutNul(host),
    reason: withoutNul(reason),
    replaces,
    arrived: arrived ?? null,
  }));
}

function rejectedRows({ name, keepAside = [] }: StoreChange): RejectedRow[] {
  return keepAside.map((bytes) => ({ id: name, digest: sha256(bytes), content: base64(bytes) }));
}

function changeRow(change: StoreChange): ChangeRow {
  const row: ChangeRow = { id: change.name };
  for (const area of AREAS) {
    const object = change[area];
    if (!object) continue;
    row[`${area}_kind`] = object.kind;
    if (object.seen !== undefined) row[`${area}_seen`] = object.seen;
    if (object.kind === 'remove') continue;
    row[`${area}_content`] = area === 'current' ? textOf(object.bytes) : base64(object.bytes);
    if (object.version !== undefined) row[`${area}_version`] = object.version;
  }
  return row;
}

/** A byte order mark is no part of JSON. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString()
    .replace(/^\ufeff/, '');
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** TEXT holds any character but one. */
export function withoutNul(text: string): string {
  return text.toWellFormed().replaceAll('\0', '');
}

function sizeOf({ keep, keepAside = [], ...objects }: StoreChange): number {
  const bytes = [...keep.map((entry) => entry.bytes), ...keepAside];
  for (const area of AREAS) {
    const object = objects[area];
    if (object?.kind === 'put') bytes.push(object.bytes);
  }
  return bytes.reduce((sum, each) => sum + each.length, 0);
}
