/** The parts of a migration that are copied as they are: history, tombstones, the config. */
import type { CredentialName } from '../credential/name.ts';
import { parseCredential, sha256 } from '../credential/version.ts';
import {
  type CommitOutcome,
  type ConfigEntry,
  type HistoryEntry,
  type HistoryRecord,
  type ReadAnswer,
  type Store,
  type StoreChange,
  StoreError,
} from '../stores/store.ts';
import { serializeTombstone } from '../sync/tombstone-record.ts';
import { sentences } from '../sync/words.ts';
import { missingHistory, missingTombstones } from './combine.ts';
import type { Holdings } from './holdings.ts';

/** Versions of history that are in memory at once. */
const HISTORY_BATCH = 200;
/** Other hosts may change the config at the same time. */
const MAX_CONFIG_TRIES = 8;

/** How much was copied, and what could not be, by what it is (a name, a version): the rest of the sentence. */
export interface Copying {
  written: number;
  readonly failures: Map<string, string>;
}

/** Copies the versions of history that the target has not, with their times. */
export async function copyHistory(
  from: Holdings,
  to: Holdings,
  read: Store['read'],
  target: Store,
  onProgress: (done: number, total: number) => void,
): Promise<Copying> {
  const copying: Copying = { written: 0, failures: new Map() };
  const missing = missingHistory(from, to);
  for (let start = 0; start < missing.length; start += HISTORY_BATCH) {
    const batch = missing.slice(start, start + HISTORY_BATCH);
    const answers = await readHistory(batch, read);
    const entries = new Map<CredentialName, HistoryEntry[]>();
    for (const [record, answer] of answers) {
      const bad = damage(record, answer);
      if (bad !== undefined) copying.failures.set(`${record.name}, version ${record.id.slice(0, 12)}`, bad);
      else if (answer.kind === 'object') {
        const { name, ...known } = record;
        entries.set(name, [...(entries.get(name) ?? []), { ...known, bytes: answer.bytes }]);
      }
    }
    const changes: StoreChange[] = [...entries].map(([name, keep]) => ({ name, keep }));
    const outcomes = await target.commit(changes);
    for (const [index, { name, keep }] of changes.entries()) {
      if (isDone(outcomes[index], name, copying)) copying.written += keep.length;
    }
    onProgress(Math.min(start + HISTORY_BATCH, missing.length), missing.length);
  }
  return copying;
}

/** What each of these versions is in the store that `read` reads from. */
export async function readHistory(
  records: readonly HistoryRecord[],
  read: Store['read'],
): Promise<ReadonlyMap<HistoryRecord, ReadAnswer>> {
  const answers = new Map<HistoryRecord, ReadAnswer>();
  const wanted = new Map(records.map((record) => [`${record.id} ${record.name}`, record]));
  await read(
    records.map(({ name, id }) => ({ area: 'history', name, id }) as const),
    (reference, answer) => {
      const record = reference.area === 'history' && wanted.get(`${reference.id} ${reference.name}`);
      if (record) answers.set(record, answer);
    },
  );
  return answers;
}

/** Why an entry of history does not hold the version that it is named after; undefined if it does. */
export function damage({ id }: HistoryRecord, answer: ReadAnswer | undefined): string | undefined {
  if (answer?.kind === 'failed') return answer.reason;
  if (answer?.kind !== 'object') return 'is not there';
  const parsed = parseCredential(answer.bytes);
  if (!parsed.ok) return parsed.reason;
  return parsed.version.id === id ? undefined : 'holds another content than its name says';
}

/** Copies the deletions that are to hold in the target. */
export async function copyTombstones(
  from: Holdings,
  to: Holdings,
  target: Store,
  host: string,
): Promise<Copying> {
  const copying: Copying = { written: 0, failures: new Map() };
  const missing = missingTombstones(from, to, host);
  const outcomes = await target.commit(
    missing.map(({ name, tombstone, seen }) => ({
      name,
      keep: [],
      tombstone: { kind: 'put', bytes: serializeTombstone(tombstone), seen },
    })),
  );
  for (const [index, { name }] of missing.entries()) {
    if (isDone(outcomes[index], name, copying)) copying.written++;
  }
  return copying;
}

/** `kept`: the target has another one, which stays; the source's is in its history. */
export type ConfigResult = 'none' | 'copied' | 'there' | 'kept';

/** What `copyConfig` is to come to. */
export function configResult(from: Holdings, to: Pick<Holdings, 'config'>): ConfigResult {
  if (!from.config) return 'none';
  if (!to.config) return 'copied';
  return Buffer.compare(from.config.bytes, to.config.bytes) === 0 ? 'there' : 'kept';
}

/** Gives the target the source's config if it has none, and its history. */
export async function copyConfig(
  from: Holdings,
  target: Store,
  host: string,
  sourceLocation: string,
): Promise<ConfigResult> {
  if (!from.config) return 'none';
  const own: ConfigEntry = { bytes: from.config.bytes, host, reason: `copied from ${sourceLocation}` };
  const entries = new Map(
    [...from.configHistory, own].reverse().map((entry) => [sha256(entry.bytes), entry]),
  );
  for (let attempt = 1; attempt <= MAX_CONFIG_TRIES; attempt++) {
    const [config, history] = await Promise.all([target.readConfig(), target.configHistory()]);
    for (const { bytes } of history) entries.delete(sha256(bytes));
    const result = configResult(from, { config });
    if (result !== 'copied' && entries.size === 0) return result;
    const change = { bytes: (config ?? from.config).bytes, seen: config?.tag, keep: [...entries.values()] };
    if ((await target.commitConfig(change)).kind === 'done') return result;
  }
  throw new StoreError(
    'unreachable',
    `The config in ${target.location} is being changed by someone else again and again.`,
    'Run the same command again.',
  );
}

function isDone(outcome: CommitOutcome | undefined, name: CredentialName, copying: Copying): boolean {
  if (outcome?.kind === 'failed')
    copying.failures.set(name, sentences(outcome.error.message, outcome.error.remedy));
  // One that was lost to another host is found when it is read back, or in the next round.
  return outcome?.kind === 'done';
}
