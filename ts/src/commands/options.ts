/** What all commands share: their options, and how they end. */
import { type Command, Option } from 'commander';
import { type CredentialName, parseName, printable } from '../credential/name.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { StoreError } from '../stores/store.ts';
import { StateError } from '../sync/state.ts';
import type { LogFormat } from '../terminal/log-entry.ts';
import type { Level, Terminal } from '../terminal/terminal.ts';

/** The names of stores on the command line. */
export const STORE_KINDS = { postgres: 'postgres', s3: 's3', git: 'git', local: 'directory' } as const;
export type StoreName = keyof typeof STORE_KINDS;
// eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- `Object.keys` forgets them
export const STORE_NAMES = Object.keys(STORE_KINDS) as readonly StoreName[];

/** The commands that are runs of the planner. */
export type SyncCommand = 'hydrate' | 'backup' | 'sync';

/** As commander gives them. */
export interface CommonOptions {
  readonly envFile?: string;
  readonly store?: StoreName;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly logFormat?: LogFormat;
}

export interface RunOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly allowDelete?: readonly string[];
}

/** Runs a command's work and takes its exit code. */
export type Act = (options: RunOptions, action: (terminal: Terminal) => Promise<number>) => Promise<void>;

/** The options of every command that reads settings. */
export function commonOptions(command: Command): Command {
  return command
    .option(
      '--env-file <path>',
      'read variables from this file instead of CLIPROXY_ENV_FILE or ~/dotfiles/.env',
    )
    .addOption(
      new Option('--store <kind>', 'use this store, whatever else is configured').choices(STORE_NAMES),
    )
    .addOption(new Option('--verbose', 'say more').conflicts('quiet'))
    .option('--quiet', 'say only what is wrong');
}

/** Exit codes, as sysexits(3) has them where it has one. */
export const EXIT = { done: 0, failed: 1, usage: 2, tryAgain: 75, configuration: 78 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What they mean, where a command does not say otherwise. */
export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  [EXIT.done]: 'done, or nothing to do',
  [EXIT.failed]: 'something failed or was refused, and is named; everything else was done',
  [EXIT.usage]: 'wrong usage',
  [EXIT.tryAgain]: 'try again: the store is out of reach, or another run is under way',
  [EXIT.configuration]: 'the configuration cannot be right; the message names the variable or file',
};

/** A mistake in the arguments. Exit 2. */
export class UsageError extends Error {}

export function levelOf({ quiet, verbose }: CommonOptions): Level {
  if (quiet) return 'quiet';
  return verbose ? 'verbose' : 'normal';
}

export function credentialNames(names: readonly string[] | undefined): ReadonlySet<CredentialName> {
  return new Set(
    (names ?? []).map((name) => {
      const check = parseName(name);
      if (check.ok) return check.name;
      throw new UsageError(
        `"${printable(name)}" is no credential's name: give it as it is listed, such as claude-me@example.com.json`,
      );
    }),
  );
}

/** Says what went wrong and gives the exit code for it. What is no error of ours is thrown on. */
export function explain(error: unknown, terminal: Terminal, json: boolean): ExitCode {
  const { code, message, remedy } = describe(error);
  terminal.error(message, remedy);
  if (json) terminal.json({ exitCode: code, error: { message, ...(remedy !== undefined && { remedy }) } });
  return code;
}

/**
 * What went wrong, as an exit code and words.
 *
 * @throws What is no error of ours.
 */
export function describe(error: unknown): { code: ExitCode; message: string; remedy?: string } {
  if (error instanceof UsageError) return { code: EXIT.usage, message: error.message };
  if (error instanceof SettingsError)
    return { code: EXIT.configuration, message: error.message, remedy: error.remedy };
  if (error instanceof StateError) {
    return {
      code: error.kind === 'unwritable' ? EXIT.configuration : EXIT.failed,
      message: error.message,
      remedy: error.remedy,
    };
  }
  if (error instanceof StoreError) {
    const codes = { unreachable: EXIT.tryAgain, refused: EXIT.failed, configuration: EXIT.configuration };
    return { code: codes[error.kind], message: error.message, remedy: error.remedy };
  }
  if (error instanceof Error && 'syscall' in error) {
    // Refused by the system where nobody thought of it: no reason to show a person a stack.
    const remedy = 'Look at what it names, and run again: what was not finished is taken up.';
    return { code: EXIT.failed, message: error.message, remedy };
  }
  throw error;
}
