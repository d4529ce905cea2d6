/** What one run did and left, as data: `terminal/report.ts` shows it. */
import { join } from 'node:path';
import type { CredentialName } from '../credential/name.ts';
import type { Store, StoreError } from '../stores/store.ts';
import type { CredentialResult } from './apply.ts';
import {
  type GuardReport,
  LOCAL_PLACES,
  type LocalPlace,
  type Permissions,
  PLACES,
  type Place,
  type Plan,
  type Problem,
  type Snapshot,
} from './model.ts';
import { placeName, shellWord } from './words.ts';

export interface RunReport {
  /** 0 done, 1 something failed or was refused, 75 try again, 78 configuration. */
  readonly exitCode: 0 | 1 | 75 | 78;
  readonly store: { readonly kind: string; readonly location: string };
  /** Why the store could not be used, if so. */
  readonly storeError: StoreError | undefined;
  /** What the store cannot be trusted for, as sentences; once only, when it was found. */
  readonly weaknesses: readonly string[];
  /** Credentials that were worked on, in order; in a dry run what would be done. */
  readonly results: readonly CredentialResult[];
  readonly pending: readonly {
    readonly name: CredentialName;
    readonly places: readonly Place[];
    readonly reason: string;
  }[];
  readonly held: readonly {
    readonly name: CredentialName;
    readonly waitsFor: 'person' | 'store';
    readonly reason: string;
    readonly remedy: string;
  }[];
  readonly problems: readonly Problem[];
  readonly guard: GuardReport | undefined;
  /** How many credentials were looked at. */
  readonly credentials: number;
  /** Why the run ended before it was done, if so. */
  readonly stopped: string | undefined;
  /** Why a place was not looked at for the moment, if so. */
  readonly busy: string | undefined;
  /** What is pending is a running proxy's to bring to the store. */
  readonly proxyPushes: boolean;
}

/** What the last round of a run saw. */
export interface RoundView {
  readonly snapshot: Snapshot;
  readonly plan: Plan;
  /** What the guard held back, in this round or one before. */
  readonly guard: GuardReport | undefined;
  readonly storeError: StoreError | undefined;
  readonly stateProblems: readonly Problem[];
  /** Where the local places are; undefined: not used, or left alone for now. */
  readonly directories: Readonly<Record<LocalPlace, string | undefined>>;
}

/** The report of a run that got as far as looking; `last` is undefined if it did not. */
export function makeReport(
  store: Store,
  last: RoundView | undefined,
  results: readonly CredentialResult[],
  weaknesses: readonly string[],
  stopped: string | undefined,
  permissions: Permissions,
): RunReport {
  const planned = last?.plan.credentials ?? [];
  const held = planned.flatMap(({ name, decision }) =>
    decision.kind === 'held'
      ? [{ name, waitsFor: decision.waitsFor, reason: decision.reason, remedy: decision.remedy }]
      : [],
  );
  const pending = planned.flatMap(({ name, pending: places, decision }) =>
    places.length > 0
      ? [
          {
            name,
            places,
            reason:
              'reason' in decision
                ? decision.reason
                : /* v8 ignore next -- what is not decided has nothing pending; the types cannot know */ '',
          },
        ]
      : [],
  );
  const problems = [
    ...(last?.stateProblems ?? []),
    ...(last?.snapshot.problems ?? []),
    ...(last ? placeProblems(last.snapshot) : []),
    ...(last ? sightingProblems(last, results) : []),
  ];
  const failed = results.some(({ outcome }) => outcome === 'failed');
  const storeError = last?.storeError;
  const busy = last && LOCAL_PLACES.map((place) => busyWords(place, last.snapshot)).find(Boolean);
  const wrong =
    failed ||
    held.some(({ waitsFor }) => waitsFor === 'person') ||
    last?.guard !== undefined ||
    problems.some(({ place }) => place !== 'state');
  const exitCode =
    storeError?.kind === 'configuration'
      ? 78
      : storeError?.kind === 'refused' || wrong
        ? 1
        : storeError || stopped !== undefined || busy !== undefined
          ? 75
          : 0;
  return {
    exitCode,
    store: { kind: store.kind, location: store.location },
    storeError,
    weaknesses,
    results,
    pending,
    held,
    problems,
    guard: last?.guard,
    credentials: planned.filter(({ decision }) => decision.kind === 'spread').length,
    stopped,
    busy,
    proxyPushes: permissions.proxyPushes ?? false,
  };
}

function busyWords(place: LocalPlace, { places }: Snapshot): string | undefined {
  const state = places[place];
  return state.kind === 'busy' ? `the ${placeName(place)} is left alone for now: ${state.reason}` : undefined;
}

/** Places that could not be listed. The store's own error is reported apart. */
function placeProblems(snapshot: Snapshot): readonly Problem[] {
  return LOCAL_PLACES.flatMap((place) => {
    const state = snapshot.places[place];
    if (state.kind !== 'failed') return [];
    return [
      {
        subject: `the ${placeName(place)}`,
        place,
        reason: `is left alone: ${state.reason}`,
        remedy: 'Nothing was deleted. `cliproxyapi-sync doctor` says what to type; then run again.',
      },
    ];
  });
}

/** Files and objects that are no credentials, or cannot be read, and were not put right by this run. */
function sightingProblems(
  { snapshot, plan, directories }: RoundView,
  results: readonly CredentialResult[],
): readonly Problem[] {
  const hasWinner = new Set(
    plan.credentials.flatMap(({ name, decision }) => (decision.kind === 'spread' ? [name] : [])),
  );
  const healed = new Set(
    results.flatMap(({ plan: { name, actions }, outcome }) =>
      outcome === 'done'
        ? actions.flatMap((action) =>
            action.kind === 'write' || action.kind === 'remove' ? [`${action.place} ${name}`] : [],
          )
        : [],
    ),
  );
  return [...snapshot.credentials].flatMap(([name, seen]) =>
    PLACES.flatMap((place): Problem[] => {
      const sighting = seen[place];
      if ((sighting.kind !== 'invalid' && sighting.kind !== 'unreadable') || healed.has(`${place} ${name}`))
        return [];
      const directory = place === 'auth' || place === 'ccs' ? directories[place] : undefined;
      const path = directory === undefined ? undefined : shellWord(join(directory, ...name.split('/')));
      const remedy =
        sighting.kind === 'invalid'
          ? invalidRemedy(path, hasWinner.has(name))
          : unreadableRemedy(name, path, sighting.reason, hasWinner.has(name));
      return [{ subject: name, place, reason: sighting.reason, remedy }];
    }),
  );
}

/** `path`: of a local file, as a shell takes it. `hasWinner`: another place has a good version. */
function invalidRemedy(path: string | undefined, hasWinner: boolean): string {
  const left = 'It is not copied anywhere, and nothing is deleted for it.';
  if (hasWinner)
    return `${left} Wait a minute, in case it is still being written; then \`cliproxyapi-sync sync\` puts the last good version back.`;
  if (path === undefined) return `${left} Log in again, or put a good copy there.`;
  return `${left} Log in again, or put a good copy there; or move it away: \`mv ${path} ${path}.away\``;
}

/** To move it away alone would read as a deletion: where there is a good version, it comes back in the same line. */
function unreadableRemedy(
  name: CredentialName,
  path: string | undefined,
  reason: string,
  hasWinner: boolean,
): string {
  const left = 'It is left alone.';
  if (path === undefined) return `${left} Put a regular, readable file there, or move it away.`;
  if (/symbolic link/.test(reason))
    return `${left} Put a regular file in the place of the link: \`cp -L ${path} ${path}.tmp && mv -f ${path}.tmp ${path}\``;
  if (/EACCES|EPERM/.test(reason))
    return `${left} Take it over: \`sudo chown "$(id -un)" ${path} && chmod 600 ${path}\``;
  const back = hasWinner ? ` && cliproxyapi-sync restore ${shellWord(name)}` : '';
  // What is in a folder may be credentials.
  if (/folder/.test(reason)) return `${left} If there is nothing in it: \`rmdir ${path}${back}\``;
  return `${left} Move it away: \`mv ${path} ${path}.away${back}\``;
}

/** The report of a run that did not begin. */
export function emptyReport(exitCode: RunReport['exitCode'], stopped: string): RunReport {
  return {
    exitCode,
    store: { kind: '', location: '' },
    storeError: undefined,
    weaknesses: [],
    results: [],
    pending: [],
    held: [],
    problems: [],
    guard: undefined,
    credentials: 0,
    stopped,
    busy: undefined,
    proxyPushes: false,
  };
}
