import { printable } from '../credential/name.ts';

/** Everything that a command says: to people on stderr, data on stdout. It knows nothing of what it prints. */
export interface Terminal {
  /** What failed, and what to do next. Printed at every level. */
  error(message: string, remedy?: string): void;
  /** Printed at every level. */
  warn(message: string): void;
  info(message: string): void;
  verbose(message: string): void;
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
  /** Why data could not be written (a full disk); undefined if it could, or if its reader went away. */
  outputError(): Error | undefined;
}

export type Level = 'quiet' | 'normal' | 'verbose';

export interface TerminalOptions {
  readonly stderr: Output;
  readonly stdout: Output;
  /** Whether stderr is a terminal. */
  readonly isTTY: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly level: Level;
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
  const { isTTY, env, level, now = Date.now } = options;
  const isDumb = env.TERM === 'dumb';
  // Any value but the empty string, says no-color.org.
  const hasColour = isTTY && !isDumb && !env.NO_COLOR;
  const stderr = guarded(options.stderr, () => undefined);
  let outputError: Error | undefined;
  const stdout = guarded(options.stdout, (error) => {
    outputError = error;
    line(`${paint(RED, 'error:')} the output could not be written: ${printable(error.message)}`);
  });
  const progress =
    isTTY && !isDumb && level !== 'quiet' ? progressLine(stderr, options.stderr, now) : undefined;

  const paint = (colour: string, text: string) => (hasColour ? `${colour}${text}${RESET}` : text);
  const line = (text: string) => {
    progress?.erase();
    stderr(`${text}\n`);
  };

  return {
    error(message, remedy) {
      line(`${paint(RED, 'error:')} ${printable(message)}`);
      if (remedy !== undefined) line(`  ${printable(remedy)}`);
    },
    warn: (message) => line(`${paint(YELLOW, 'warning:')} ${printable(message)}`),
    info(message) {
      if (level !== 'quiet') line(printable(message));
    },
    verbose(message) {
      if (level === 'verbose') line(paint(DIM, printable(message)));
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
    outputError: () => outputError,
  };
}

const RED = '\u001b[31m';
const YELLOW = '\u001b[33m';
const DIM = '\u001b[2m';
const RESET = '\u001b[0m';

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
