import { Command, CommanderError } from 'commander';
import { printable } from '../credential/name.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { VERSION } from '../version.ts';
import { type Example, type ExitMeanings, withHelp } from './command-help.ts';
import { defineCompletion, defineListNames } from './completion.ts';
import { defineDoctor } from './doctor.ts';
import { defineForget } from './forget.ts';
import { defineHistory } from './history.ts';
import { defineMigrate } from './migrate.ts';
import {
  type CommonOptions,
  commonOptions,
  EXIT,
  EXIT_MEANINGS,
  type ExitCode,
  explain,
  type RunOptions,
} from './options.ts';
import { defineRestore } from './restore.ts';
import { defineServices } from './services.ts';
import { defineStatus } from './status.ts';
import { syncCommand } from './sync.ts';
import { addLogFormat, terminalFor } from './terminal.ts';
import { defineWatch } from './watch.ts';

export type ProgramName = 'hydrate' | 'backup' | 'start' | 'wrapper' | 'cliproxyapi-sync';

/**
 * Runs one of the programs.
 *
 * @param args The arguments after the program's name.
 * @returns The exit code.
 */
export async function main(program: ProgramName, args: readonly string[]): Promise<number> {
  // A reader that goes away (`--help | head -1`) is no error; commander writes without looking.
  let isWritten = true;
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') isWritten = false;
  });
  const exitCode = await command(program, args);
  // That the last of the output could not be written shows only now.
  await new Promise((resolve) => process.stdout.write('', resolve));
  return isWritten || exitCode !== EXIT.done ? exitCode : EXIT.failed;
}

async function command(program: ProgramName, args: readonly string[]): Promise<number> {
  // All of its arguments are the proxy's.
  if (program === 'wrapper') return act({}, (terminal) => exec(args, {}, terminal));

  let exitCode: number = EXIT.done;
  const setExit = (code: number) => {
    exitCode = code;
  };
  const parser = parserFor(program, setExit);
  try {
    await parser.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed what was wrong, or the help that was asked for.
    if (error.exitCode === 0) return EXIT.done;
    if (args.includes('--json')) {
      const message = error.message.replace(/^error: /, '');
      process.stdout.write(`${printable(JSON.stringify({ exitCode: EXIT.usage, error: { message } }))}\n`);
    }
    return EXIT.usage;
  }
  return exitCode;
}

type SetExit = (code: number) => void;

/** The command line of a program. The wrapper has none: all of its arguments are the proxy's. */
export function parserFor(program: Exclude<ProgramName, 'wrapper'>, setExit: SetExit): Command {
  return program === 'cliproxyapi-sync' ? allCommands(setExit) : single(program, setExit);
}

function allCommands(setExit: SetExit): Command {
  const root = new Command('cliproxyapi-sync')
    .description("Keeps CLIProxyAPI's OAuth logins safe and in step across machines.")
    .version(`cliproxyapi-sync ${VERSION}`)
    .exitOverride()
    .showHelpAfterError('(cliproxyapi-sync --help lists the commands)')
    // What follows a command that runs the proxy is the proxy's.
    .enablePositionalOptions();
  withHelp(root, {
    exitCodes: EXIT_MEANINGS,
    examples: [
      ['cliproxyapi-sync sync', 'bring this machine and the store in step'],
      ['cliproxyapi-sync sync --dry-run', 'what would be done, and why'],
      ['cliproxyapi-sync exec --claude-login', 'log in, with a sync before and after'],
      ['cliproxyapi-sync start', 'sync, then become the proxy'],
      ['cliproxyapi-sync status', 'where each login stands'],
      ['cliproxyapi-sync doctor', 'what is wrong here, and what to type'],
      ['cliproxyapi-sync history', 'what versions there were; restore brings one back'],
    ],
  });
  for (const name of ['hydrate', 'backup', 'sync', 'start', 'exec'] as const) {
    const command = define(name, `cliproxyapi-sync ${name}`, setExit).copyInheritedSettings(root);
    root.addCommand(command);
  }
  const others = [
    defineStatus,
    defineDoctor,
    defineHistory,
    defineRestore,
    defineForget,
    defineMigrate,
    defineServices,
    defineWatch,
    defineCompletion,
  ];
  for (const defineOther of others) {
    const command = defineOther(async (options, action) => setExit(await act(options, action)));
    root.addCommand(command.copyInheritedSettings(root));
  }
  for (const command of root.commands) {
    addLogFormat(command);
    command.showHelpAfterError(`(cliproxyapi-sync ${command.name()} --help shows its options)`);
  }
  root.addCommand(
    defineListNames(async (options, action) => setExit(await act(options, action))),
    { hidden: true },
  );
  return root;
}

function single(name: 'hydrate' | 'backup' | 'start', setExit: SetExit): Command {
  return addLogFormat(define(name, name, setExit))
    .version(`${name} ${VERSION}`)
    .exitOverride()
    .showHelpAfterError(`(${name} --help shows the options)`);
}

function define(
  name: 'hydrate' | 'backup' | 'sync' | 'start' | 'exec',
  typed: string,
  setExit: SetExit,
): Command {
  const command = commonOptions(new Command(name));
  withHelp(command, {
    ...(EXIT_CODES[name] && { exitCodes: EXIT_CODES[name] }),
    examples: EXAMPLES[name].map(([args, meaning]): Example => {
      const line = `${typed} ${args}`.trim();
      return meaning === undefined ? [line] : [line, meaning];
    }),
  });
  if (name === 'start' || name === 'exec') {
    return command
      .description(DESCRIPTIONS[name])
      .argument('[arguments...]', "the proxy's own arguments")
      .passThroughOptions()
      .allowUnknownOption()
      .action(async (args: string[], options: CommonOptions) => {
        setExit(
          await act(options, (terminal) =>
            name === 'start' ? startProxy(args, options, terminal) : exec(args, options, terminal),
          ),
        );
      });
  }
  return command
    .description(DESCRIPTIONS[name])
    .option('--json', 'print one JSON document on stdout')
    .option('--dry-run', 'change nothing, print the plan with its reasons')
    .option(
      '--allow-delete <names...>',
      'carry out the deletion of these credentials that the mass-deletion guard held back',
    )
    .action(async (options: RunOptions) => {
      setExit(await act(options, (terminal) => syncCommand(name, options, terminal)));
    });
}

const DESCRIPTIONS = {
  hydrate: 'Brings the auth dir and the CCS dir up to date from the store; writes nothing to the store.',
  backup:
    'Brings what changed in the auth dir or the CCS dir to the store, and what the store has newer here.',
  sync: 'Brings the auth dir, the CCS dir, the store and its backup copy in step.',
  start:
    'Syncs, renders the config, and becomes the proxy. An unreachable store delays this by at most 10 s.',
  exec: "Syncs, runs the proxy's program with these arguments, syncs again, and exits with its code.",
} as const;

const EXIT_CODES: Readonly<Partial<Record<keyof typeof DESCRIPTIONS, ExitMeanings>>> = {
  hydrate: { [EXIT.done]: 'done, or nothing to do; something may be left for sync' },
  start: { [EXIT.done]: 'and all others: as the proxy ended, once it runs' },
  exec: { [EXIT.done]: "and all others: as the proxy's program ended, once it has run" },
};

/** What follows the command, and what it is good for. */
const EXAMPLES: Readonly<Record<keyof typeof DESCRIPTIONS, readonly Example[]>> = {
  hydrate: [
    ['', 'a new machine gets all logins from the store'],
    ['--dry-run', 'what it would write, and why'],
  ],
  backup: [
    ['', 'after a login: it is in the store'],
    ['--json', 'the same, for a program to read'],
  ],
  sync: [
    ['', 'this machine and the store are in step'],
    ['--dry-run', 'what would be done, and why'],
    ['--allow-delete claude-old@example.com.json codex-old@example.com.json'],
  ],
  start: [
    [''],
    ['--env-file ~/secrets/proxy.env'],
    ['-local-model', "arguments that are not ours are the proxy's"],
  ],
  exec: [
    ['--claude-login', 'log in, with a sync before and after'],
    ['-- --help', "the proxy's own help"],
  ],
};

async function startProxy(
  args: readonly string[],
  options: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  const { startCommand } = await import('./start.ts');
  return startCommand(args, options, terminal);
}

async function exec(args: readonly string[], options: CommonOptions, terminal: Terminal): Promise<number> {
  const { execCommand } = await import('./exec.ts');
  return execCommand(args, options, terminal);
}

async function act(
  options: RunOptions,
  action: (terminal: Terminal) => Promise<number>,
): Promise<ExitCode | number> {
  const terminal = terminalFor(options);
  try {
    return await action(terminal);
  } catch (error) {
    return explain(error, terminal, options.json === true);
  }
}
