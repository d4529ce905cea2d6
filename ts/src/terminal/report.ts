/** One run's report, for people and as JSON. */
import { parseName } from '../credential/name.ts';
import type { CredentialResult } from '../sync/apply.ts';
import type { Action, Place } from '../sync/model.ts';
import { putBackWords } from '../sync/put-back.ts';
import type { RunReport } from '../sync/run.ts';
import { placeNames, problemSubject, sentences, shellWord, shortId } from '../sync/words.ts';
import type { LogEntry, LogLevel } from './log-entry.ts';
import type { Terminal } from './terminal.ts';

export function printReport(
  command: string,
  report: RunReport,
  options: { readonly dryRun: boolean; readonly json: boolean },
  terminal: Terminal,
): void {
  for (const line of reportLines(command, report, options.dryRun)) {
    // The JSON document has what was done.
    if (!options.json || line.kind !== 'change') printEntry(line, terminal);
  }
}

/** One thing that a report says. */
export interface ReportLine extends LogEntry {
  /** `change`: something that this run did; the others are how things stand. */
  readonly kind:
    | 'change'
    | 'failure'
    | 'held'
    | 'problem'
    | 'guard'
    | 'weakness'
    | 'store'
    | 'stopped'
    | 'busy'
    | 'pending'
    | 'summary';
  /** Of a change: two or more of them had met. */
  readonly isConflict?: boolean;
  /** Of a problem: the file, key or directory that has it. */
  readonly subject?: string;
}

/** Prints a message at its level. */
export function printEntry(entry: LogEntry, terminal: Terminal): void {
  const { level, message, remedy, credential, action, reason } = entry;
  const fields = { credential, action, reason };
  if (level === 'error') terminal.error(message, remedy, fields);
  else if (level === 'warning') terminal.warn(message, remedy, fields);
  else if (level === 'info') terminal.info(message, fields);
  else terminal.verbose(message, fields);
}

/** All that a report says, in the order in which a person wants to hear it. */
export function reportLines(command: string, report: RunReport, dryRun: boolean): readonly ReportLine[] {
  const lines = report.results.flatMap((result) => resultLines(result, dryRun));
  lines.push(...heldLines(report.held));
  for (const { subject, place, reason, remedy } of report.problems.slice(0, MOST)) {
    const message = `${problemSubject({ subject, place })} ${reason}`;
    const named = parseName(subject);
    const credential = named.ok ? named.name : undefined;
    lines.push({ level: 'warning', kind: 'problem', message, remedy, credential, reason, subject });
  }
  if (report.problems.length > MOST)
    lines.push({ level: 'warning', kind: 'problem', message: more(report.problems) });
  if (report.guard) {
    const { names, total } = report.guard;
    lines.push({
      level: 'error',
      kind: 'guard',
      message: `the mass-deletion guard held: ${names.length} of ${total} credentials would be deleted (${names.join(', ')})`,
      remedy: `Nothing was deleted. If they are meant to go: \`cliproxyapi-sync forget ${names.map(shellWord).join(' ')}\``,
    });
  }
  for (const weakness of report.weaknesses)
    lines.push({ level: 'warning', kind: 'weakness', message: weakness });
  if (report.storeError) {
    const { message, remedy } = report.storeError;
    lines.push({
      level: 'error',
      kind: 'store',
      message: sentences(
        message,
        'Nothing was deleted; local files were only brought in step with each other.',
      ),
      remedy,
    });
  }
  if (report.stopped !== undefined) {
    const message = `stopped: ${report.stopped}`;
    lines.push({ level: 'error', kind: 'stopped', message, remedy: RUN_AGAIN });
  }
  if (report.busy !== undefined)
    lines.push({
      level: 'warning',
      kind: 'busy',
      message: report.busy,
      remedy: 'The next run looks at it.',
    });
  if (report.pending.length > 0)
    lines.push({ level: 'info', kind: 'pending', message: pendingWords(report) });
  if (report.exitCode === 0)
    lines.push({ level: 'info', kind: 'summary', message: summary(command, report, dryRun) });
  return lines;
}

/** What is left as it is. Of many that wait for the store and nothing else, one line. */
function heldLines(held: RunReport['held']): ReportLine[] {
  const one = ({ name, waitsFor, reason, remedy }: RunReport['held'][number]): ReportLine => ({
    level: waitsFor === 'person' ? 'error' : 'warning',
    kind: 'held',
    message: `${name}: left as it is: ${reason}`,
    remedy,
    credential: name,
    action: 'left as it is',
    reason,
  });
  const forPerson = held.filter(({ waitsFor }) => waitsFor === 'person');
  const waiting = held.filter(({ waitsFor }) => waitsFor === 'store');
  const remedies = [...new Set(waiting.map(({ remedy }) => remedy))];
  return [
    ...forPerson.slice(0, MOST).map(one),
    ...(forPerson.length > MOST ? [{ level: 'error', kind: 'held', message: more(forPerson) } as const] : []),
    ...remedies.flatMap((remedy): ReportLine[] => {
      const same = waiting.filter((each) => each.remedy === remedy);
      if (same.length < 3) return same.map(one);
      const message = `${same.length} deletions wait for the store (${someNames(same)})`;
      return [{ level: 'warning', kind: 'held', message, remedy }];
    }),
  ];
}

/** A store that holds a hundred thousand bad names fills no journal, run after run. */
const MOST = 100;

function more(all: readonly unknown[]): string {
  return `${(all.length - MOST).toLocaleString('en')} more like these; \`--json\` has all of them.`;
}

const RUN_AGAIN = 'Run it again; `cliproxyapi-sync doctor` says if something is in the way.';

/** What `--json` prints; `format` rises when a reader would have to change. */
export function reportJson(command: string, report: RunReport, dryRun: boolean): object {
  return {
    format: 1,
    command,
    dryRun,
    exitCode: report.exitCode,
    store: report.store,
    credentials: report.credentials,
    results: report.results.map(({ plan, outcome, failures }) => ({
      name: plan.name,
      outcome: dryRun ? 'planned' : outcome,
      reason: reasonOf(plan.decision),
      conflict: plan.decision.kind === 'spread' && plan.decision.conflict,
      stale: plan.decision.kind === 'spread' && plan.decision.stale,
      actions: plan.actions.map(actionJson),
      failures,
    })),
    pending: report.pending,
    held: report.held,
    problems: report.problems,
    guard: report.guard ?? null,
    weaknesses: report.weaknesses,
    error: report.storeError
      ? { message: report.storeError.message, remedy: report.storeError.remedy }
      : null,
    stopped: report.stopped ?? null,
    busy: report.busy ?? null,
  };
}

function resultLines(
  { plan, outcome, failures, putBack = [] }: CredentialResult,
  dryRun: boolean,
): ReportLine[] {
  const { name, decision, actions } = plan;
  const reason = reasonOf(decision);
  const lines = failures.map(
    (failure): ReportLine => ({
      level: 'error',
      kind: 'failure',
      message: `${name}: ${failure}`,
      credential: name,
      reason: failure,
    }),
  );
  if (outcome !== 'done') return lines;
  const wrote = placesOf(actions, 'write');
  const removed = placesOf(actions, 'remove');
  const steps = [
    ...(wrote.length > 0 ? [`${dryRun ? 'write' : 'wrote'} ${placeNames(wrote)}`] : []),
    ...(removed.length > 0 ? [`${dryRun ? 'remove from' : 'removed from'} ${placeNames(removed)}`] : []),
    ...(actions.some(({ kind }) => kind === 'bury')
      ? [dryRun ? 'record the deletion' : 'recorded the deletion']
      : []),
  ];
  const action = steps.join(', ') || 'nothing to write';
  const change = (level: LogLevel, message: string, done: string, why: string, remedy?: string) =>
    lines.push({ level, kind: 'change', message, remedy, credential: name, action: done, reason: why });
  const isConflict = decision.kind === 'spread' && decision.conflict;
  lines.push({
    level: 'info',
    kind: 'change',
    message: `${name}: ${action} (${reason})`,
    credential: name,
    action,
    reason,
    isConflict,
  });
  for (const kept of actions) {
    if (kept.kind !== 'keep') continue;
    const where = kept.where === 'history' ? "in the store's history" : 'on this host';
    const done = `kept ${where}: version ${shortId(kept.version.id)}`;
    change('debug', `${name}: ${done} (${kept.reason})`, done, kept.reason);
  }
  for (const one of putBack) {
    const { reason: why, remedy } = putBackWords(name, one);
    change('info', `${name}: ${why}. ${remedy}`, 'put back', why);
  }
  if (decision.kind === 'spread' && decision.stale) {
    const message = `${name}: an older file was put back and not taken; it is kept in history`;
    const remedy = `If it is the one you want: \`cliproxyapi-sync history ${shellWord(name)}\`, then restore.`;
    change('warning', message, 'not taken', 'an older file was put back', remedy);
  }
  return lines;
}

function reasonOf(decision: CredentialResult['plan']['decision']): string {
  return 'reason' in decision ? decision.reason : '';
}

function placesOf(actions: readonly Action[], kind: 'write' | 'remove'): readonly Place[] {
  return actions.flatMap((action) => (action.kind === kind ? [action.place] : []));
}

function actionJson(action: Action): unknown {
  const { kind, reason } = action;
  switch (action.kind) {
    case 'keep':
      return { kind, version: action.version.id, where: action.where, reason };
    case 'keep-aside':
    case 'write':
    case 'remove':
      return { kind, place: action.place, reason };
    case 'bury':
    case 'unbury':
      return { kind, reason };
  }
}

function pendingWords({ pending, proxyPushes }: RunReport): string {
  const places = [...new Set(pending.flatMap((item) => item.places))];
  const count = pending.length === 1 ? '1 credential is' : `${pending.length} credentials are`;
  return `${count} not yet in ${placeNames(places)} (${someNames(pending)}); ${
    proxyPushes
      ? 'the proxy that runs brings them there, or its next start.'
      : 'sync or backup brings them there.'
  }`;
}

/** The first of them, and that there are more. */
function someNames(all: readonly { readonly name: string }[]): string {
  const names = all.slice(0, 3).map(({ name }) => name);
  return `${names.join(', ')}${all.length > 3 ? ', ...' : ''}`;
}

function summary(command: string, report: RunReport, dryRun: boolean): string {
  const count = `${report.credentials} credential${report.credentials === 1 ? '' : 's'}`;
  const changed = report.results.filter(({ outcome }) => outcome === 'done').length;
  if (command === 'forget')
    return `forget: ${changed} ${dryRun ? 'would be deleted' : 'deleted'}; store ${report.store.location}`;
  const what = changed === 0 ? 'all in step' : dryRun ? `${changed} would change` : `${changed} changed`;
  return `${command}: ${count}, ${what}; store ${report.store.location}`;
}
