import { createInterface } from 'node:readline';
import { printable } from '../credential/name.ts';

/**
 * Asks a person. Anything but yes is no; so is the end of the input.
 *
 * @returns Undefined if there is no terminal to ask on.
 */
export async function confirm(question: string): Promise<boolean | undefined> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY || !stderr.isTTY) return undefined;
  const lines = createInterface({ input: stdin, output: stderr });
  try {
    const answer = await new Promise<string>((resolve) => {
      lines.once('close', () => resolve(''));
      lines.once('SIGINT', () => resolve(''));
      lines.question(`${printable(question)} [y/N] `, resolve);
    });
    return /^\s*y(es)?\s*$/i.test(answer);
  } finally {
    lines.close();
  }
}
