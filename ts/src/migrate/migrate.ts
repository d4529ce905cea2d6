/**
 * From one store to another: credentials, tombstones, history and the config, each read back afterwards.
 *
 * The source stands for a host that joins the target: what is in nothing's way is copied; where the target has
 * something of its own, the planner decides as it does for any first join, and what loses is kept in history. So
 * a migration that is run again, after a crash or because the source went on being used, only adds what is missing.
 *
 * The order is such that the target tells the truth at every moment to hosts that use it already: history first,
 * since it says which versions were replaced, then tombstones, then what is current.
 */
import type { CredentialName } from '../credential/name.ts';
import type { Store } from '../stores/store.ts';
import { apply, type CredentialResult } from '../sync/apply.ts';
import { EMPTY_BASE } from '../sync/base.ts';
import { checkMarker, STORE_FORMAT } from '../sync/run.ts';
import { newMarkerId, type State } from '../sync/state.ts';
import { missingHistory, missingPruned, missingTombstones, planTarget, unknownToSource } from './combine.ts';
import { type ConfigResult, configResult, copyConfig, copyHistory, copyTombstones } from './copy.ts';
import { type Holdings, holdingsOf } from './holdings.ts';
import { verify } from './verify.ts';

/** Where credentials come from. */
export interface MigrationSource {
  /** For people, without any secret. */
  readonly location: string;
  look(): Promise<Holdings>;
  readonly read: Store['read'];
}

export interface MigrateRequest {
  readonly source: MigrationSource;
  readonly target: Store;
  /** Go on though the target holds what the source does not know. */
  readonly merge: boolean;
  /** Nothing is written; the report says what would be. */
  readonly dryRun: boolean;
  /** This host's name, for history. */
  readonly hostName: string;
  /** Keeps on this host what the target could not take. */
  readonly state: State;
  /** Throws if the run must stop (lock lost). */
  readonly checkpoint: () => void;
  readonly onEvent?: (event: MigrateEvent) => void;
}

export type MigrateEvent =
  | { readonly kind: 'phase'; readonly text: string }
  | { readonly kind: 'progress'; readonly text: string; readonly done: number; readonly total: number };

export interface MigrateReport {
  readonly exitCode: 0 | 1;
  /** What was done to credentials, or would be. Those that were as they should be are not in it. */
  readonly results: readonly CredentialResult[];
  /** How many the source has, and how many were written now, or would be. */
  readonly credentials: Copied;
  readonly tombstones: Copied;
  readonly history: Copied;
  readonly config: ConfigResult;
  /** What in the source is no credential and stays where it is, as sentences. */
  readonly leftBehind: readonly string[];
  /** What failed, or was read back and is not as it should be, as sentences. */
  readonly wrong: readonly string[];
  /** Why nothing was done, if so. */
  readonly refused: { readonly reason: string; readonly remedy: string } | undefined;
}

export interface Copied {
  readonly total: number;
  readonly written: number;
}

/** Hosts that use the target already may be faster; then it is looked at again, this often. */
const MAX_ROUNDS = 8;
/** Names in a message. */
const MAX_NAMES = 5;

/**
 * Migrates.
 *
 * @throws StoreError if one of the two cannot be reached or written; what was done stays, and the same command
 *   goes on from there.
 */
export async function migrate(request: MigrateRequest): Promise<MigrateReport> {
  const { source, target, hostName, checkpoint, onEvent } = request;
  const phase = (text: string) => onEvent?.({ kind: 'phase', text });
  const progress = (text: string) => (done: number, total: number) =>
    onEvent?.({ kind: 'progress', text, done, total });

  phase(`reading ${source.location}`);
  const from = await source.look();
  if (from.credentials.size === 0 && !from.config) {
    return refuse(
      from,
      `there is nothing to migrate in ${source.location}`,
      'Check the variables of the source: a wrong bucket, schema, branch or path looks empty too.',
    );
  }
  phase(`looking at ${target.location}`);
  let to = await holdingsOf(target);
  const unknown = unknownToSource(from, to);
  if (unknown.length > 0 && !request.merge) {
    return refuse(
      from,
      `${target.location} is not empty: ${listed(unknown)}`,
      'Nothing was written. Choose an empty target, or add --merge: then both are brought together, and what loses is kept in history.',
    );
  }

  const results = new Map<CredentialName, CredentialResult>();
  if (request.dryRun) {
    for (const planned of planTarget(from, to, hostName).made.credentials) {
      if (planned.actions.length > 0)
        results.set(planned.name, { plan: planned, outcome: 'done', failures: [] });
    }
    const written = {
      history: missingHistory(from, to).length,
      tombstones: missingTombstones(from, to, hostName).length,
    };
    return report(from, results, written, configResult(from, to), []);
  }

  checkMarker(await target.prepare({ id: newMarkerId(), format: STORE_FORMAT }), target);
  const written = { history: 0, tombstones: 0 };
  let failures = new Map<string, string>();
  for (let round = 1; ; round++) {
    checkpoint();
    const history = await copyHistory(from, to, source.read, target, progress('history'));
    checkpoint();
    await target.prune(missingPruned(from, to).map((entry) => ({ ...entry, versions: [] })));
    const tombstones = await copyTombstones(from, to, target, hostName);
    written.history += history.written;
    written.tombstones += tombstones.written;
    failures = new Map([...history.failures, ...tombstones.failures]);

    to = await holdingsOf(target);
    const { made, snapshot } = planTarget(from, to, hostName);
    const busy = made.credentials.filter(({ actions }) => actions.length > 0).length;
    const count = progress('credentials');
    let done = 0;
    const applied = await apply(made, snapshot, EMPTY_BASE, {
      store: target,
      state: request.state,
      storeId: undefined,
      hostName,
      directories: { auth: undefined, ccs: undefined },
      allowDelete: new Set(from.credentials.keys()),
      checkpoint,
      onResult(result) {
        results.set(result.plan.name, result);
        count(++done, busy);
      },
    });
    if (applied.storeError) throw applied.storeError;
    if (!applied.lost || round === MAX_ROUNDS) break;
    to = await holdingsOf(target);
  }
  const config = await copyConfig(from, target, hostName, source.location);
  phase('reading everything back');
  const failed = [...results.values()].flatMap(({ plan, failures: reasons }) =>
    reasons.map((reason) => [plan.name, reason] as const),
  );
  const known = new Map([...failures, ...failed]);
  const wrong = await verify(from, target, hostName, progress('read back'));
  for (const [subject, reason] of wrong) if (!known.has(subject)) known.set(subject, reason);
  return report(
    from,
    results,
    written,
    config,
    [...known].map(([subject, reason]) => `${subject}: ${reason}`),
  );
}

function report(
  from: Holdings,
  results: ReadonlyMap<CredentialName, CredentialResult>,
  written: { readonly history: number; readonly tombstones: number },
  config: ConfigResult,
  wrong: readonly string[],
): MigrateReport {
  const all = [...from.credentials.values()];
  const leftBehind = leftIn(from);
  const wrote = [...results.values()].filter(
    ({ outcome, plan }) => outcome === 'done' && plan.actions.some(({ kind }) => kind === 'write'),
  );
  return {
    exitCode: wrong.length > 0 || leftBehind.length > 0 ? 1 : 0,
    results: [...results.values()],
    credentials: {
      total: all.filter(({ current, backup }) => [current.kind, backup.kind].includes('version')).length,
      written: wrote.length,
    },
    tombstones: { total: all.filter(({ tombstone }) => tombstone).length, written: written.tombstones },
    history: { total: all.reduce((sum, { history }) => sum + history.length, 0), written: written.history },
    config,
    leftBehind,
    wrong,
    refused: undefined,
  };
}

function refuse(from: Holdings, reason: string, remedy: string): MigrateReport {
  const none = report(from, new Map(), { history: 0, tombstones: 0 }, 'none', []);
  return { ...none, exitCode: 1, refused: { reason, remedy } };
}

/** What lies in the source and is no credential that could be copied. */
function leftIn({ credentials, problems }: Holdings): readonly string[] {
  const sightings = [...credentials].flatMap(([name, { current, backup, tombstone }]) =>
    [
      ...[current, backup].filter(
        (sighting) => sighting.kind === 'invalid' || sighting.kind === 'unreadable',
      ),
      ...(tombstone?.kind === 'invalid' ? [tombstone] : []),
    ].map(({ reason }) => `${name} ${reason}`),
  );
  return [...new Set([...sightings, ...problems.map(({ subject, reason }) => `${subject} ${reason}`)])];
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return `${names.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
