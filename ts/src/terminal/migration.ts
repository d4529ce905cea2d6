/** One migration's report, for people and as JSON. */
import type { Copied, MigrateReport } from '../migrate/migrate.ts';
import type { Terminal } from './terminal.ts';

export interface MigrationWords {
  readonly source: string;
  readonly target: string;
  readonly dryRun: boolean;
}

export function printMigration(
  report: MigrateReport,
  { source, target, dryRun, json }: MigrationWords & { readonly json: boolean },
  terminal: Terminal,
): void {
  if (report.refused) {
    terminal.error(report.refused.reason, report.refused.remedy);
    return;
  }
  if (!json) {
    for (const { plan } of report.results) {
      const conflict = plan.decision.kind === 'spread' && plan.decision.conflict;
      const said = `${plan.name}: ${'reason' in plan.decision ? plan.decision.reason : ''}`;
      if (conflict) terminal.info(said);
      else terminal.verbose(said);
    }
  }
  for (const what of report.wrong)
    terminal.error(what, `Run the same command again; if it stays, look into ${target}.`);
  for (const what of report.leftBehind) terminal.warn(`left behind in ${source}: ${what}`);
  const { credentials, tombstones, history } = report;
  terminal.info(
    `migrate: ${source} -> ${target}: ${[
      counted(credentials, 'credential', dryRun),
      counted(history, 'version of history', dryRun, 'versions of history'),
      counted(tombstones, 'deletion', dryRun),
      CONFIG[report.config](dryRun),
    ].join('; ')}${report.wrong.length > 0 || dryRun ? '' : '; all read back'}`,
  );
}

/** What `--json` prints; `format` rises when a reader would have to change. */
export function migrationJson(report: MigrateReport, { source, target, dryRun }: MigrationWords): unknown {
  const { exitCode, credentials, tombstones, history, config, leftBehind, wrong, refused } = report;
  return {
    format: 1,
    command: 'migrate',
    dryRun,
    exitCode,
    source,
    target,
    credentials,
    tombstones,
    history,
    config,
    results: report.results.map(({ plan, outcome, failures }) => ({
      name: plan.name,
      outcome: dryRun ? 'planned' : outcome,
      reason: 'reason' in plan.decision ? plan.decision.reason : '',
      failures,
    })),
    leftBehind,
    wrong,
    refused: refused ?? null,
  };
}

function counted({ total, written }: Copied, one: string, dryRun: boolean, many = `${one}s`): string {
  if (total === 0) return `no ${many}`;
  const copied = dryRun ? `${written} to copy` : `${written} copied`;
  return `${total} ${total === 1 ? one : many} (${written === total ? copied : `${copied}, the others are there`})`;
}

const CONFIG = {
  none: () => 'no config',
  copied: (dryRun: boolean) => (dryRun ? 'config to copy' : 'config copied'),
  there: () => 'the config is there',
  kept: () => "the target's own config stays, the other one is in its history",
};
