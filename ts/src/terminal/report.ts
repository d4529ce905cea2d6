/** One run's report, for people and as JSON. */
import type { CredentialResult } from '../sync/apply.ts';
import type { Action, Place } from '../sync/model.ts';
import type { RunReport } from '../sync/run.ts';
import { placeName, placeNames, sentences } from '../sync/words.ts';
import type { Terminal } from './terminal.ts';

export function printReport(
  command: string,
  report: RunReport,
  { dryRun, json }: { readonly dryRun: boolean; readonly json: boolean },
  terminal: Terminal,
): void {
  for (const result of report.results) printResult(result, dryRun, json, terminal);
  for (const { name, waitsFor, reason, remedy } of report.held) {
    if (waitsFor === 'person') terminal.error(`${name}: left as it is: ${reason}`, remedy);
    else terminal.warn(sentences(`${name}: left as it is: ${reason}`, remedy));
  }
  for (const { subject, place, reason, remedy } of report.problems) {
    terminal.warn(`${subject}${place === 'state' ? '' : ` (${placeName(place)})`} ${reason}. ${remedy}`);
  }
  if (report.guard) {
    const { names, total } = report.guard;
    terminal.error(
      `the mass-deletion guard held: ${names.length} of ${total} credentials would be deleted (${names.join(', ')})`,
      `Nothing was deleted. If some are meant to go: delete them again, then run cliproxyapi-sync sync --allow-delete ${names.join(' ')}`,
    );
  }
  for (const weakness of report.weaknesses) terminal.warn(weakness);
  if (report.storeError) {
    const { message, remedy } = report.storeError;
    terminal.error(
      sentences(message, 'Nothing was deleted; local files were only brought in step with each other.'),
      remedy,
    );
  }
  if (report.stopped !== undefined) terminal.error(`stopped: ${report.stopped}`, 'Run it again.');
  if (report.busy !== undefined) terminal.warn(sentences(report.busy, 'The next run looks at it.'));
  if (report.pending.length > 0) terminal.info(pendingWords(report));
  if (report.exitCode === 0) terminal.info(summary(command, report, dryRun));
}

/** What `--json` prints; `format` rises when a reader would have to change. */
export function reportJson(command: string, report: RunReport, dryRun: boolean): unknown {
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

function printResult(
  { plan, outcome, failures }: CredentialResult,
  dryRun: boolean,
  json: boolean,
  terminal: Terminal,
): void {
  const { name, decision, actions } = plan;
  for (const failure of failures) terminal.error(`${name}: ${failure}`);
  if (outcome !== 'done' || json) return;
  const wrote = placesOf(actions, 'write');
  const removed = placesOf(actions, 'remove');
  const steps = [
    ...(wrote.length > 0 ? [`${dryRun ? 'write' : 'wrote'} ${placeNames(wrote)}`] : []),
    ...(removed.length > 0 ? [`${dryRun ? 'remove from' : 'removed from'} ${placeNames(removed)}`] : []),
    ...(actions.some(({ kind }) => kind === 'bury')
      ? [dryRun ? 'record the deletion' : 'recorded the deletion']
      : []),
  ];
  terminal.info(`${name}: ${steps.join(', ') || 'nothing to write'} (${reasonOf(decision)})`);
  for (const action of actions) {
    if (action.kind === 'keep') {
      terminal.verbose(
        `${name}: ${action.where === 'history' ? "in the store's history" : 'kept on this host'}: version ${action.version.id.slice(0, 12)} (${action.reason})`,
      );
    }
  }
  if (decision.kind === 'spread' && decision.stale) {
    terminal.warn(
      `${name}: an older file was put back and not taken; it is kept in history. If it is the one you want: cliproxyapi-sync history ${name}, then restore.`,
    );
  }
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
  const names = pending.slice(0, 3).map(({ name }) => name);
  return `${count} not yet in ${placeNames(places)} (${names.join(', ')}${pending.length > 3 ? ', ...' : ''}); ${
    proxyPushes
      ? 'the proxy that runs brings them there, or its next start.'
      : 'sync or backup brings them there.'
  }`;
}

function summary(command: string, report: RunReport, dryRun: boolean): string {
  const count = `${report.credentials} credential${report.credentials === 1 ? '' : 's'}`;
  const changed = report.results.filter(({ outcome }) => outcome === 'done').length;
  if (command === 'forget')
    return `forget: ${changed} ${dryRun ? 'would be deleted' : 'deleted'}; store ${report.store.location}`;
  const what = changed === 0 ? 'all in step' : dryRun ? `${changed} would change` : `${changed} changed`;
  return `${command}: ${count}, ${what}; store ${report.store.location}`;
}
