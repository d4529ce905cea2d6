/** Where each login stands, as data: `docs/status.schema.json` describes it, `terminal/status.ts` draws it. Pure. */
import { accountOf } from '../credential/account.ts';
import { ownFreshness } from '../credential/freshness.ts';
import type { CredentialName } from '../credential/name.ts';
import { parseCredential } from '../credential/version.ts';
import type { LastRuns, RunRecord } from '../sync/last-run.ts';
import type { Look } from '../sync/look.ts';
import {
  type Action,
  type BaseEntry,
  type CredentialPlan,
  type CredentialSnapshot,
  isStorePlace,
  PLACES,
  type Place,
  type Sighting,
  winnerId,
} from '../sync/model.ts';
import { effectiveBase } from '../sync/plan.ts';
import { putBackWords } from '../sync/put-back.ts';
import type { RunReport } from '../sync/report.ts';
import { shellWord } from '../sync/words.ts';
import type { StatusProblem } from './problem.ts';
import { type ServicesStatus, serviceProblems } from './services.ts';
import { emptied, strayed } from './store-problems.ts';

export interface Status {
  /** Rises when a reader would have to change. */
  readonly format: 1;
  readonly command: 'status';
  readonly time: string;
  /** 0 nothing is left to a person; 1 something is; 75 the store is out of reach; 78 configuration. */
  readonly exitCode: number;
  readonly host: string;
  readonly store: {
    readonly kind: string;
    readonly location: string;
    readonly reachable: boolean;
    /** Why not. */
    readonly error: string | null;
    readonly remedy: string | null;
  };
  readonly lastRun: RunStatus | null;
  readonly lastSuccess: RunStatus | null;
  readonly services: ServicesStatus;
  /** Places that are not used on this host. */
  readonly off: readonly Place[];
  readonly credentials: readonly CredentialStatus[];
  readonly problems: readonly StatusProblem[];
}

export interface RunStatus {
  readonly command: string;
  readonly time: string;
  readonly exitCode: number;
  readonly store: string;
}

export interface CredentialStatus {
  readonly name: CredentialName;
  readonly provider: string;
  readonly account: string;
  readonly disabled: boolean;
  readonly state: State;
  /** Whether a person has to do something. */
  readonly needsPerson: boolean;
  /** Why it is so, in the plan's words; empty where there is nothing to say. */
  readonly reason: string;
  readonly lastRefresh: string | null;
  readonly expires: string | null;
  readonly deletedAt: string | null;
  readonly deletedOn: string | null;
  readonly places: Readonly<Record<Place, Mark>>;
}

export const STATES = [
  'in step',
  'changed here',
  'changed there',
  'conflict',
  'invalid',
  'deleted',
  'paused',
] as const;
export type State = (typeof STATES)[number];

/** What a place has: `other` is another version than the one that is to be there. */
export type Mark =
  | 'current'
  | 'other'
  | 'missing'
  | 'absent'
  | 'invalid'
  | 'unreadable'
  | 'paused'
  | 'unknown'
  | 'off';

export interface StatusParts {
  readonly look: Look;
  /** The report of a dry run of `sync` that saw the same. */
  readonly report: RunReport;
  readonly host: string;
  readonly runs: LastRuns;
  readonly services: ServicesStatus;
  /** Whether a variable or an option says which store it is. */
  readonly isStoreChosen: boolean;
  /** Logins that lie where nothing keeps them safe. */
  readonly elsewhere: StatusProblem | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export function statusOf(parts: StatusParts): Status {
  const { look, report, host, runs, services, isStoreChosen, elsewhere, now } = parts;
  const { snapshot, plan, storeError } = look;
  const needy = new Set<string>(report.problems.map(({ subject }) => subject));
  for (const { name, waitsFor } of report.held) if (waitsFor === 'person') needy.add(name);
  for (const name of report.guard?.names ?? []) needy.add(name);
  const credentials = plan.credentials.flatMap((planned) => {
    const seen = snapshot.credentials.get(planned.name);
    const entry = effectiveBase(look.base, snapshot, planned.name);
    const guarded = report.guard?.names.includes(planned.name) ?? false;
    return seen && isKnown(planned, seen, entry)
      ? [credentialStatus(planned, seen, entry, needy.has(planned.name), guarded)]
      : [];
  });
  const besides = [
    ...(isStoreChosen ? [] : strayed(report.store.location, runs)),
    ...(storeError || look.storeId !== undefined ? [] : emptied(report.store.location, runs)),
    ...serviceProblems(services, runs.success?.time, now),
    ...(elsewhere ? [elsewhere] : []),
  ];
  return {
    format: 1,
    command: 'status',
    time: iso(now),
    exitCode: report.exitCode === 0 && besides.length > 0 ? 1 : report.exitCode,
    host,
    store: {
      ...report.store,
      reachable: storeError === undefined,
      error: storeError?.message ?? null,
      remedy: storeError?.remedy ?? null,
    },
    lastRun: runStatus(runs.last),
    lastSuccess: runStatus(runs.success),
    services,
    off: PLACES.filter((place) => snapshot.places[place].kind === 'off'),
    credentials,
    problems: [...besides, ...problemsOf(report)],
  };
}

/** Whether there is, or was, such a credential: a base keeps names that nobody has any more. */
function isKnown(
  { decision }: CredentialPlan,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
): boolean {
  return (
    decision.kind === 'spread' ||
    decision.kind === 'delete' ||
    decision.kind === 'held' ||
    entry?.buried !== undefined ||
    PLACES.some((place) => ['version', 'invalid', 'unreadable'].includes(seen[place].kind))
  );
}

function credentialStatus(
  planned: CredentialPlan,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
  needsPerson: boolean,
  guarded: boolean,
): CredentialStatus {
  const { name, decision } = planned;
  const content = contentOf(planned, seen);
  const known = content
    ? ownFreshness(content)
    : decision.kind === 'spread' && decision.winner.from !== 'history'
      ? decision.winner.version.freshness
      : (entry?.agreed?.freshness ?? {});
  const tombstone = decision.kind === 'delete' ? decision.tombstone : entry?.buried?.tombstone;
  const state = guarded ? 'deleted' : stateOf(planned, seen, entry);
  const reason = 'reason' in decision ? decision.reason : '';
  return {
    name,
    ...accountOf(name, content),
    state,
    needsPerson,
    reason: (state === 'in step' || state === 'paused') && !needsPerson ? '' : reason,
    lastRefresh: iso(known.lastRefresh),
    expires: iso(known.expired),
    deletedAt: state === 'deleted' ? iso(tombstone?.time) : null,
    deletedOn: state === 'deleted' ? (tombstone?.host ?? null) : null,
    // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- all places are in it; `Object.fromEntries` forgets the keys
    places: Object.fromEntries(
      PLACES.map((place) => [place, markOf(place, planned, seen[place], entry)]),
    ) as Record<Place, Mark>,
  };
}

/** The plan, in one word: what a sync would do says what has become of a credential. */
function stateOf(
  { decision, actions, pending }: CredentialPlan,
  seen: CredentialSnapshot,
  entry: BaseEntry | undefined,
): State {
  const unusable = PLACES.some((place) => ['invalid', 'unreadable'].includes(seen[place].kind));
  switch (decision.kind) {
    case 'delete':
      return 'deleted';
    case 'held':
      if (seen.tombstone?.kind === 'invalid') return 'invalid';
      if (seen.tombstone || decision.waitsFor === 'store') return 'deleted';
      return 'conflict';
    case 'nothing':
    case 'consult':
      return unusable ? 'invalid' : entry?.buried ? 'deleted' : 'in step';
    case 'spread': {
      if (unusable) return 'invalid';
      if (decision.conflict) return 'conflict';
      const places = [...placesWritten(actions), ...pending];
      if (places.length === 0 && !decision.ends) return seen.ccs.kind === 'paused' ? 'paused' : 'in step';
      if (decision.winner.from === 'merge' || decision.winner.from === 'history') return 'conflict';
      // What only the store lacks comes from here, what only this host lacks from there.
      if (places.every(isStorePlace)) return 'changed here';
      if (!places.some(isStorePlace)) return 'changed there';
      return isStorePlace(decision.winner.from) ? 'changed there' : 'changed here';
    }
  }
}

function markOf(
  place: Place,
  { decision }: CredentialPlan,
  sighting: Sighting,
  entry: BaseEntry | undefined,
): Mark {
  switch (sighting.kind) {
    case 'version':
      return decision.kind === 'spread' && winnerId(decision.winner) === sighting.version.id
        ? 'current'
        : 'other';
    case 'absent':
      return decision.kind === 'spread' ? 'missing' : 'absent';
    case 'unknown':
      return isStorePlace(place) || entry?.at[place] !== undefined ? 'unknown' : 'off';
    default:
      return sighting.kind;
  }
}

function placesWritten(actions: readonly Action[]): readonly Place[] {
  return actions.flatMap((action) => (action.kind === 'write' ? [action.place] : []));
}

/** The content of what wins, as far as its bytes were read; else that of any place. */
function contentOf(
  { decision }: CredentialPlan,
  seen: CredentialSnapshot,
): Readonly<Record<string, unknown>> | undefined {
  const winner = decision.kind === 'spread' ? decision.winner : undefined;
  const held = PLACES.flatMap((place) => {
    const sighting = seen[place];
    return sighting.kind === 'version' && sighting.version.bytes ? [sighting.version] : [];
  });
  const best =
    winner?.from === 'merge' ? winner.version : held.find(({ id }) => winner && id === winnerId(winner));
  const bytes = (best ?? held[0])?.bytes;
  const parsed = bytes && parseCredential(bytes);
  return parsed?.ok ? parsed.content : undefined;
}

function problemsOf({ held, problems, guard, results, busy }: RunReport): readonly StatusProblem[] {
  const stale = results.flatMap(({ plan: { name, decision } }) =>
    decision.kind === 'spread' && decision.stale
      ? [
          {
            subject: name,
            reason: 'an older file was put back and is not taken; it is kept in history',
            remedy: `If it is the one you want: \`cliproxyapi-sync history ${shellWord(name)}\`, then restore.`,
          },
        ]
      : [],
  );
  const cameBack = results.flatMap(({ plan: { name }, putBack = [] }) =>
    putBack.map((one) => ({ subject: name, ...putBackWords(name, one) })),
  );
  const guarded = guard
    ? [
        {
          subject: 'the mass-deletion guard',
          reason: `holds ${guard.names.length} of ${guard.total} deletions back (${guard.names.join(', ')})`,
          remedy: `\`cliproxyapi-sync sync\` puts the files back. If they are meant to go: \`cliproxyapi-sync forget ${guard.names.map(shellWord).join(' ')}\``,
        },
      ]
    : [];
  const waiting =
    busy === undefined
      ? []
      : [{ subject: 'at this moment', reason: busy, remedy: 'The next run looks at it.' }];
  return [
    ...waiting,
    // What only waits for the store is said with the store.
    ...held
      .filter(({ waitsFor }) => waitsFor === 'person')
      .map(({ name, reason, remedy }) => ({ subject: name, reason, remedy })),
    ...problems.map(({ subject, reason, remedy }) => ({ subject, reason, remedy })),
    ...guarded,
    ...stale,
    ...cameBack,
  ];
}

function runStatus(run: RunRecord | undefined): RunStatus | null {
  return run ? { ...run, time: new Date(run.time).toISOString() } : null;
}

function iso(instant: number): string;
function iso(instant: number | undefined): string | null;
function iso(instant: number | undefined): string | null {
  return instant === undefined ? null : new Date(instant).toISOString();
}
