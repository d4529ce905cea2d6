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

/** Runs one of our programs on a pseudo-terminal. `shown`: all that came, escape sequences too. */
export async function onTerminal(
  home: Home,
  program: BundleName,
  args: readonly string[],
  { columns, rows = 40, env = {}, type = ['', ''], seconds = 30 }: TerminalOptions,
): Promise<{ readonly code: number; readonly shown: string }> {
  const [after, keys] = type;
  const escaped = JSON.stringify(keys).slice(1, -1).replaceAll('\\u00', '\\x');
  const command = [process.execPath, bundlePath(program), ...args];
  const words = [SCRIPT, String(columns), String(rows), String(seconds), after, escaped, ...command];
  const options = { env: { TERM: 'xterm-256color', ...env } };
  const { code, stdout, stderr } = await startProgram('python3', words, home, options).ended;
  if (code !== 0) throw new Error(`on_terminal.py ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
