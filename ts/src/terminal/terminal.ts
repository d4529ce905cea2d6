import { randomBytes } from 'node:crypto';
import { printable } from '../credential/name.ts';
import { sentences } from '../sync/words.ts';
import { journalLines, jsonLine, type LogEntry, type LogFields, type LogLevel } from './log-entry.ts';

/** Everything that a command says: to people on stderr, data on stdout. It knows nothing of what it prints. */
export interface Terminal {
  /** What the lines of this run carry in JSON, in the journal, and where more is said. */
  readonly run: string;
  /** What failed, and what to do next. Printed at every level. */
  error(message: string, remedy?: string, fields?: LogFields): void;
  /** What is wrong without being a failure, and what to do, in one line. Printed at every level. */
  warn(message: string, remedy?: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  verbose(message: string, fields?: LogFields): void;
  /** A line of a list of checks. Those that are well are left out where little is to be said. */
  mark(mark: Mark, message: string, remedy?: string): void;
  /**
   * How far a longer work is; on a terminal only, and only once it has taken a second. Call it as often as you
   * like. It goes away when `done` reaches `total`, and before anything else is printed.
   */
  progress(text: string, done: number, total: number): void;
  /** Takes the progress line away; for the end of work that did not get to its total. */
  clear(): void;
  /** Data for another program, as it is: no newline is added and nothing is escaped. */
  data(text: string): void;
  /** A JSON document, or one of a stream of them, on a line of its own. */
  json(value: unknown): void;
  /** The same terminal for the next of several runs in one process: with an id of its own. */
  nextRun(): Terminal;
}

export type Level = 'quiet' | 'normal' | 'verbose';

export type Mark = 'ok' | 'warning' | 'failed' | 'skipped';

export interface TerminalOptions {
  readonly stderr: Output;
  readonly stdout: Output;
  /** Whether stderr is a terminal. */
  readonly isTTY: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly level: Level;
  /** What stderr is written for. Default: people. */
  readonly format?: 'human' | 'json' | 'journal';
  /** The id of the run. Default: a random one. */
  readonly run?: string;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

/** As much of a stream as is needed. */
export interface Output {
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  readonly columns?: number;
}

/**
 * A reader that goes away (`cliproxyapi-sync status | head -1`) is no error: the rest is dropped, and the command
 * ends with its own exit code.
 */
export function createTerminal(options: TerminalOptions): Terminal {
  const { isTTY, env, level, format = 'human', now = Date.now } = options;
  const isDumb = env.TERM === 'dumb';
  // Any value but the empty string, says no-color.org.
  const hasColour = isTTY && !isDumb && !env.NO_COLOR && format === 'human';
  const stderr = guarded(options.stderr, () => undefined);
  const stdout = guarded(options.stdout, (error) => {
    terminal.error(`the output could not be written: ${error.message}`);
  });
  const progress =
    isTTY && !isDumb && level !== 'quiet' && format === 'human'
      ? progressLine(stderr, options.stderr, now)
      : undefined;
  const paint = (colour: string | undefined, text: string) =>
    hasColour && colour !== undefined ? `${colour}${text}${RESET}` : text;
  const isSaid = (of: LogLevel) =>
    of === 'error' || of === 'warning' || (of === 'info' ? level !== 'quiet' : level === 'verbose');

  const forRun = (run: string): Terminal => {
    const say = (entry: LogEntry, lines: readonly string[]) => {
      if (!isSaid(entry.level)) return;
      progress?.erase();
      if (format === 'json') stderr(`${jsonLine(entry, run, new Date(now()))}\n`);
      else {
        const shown = format === 'journal' ? journalLines(lines, entry.level, run) : lines;
        stderr(shown.map((line) => `${line}\n`).join(''));
      }
    };
    const remedyLines = (remedy: string | undefined) =>
      remedy === undefined ? [] : [`  ${printable(remedy)}`];
    return {
      run,
      error(message, remedy, fields) {
        const line = `${paint(RED, 'error:')} ${printable(message)}`;
        say({ level: 'error', message, remedy, ...fields }, [line, ...remedyLines(remedy)]);
      },
      warn(message, remedy, fields) {
        const text = remedy === undefined ? message : sentences(message, remedy);
        const line = `${paint(YELLOW, 'warning:')} ${printable(text)}`;
        say({ level: 'warning', message, remedy, ...fields }, [line]);
      },
      info: (message, fields) => say({ level: 'info', message, ...fields }, [printable(message)]),
      verbose(message, fields) {
        // The journal's lines have it already.
        const id = format === 'human' ? `[${run}] ` : '';
        say({ level: 'debug', message, ...fields }, [paint(DIM, `${id}${printable(message)}`)]);
      },
      mark(mark, message, remedy) {
        const { sign, colour, level: of } = MARKS[mark];
        const line = `${paint(colour, `${sign} ${mark.padEnd(MARK_WIDTH)}`)} ${printable(message)}`;
        const lines = [line, ...remedyLines(remedy).map((text) => `${' '.repeat(MARK_WIDTH)} ${text}`)];
        say({ level: of, message: `${mark}: ${message}`, remedy }, lines);
      },
      progress(text, done, total) {
        progress?.show(printable(text), done, total);
      },
      clear: () => progress?.clear(),
      data(text) {
        progress?.erase();
        stdout(text);
      },
      json(value) {
        progress?.erase();
        // What is escaped for people is valid in JSON in the same form, and a terminal is safe from it.
        stdout(`${printable(JSON.stringify(value ?? null))}\n`);
      },
      nextRun: () => forRun(newRunId()),
    };
  };
  const terminal = forRun(options.run ?? newRunId());
  return terminal;
}

/** Short enough to be read out, long enough to find one run among a month's. */
function newRunId(): string {
  return randomBytes(4).toString('hex');
}

const RED = '\u001b[31m';
const YELLOW = '\u001b[33m';
const GREEN = '\u001b[32m';
const DIM = '\u001b[2m';
const RESET = '\u001b[0m';

/** The sign alone tells them apart, and so does the word. */
const MARKS = {
  ok: { sign: '✓', colour: GREEN, level: 'info' },
  warning: { sign: '!', colour: YELLOW, level: 'warning' },
  failed: { sign: '✗', colour: RED, level: 'error' },
  skipped: { sign: '-', colour: DIM, level: 'info' },
} as const satisfies Record<Mark, { sign: string; colour: string; level: LogLevel }>;
const MARK_WIDTH = 'warning'.length;

/** Writes until the stream fails; then drops, and tells once unless the reader just went away. */
function guarded(output: Output, failed: (error: Error) => void): (text: string) => void {
  let open = true;
  output.on('error', (error) => {
    if (!open) return;
    open = false;
    if (!('code' in error) || error.code !== 'EPIPE') failed(error);
  });
  return (text) => {
    if (open) output.write(text);
  };
}

interface ProgressLine {
  show(text: string, done: number, total: number): void;
  /** Makes room for other output; the next `show` draws it again. */
  erase(): void;
  /** Ends it. */
  clear(): void;
}

/** Work shorter than this shows nothing. */
const PROGRESS_AFTER_MS = 1000;
const PROGRESS_EVERY_MS = 100;
const ERASE_LINE = '\r\u001b[2K';

function progressLine(write: (text: string) => void, output: Output, now: () => number): ProgressLine {
  let started: number | undefined;
  let drawn: number | undefined;
  const erase = () => {
    if (drawn !== undefined) write(ERASE_LINE);
    drawn = undefined;
  };
  return {
    erase,
    clear() {
      erase();
      started = undefined;
    },
    show(text, done, total) {
      if (done >= total) {
        this.clear();
        return;
      }
      const time = now();
      started ??= time;
      if (time - started < PROGRESS_AFTER_MS) return;
      if (drawn !== undefined && time - drawn < PROGRESS_EVERY_MS) return;
      drawn = time;
      // A line that wraps could not be erased.
      write(`${ERASE_LINE}${`${text} ${done}/${total}`.slice(0, Math.max(0, (output.columns ?? 80) - 1))}`);
    },
  };
}
