/** What `doctor` found, for people and as JSON. */
import type { Result } from '../doctor/check.ts';
import type { Terminal } from './terminal.ts';

/** One line, and below it what to type. */
export function printResult({ title, finding, fixed }: Result, terminal: Terminal): void {
  const message = `${title}: ${finding.message}${fixed ? ' (was put right just now)' : ''}`;
  terminal.mark(finding.status, message, 'remedy' in finding ? finding.remedy : undefined);
}

/** What is to be done, in one line. */
export function printVerdict(results: readonly Result[], terminal: Terminal): void {
  const count = (status: string) => results.filter(({ finding }) => finding.status === status).length;
  const failed = count('failed');
  const warnings = count('warning');
  const mendable = results.filter(({ finding }) => 'fix' in finding && finding.fix !== undefined).length;
  const found = [
    failed > 0 ? `${failed} failed` : 'nothing failed',
    ...(warnings > 0 ? [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`] : []),
  ].join(', ');
  const hint = mendable > 0 ? '; `cliproxyapi-sync doctor --fix` puts right what is safe to put right' : '';
  terminal.info(`${found} of ${results.length} checks${hint}`);
}

/** What `--json` prints; `format` rises when a reader would have to change (docs/doctor.schema.json). */
export function doctorJson(results: readonly Result[], exitCode: number): unknown {
  return {
    format: 1,
    exitCode,
    checks: results.map(({ id, title, finding, fixed }) => ({
      id,
      title,
      status: finding.status,
      message: finding.message,
      remedy: 'remedy' in finding ? finding.remedy : null,
      fixable: 'fix' in finding && finding.fix !== undefined,
      fixed,
    })),
  };
}
