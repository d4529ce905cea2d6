import type { RequestKind } from '../support/fault-proxy.ts';
import type { Sample } from './measure.ts';
import type { Requests } from './requests.ts';
import type { Measured, TaskName } from './tasks.ts';

/** A bar, and whether it was reached. */
export interface Figure {
  readonly what: string;
  readonly bar: string;
  readonly measured: string;
  /** Undefined where it is only reported, or could not be measured. */
  readonly reached: boolean | undefined;
}

export interface Results {
  readonly measured: readonly Measured[];
  readonly requests: readonly Requests[];
  /** Names of ours, the Node that users are sure to have first. */
  readonly ours: readonly string[];
}

const SCRIPTS = 'aws s3 sync';
const RCLONE = 'rclone sync';

export function figures(results: Results): Figure[] {
  const [first = '', second] = results.ours;
  const largest = Math.max(...results.measured.map(({ credentials }) => credentials));
  return [
    faster(results, 'no-op backup', 5, first, 4),
    ...(second === undefined ? [] : [faster(results, 'no-op backup', 5, second, 6)]),
    ...[5, 1000].map((count) => noOpRequests(results, count)),
    ...[5, 1000].map((count) => changeRequests(results, count)),
    ...results.ours.flatMap((name) => [
      faster(results, 'hydrate', 1000, name, 3),
      reportOnly(results, 'hydrate', 1000, name),
    ]),
    ...results.ours.flatMap((name) => [memory(results, largest, name), linear(results, largest, name)]),
    ...results.ours.map((name) => startUp(results, name)),
  ];
}

/** The median over all rounds of how many times longer `other` took than `name`; undefined if one did not run. */
export function ratio(
  results: Results,
  task: TaskName,
  count: number,
  name: string,
  other: string,
): number | undefined {
  const samples = (of: string) => samplesOf(results, task, count, of);
  return pairedRatio(samples(other), samples(name));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export function samplesOf(
  { measured }: Results,
  task: TaskName,
  count: number,
  name: string,
): readonly Sample[] {
  const found = measured.find((one) => one.task === task && one.credentials === count);
  return found?.samples.get(name) ?? [];
}

/** Milliseconds for one more credential, between two sizes; what every run costs anyway is not in it. */
export function perCredential(results: Results, from: number, to: number, name: string): number {
  const at = (count: number) =>
    median(samplesOf(results, 'hydrate', count, name).map(({ wallMs }) => wallMs));
  return (at(to) - at(from)) / (to - from);
}

export function pairedRatio(slow: readonly Sample[], fast: readonly Sample[]): number | undefined {
  const ratios = slow.flatMap(({ wallMs }, round) => {
    const pair = fast[round];
    return pair ? [wallMs / pair.wallMs] : [];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

function faster(results: Results, task: TaskName, count: number, name: string, times: number): Figure {
  const found = ratio(results, task, count, name, SCRIPTS);
  return {
    what: `${task}, ${count} credentials: ${name}, against ${SCRIPTS}`,
    bar: `at least ${times} times faster`,
    measured: found === undefined ? 'aws is not installed' : `${found.toFixed(2)} times`,
    reached: found === undefined ? undefined : found >= times,
  };
}

function reportOnly(results: Results, task: TaskName, count: number, name: string): Figure {
  const found = ratio(results, task, count, name, RCLONE);
  return {
    what: `${task}, ${count} credentials: ${name}, against ${RCLONE}`,
    bar: 'reported',
    measured: found === undefined ? 'rclone is not installed' : `${found.toFixed(2)} times faster`,
    reached: undefined,
  };
}

function noOpRequests(results: Results, count: number): Figure {
  const found = requestsOf(results, 'no-op backup', count);
  return {
    what: `requests of a no-op backup, ${count} credentials`,
    bar: 'at most 4, all LIST',
    measured: countWords(found?.counts ?? {}),
    reached:
      found && (found.counts.LIST ?? 0) <= 4 && Object.keys(found.counts).every((kind) => kind === 'LIST'),
  };
}

function changeRequests(results: Results, count: number): Figure {
  const found = requestsOf(results, 'backup of one change', count);
  const { 'PUT sync/history/': history = 0, 'PUT auths/': primary = 0, ...rest } = found?.places ?? {};
  const { 'PUT backup/auths/': put = 0, 'COPY backup/auths/': copy = 0, ...others } = rest;
  return {
    what: `requests for one rotated credential of ${count}`,
    bar: 'the LISTs, at most 1 history copy, 1 PUT for the primary, 1 PUT or COPY for the backup',
    measured: `${found?.counts.LIST ?? 0} LIST, ${Object.entries(found?.places ?? {})
      .map(([place, times]) => `${times} ${place}`)
      .join(', ')}`,
    reached: found && history <= 1 && primary === 1 && put + copy === 1 && Object.keys(others).length === 0,
  };
}

function memory(results: Results, count: number, name: string): Figure {
  const peak =
    Math.max(...samplesOf(results, 'hydrate', count, name).map(({ peakBytes }) => peakBytes)) / 1e6;
  return {
    what: `hydrate, ${count} credentials: ${name}, peak memory`,
    bar: 'under 300 MB',
    measured: `${peak.toFixed(0)} MB`,
    reached: peak < 300,
  };
}

/** How much dearer one more credential may be among ten thousand than among a thousand and still count as linear. */
const LINEAR = 1.3;

function linear(results: Results, count: number, name: string): Figure {
  const few = perCredential(results, 5, 1000, name);
  const many = perCredential(results, 1000, count, name);
  return {
    what: `hydrate, time linear in the count: ${name}`,
    bar: `one more credential costs at most ${LINEAR} times as much at ${count} as at 1000`,
    measured: `${many.toFixed(2)} ms against ${few.toFixed(2)} ms`,
    reached: many <= few * LINEAR,
  };
}

function startUp(results: Results, name: string): Figure {
  const samples = (task: TaskName) => samplesOf(results, task, 0, name);
  const found = pairedRatio(samples('--version'), samples('node -e 0'));
  return {
    what: `start-up of --version against node -e 0: ${name}`,
    bar: 'within 1.5 times',
    measured: found === undefined ? 'not measured' : `${found.toFixed(2)} times`,
    reached: found === undefined ? undefined : found <= 1.5,
  };
}

function requestsOf({ requests }: Results, task: TaskName, count: number): Requests | undefined {
  return requests.find((one) => one.task === task && one.credentials === count && one.contestant === 'ours');
}

export function countWords(counts: Readonly<Partial<Record<RequestKind, number>>>): string {
  return (
    Object.entries(counts)
      .map(([kind, times]) => `${times} ${kind}`)
      .join(', ') || 'none'
  );
}
