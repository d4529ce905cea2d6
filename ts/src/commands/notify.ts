import { type FinishedRun, notify } from '../notify/notify.ts';
import type { Settings } from '../settings/settings.ts';
import type { RunReport } from '../sync/run.ts';
import { type ReportLine, reportLines } from '../terminal/report.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { SyncCommand } from './options.ts';
import { describe } from './options.ts';

interface Ran {
  readonly command: SyncCommand;
  readonly settings: Settings;
  /** The run's own. */
  readonly terminal: Terminal;
  /** What the user's command may take, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Runs a run, and has a person told who is not looking if it went wrong, or is well again.
 *
 * @param say Tells who is looking: first, since the other may take its time.
 */
export async function withNotice(
  ran: Ran,
  run: () => Promise<RunReport>,
  say: (report: RunReport) => void,
): Promise<RunReport> {
  let report: RunReport;
  try {
    report = await run();
  } catch (error) {
    const { code, message, remedy } = describe(error);
    const lines: ReportLine[] = [{ level: 'error', kind: 'failure', message, remedy }];
    await tell(ran, { exitCode: code, store: undefined, lines });
    throw error;
  }
  say(report);
  const { exitCode, store } = report;
  await tell(ran, { exitCode, store, lines: reportLines(ran.command, report, false) });
  return report;
}

async function tell(
  { command, settings, terminal, timeoutMs }: Ran,
  found: Pick<FinishedRun, 'exitCode' | 'store' | 'lines'>,
): Promise<void> {
  const run: FinishedRun = { id: terminal.run, command, wroteStore: command !== 'hydrate', ...found };
  const problem = await notify(settings, run, timeoutMs).catch(
    (error: unknown) => `CLIPROXY_NOTIFY_COMMAND: ${error instanceof Error ? error.message : String(error)}`,
  );
  if (problem !== undefined) terminal.warn(problem);
}
