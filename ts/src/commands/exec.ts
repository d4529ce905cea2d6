import { findProxyProgram } from '../proxy/program.ts';
import { exitCode, runProxy } from '../proxy/run.ts';
import { proxyEnvironment } from '../settings/proxy-environment.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { CommonOptions } from './options.ts';
import { prepareProxy, runBefore } from './start.ts';
import { settingsFor } from './sync.ts';

/** Arguments with which the proxy only prints something: nothing is synced for them. */
const PRINTS_ONLY: ReadonlySet<string> = new Set(['-h', '-help', '--help', '-version', '--version']);

/** What the store may cost after the proxy's program has ended, in milliseconds. */
const AFTERWARDS_MS = 60_000;

/** `exec` and the wrapper: sync, run the proxy's program, sync again, and exit with its code. */
export async function execCommand(
  args: readonly string[],
  options: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  const settings = await settingsFor(options, terminal);
  if (args.some((arg) => PRINTS_ONLY.has(arg))) {
    const program = await findProxyProgram(settings, process.argv[1] ?? '');
    return exitCode(await runProxy({ program, args, cwd: process.cwd(), env: proxyEnvironment(settings) }));
  }
  const { command, onChild } = await prepareProxy(args, settings, terminal);
  const ended = await runProxy(command, onChild);
  // A login that was just made is worth waiting for longer than at a start.
  await runBefore('sync', settings, Date.now() + AFTERWARDS_MS, terminal);
  return exitCode(ended);
}
