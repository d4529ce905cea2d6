/** Our programs as a person at a terminal sees them. */
import { fileURLToPath } from 'node:url';
import { type BundleName, bundlePath, type Home, startProgram } from './bundle.ts';

const SCRIPT = fileURLToPath(new URL('./on_terminal.py', import.meta.url));

export interface TerminalOptions {
  readonly columns: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What is typed, once this text was shown. */
  readonly type?: readonly [after: string, keys: string];
  readonly seconds?: number;
}

export interface Shown {
  readonly code: number;
  /** All that came, escape sequences too. */
  readonly shown: string;
}

/** Runs one of our programs on a pseudo-terminal. */
export function onTerminal(
  home: Home,
  program: BundleName,
  args: readonly string[],
  options: TerminalOptions,
): Promise<Shown> {
  return commandOnTerminal(home, [process.execPath, bundlePath(program), ...args], options);
}

/** Runs any command, such as a shell, on a pseudo-terminal. */
export async function commandOnTerminal(
  home: Home,
  command: readonly string[],
  { columns, rows = 40, env = {}, type = ['', ''], seconds = 30 }: TerminalOptions,
): Promise<Shown> {
  const [after, keys] = type;
  const escaped = JSON.stringify(keys).slice(1, -1).replaceAll('\\u00', '\\x');
  const words = [SCRIPT, String(columns), String(rows), String(seconds), after, escaped, ...command];
  const options = { env: { TERM: 'xterm-256color', ...env }, timeoutMs: (seconds + 30) * 1000 };
  const { code, stdout, stderr } = await startProgram('python3', words, home, options).ended;
  if (code !== 0) throw new Error(`on_terminal.py ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
