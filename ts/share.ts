/**
 * Writes man pages and completions below a directory; the Nix package runs it on its own `share`.
 *
 *     tsx share.ts DIRECTORY
 *
 * They are made when the package is, and not kept in the repository: nothing there can be stale, and the pages carry
 * the version.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { shareFiles } from './src/reference/share.ts';

const [, , directory] = process.argv;
if (directory === undefined) throw new Error('share.ts needs the directory to write to');
for (const [path, text] of shareFiles()) {
  const file = join(directory, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
