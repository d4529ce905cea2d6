/**
 * The way into every program. What runs on every start is kept to this file: everything else, Node's own modules
 * included, is loaded when it is needed.
 */
import type { ProgramName } from '../commands/main.ts';
import { VERSION } from '../version.ts';

/** Runs a program on the process's own arguments and ends the process with its exit code. */
export async function start(program: ProgramName): Promise<void> {
  const args = process.argv.slice(2);
  if (program !== 'wrapper' && args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    // A reader that goes away is no error; a full disk is, and no reason to show a person a stack.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') return;
      process.exitCode = 1;
      process.stderr.write(`error: the output could not be written: ${error.message}\n`);
    });
    process.stdout.write(`${program} ${VERSION}\n`);
    return;
  }
  const { main } = await import('#main');
  // What a deadline left behind, such as a request that is never answered, holds nobody up.
  process.exit(await main(program, args));
}
