/** What `watch` says: each change once, and how things stand when that is no longer as it was. */
import type { LogEntry } from '../terminal/log-entry.ts';
import { printEntry, type ReportLine } from '../terminal/report.ts';
import type { Terminal } from '../terminal/terminal.ts';

export interface Narrator {
  /** One event of the watch itself. */
  say(terminal: Terminal, event: LogEntry & { readonly kind: string }): void;
  /** A run's report, without what the run before has said. */
  tell(terminal: Terminal, lines: readonly ReportLine[]): void;
  healthFailed(path: string, error: unknown): void;
}

/** @param json One object a line on stdout, instead of lines for people. */
export function narrate(terminal: Terminal, json: boolean): Narrator {
  let standing: ReadonlySet<string> = new Set();
  let isStoreAway = false;
  let hasToldOfHealth = false;
  let isFirst = true;

  const say: Narrator['say'] = (of, event) => {
    const { kind, level, message, remedy, credential, action, reason } = event;
    if (!json) return printEntry(event, of);
    if (level === 'debug') return;
    const time = new Date().toISOString();
    of.json({
      format: 1,
      time,
      event: kind,
      run: of.run,
      level,
      message,
      remedy,
      credential,
      action,
      reason,
    });
  };

  return {
    say,
    tell(of, lines) {
      const now = new Set<string>();
      for (const line of lines) {
        if (line.kind === 'change') say(of, line);
        // How many there are is of interest once; later, that nothing has changed is not.
        else if (line.kind === 'summary') say(of, isFirst ? line : { ...line, level: 'debug' });
        else {
          // Which of several requests failed first differs from run to run.
          const key = line.kind === 'store' ? line.kind : `${line.kind} ${line.message}`;
          if (!standing.has(key) && !now.has(key)) say(of, line);
          now.add(key);
        }
      }
      const wasAway = isStoreAway;
      isStoreAway = lines.some(({ kind }) => kind === 'store');
      if (wasAway && !isStoreAway && !lines.some(({ kind }) => kind === 'stopped' || kind === 'failure'))
        say(of, { level: 'info', kind: 'store', message: 'the store answers again' });
      standing = now;
      isFirst = false;
    },
    healthFailed(path, error) {
      if (hasToldOfHealth) return;
      hasToldOfHealth = true;
      const why = error instanceof Error ? error.message : String(error);
      terminal.warn(`the health file ${path} cannot be written: ${why}`);
    },
  };
}
