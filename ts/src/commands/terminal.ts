/** The terminal of a process: who reads it, and how much is said. */
import { fstatSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { isJournal, LOG_FORMATS } from '../terminal/log-entry.ts';
import { createTerminal, type Terminal } from '../terminal/terminal.ts';
import { type CommonOptions, levelOf } from './options.ts';

const VARIABLE = 'CLIPROXY_LOG_FORMAT';

/** `--log-format`, which all commands have. */
export function addLogFormat(command: Command): Command {
  const option = new Option(
    '--log-format <format>',
    `messages as lines for people, or as JSON (${VARIABLE})`,
  );
  return command.addOption(option.choices(LOG_FORMATS));
}

/** The terminal that the options and the environment ask for. */
export function terminalFor(options: CommonOptions): Terminal {
  const { stderr, stdout, env } = process;
  // The env file is not read yet, and what is wrong with it is to be said in this form too.
  const asked = options.logFormat ?? env[VARIABLE]?.trim() ?? '';
  const known = LOG_FORMATS.find((name) => name === asked);
  const format = known ?? 'human';
  const terminal = createTerminal({
    stderr,
    stdout,
    isTTY: stderr.isTTY === true,
    env,
    level: levelOf(options),
    format: format === 'human' && writesToJournal(env) ? 'journal' : format,
  });
  if (asked !== '' && known === undefined)
    terminal.warn(`${VARIABLE} is none of ${LOG_FORMATS.join(', ')}: messages are for people`);
  return terminal;
}

function writesToJournal(env: NodeJS.ProcessEnv): boolean {
  if (!env.JOURNAL_STREAM) return false;
  try {
    return isJournal(env.JOURNAL_STREAM, fstatSync(2, { bigint: true }));
  } catch {
    return false;
  }
}
