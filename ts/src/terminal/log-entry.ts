/** One message in the form that whoever reads it wants: a person, a log collector, systemd's journal. Pure. */
import { printable } from '../credential/name.ts';

export type LogFormat = 'human' | 'json';
export const LOG_FORMATS: readonly LogFormat[] = ['human', 'json'];

export type LogLevel = 'error' | 'warning' | 'info' | 'debug';

/** What a program may want to look for in a message. */
export interface LogFields {
  readonly credential?: string | undefined;
  /** What was done, in words: `wrote the store and the backup copy`. */
  readonly action?: string | undefined;
  /** Why, in the plan's words. */
  readonly reason?: string | undefined;
}

export interface LogEntry extends LogFields {
  readonly level: LogLevel;
  readonly message: string;
  /** What to do next. */
  readonly remedy?: string | undefined;
}

/** One JSON object on one line. What is escaped for people is valid in JSON in the same form. */
export function jsonLine(entry: LogEntry, run: string, time: Date): string {
  const { level, message, remedy, credential, action, reason } = entry;
  return printable(
    JSON.stringify({ time: time.toISOString(), level, run, message, remedy, credential, action, reason }),
  );
}

/**
 * The lines of a message for the journal: each starts with its priority, which the journal takes off again
 * (sd-daemon(3)), and carries the run's id, since the runs of all units may be read in one stream.
 */
export function journalLines(lines: readonly string[], level: LogLevel, run: string): readonly string[] {
  return lines.map((line) => `<${PRIORITIES[level]}>[${run}] ${line}`);
}

/** syslog(3). */
const PRIORITIES: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, info: 6, debug: 7 };

/**
 * Whether a stream is the journal itself: systemd names its device and inode in JOURNAL_STREAM, which programs also
 * inherit whose output goes elsewhere (systemd.exec(5)).
 */
export function isJournal(
  journalStream: string | undefined,
  stream: { readonly dev: number | bigint; readonly ino: number | bigint },
): boolean {
  return journalStream === `${stream.dev}:${stream.ino}`;
}
