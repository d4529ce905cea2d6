/** What the help of a command says besides its options. The man pages and docs/reference are made from it too. */
import type { Command } from 'commander';
import { EXIT_MEANINGS, type ExitCode } from './options.ts';

export interface CommandHelp {
  /** Paragraphs with an empty line between them, broken into lines for a terminal. */
  readonly notes?: string;
  /** Words that need explaining, such as the values of an argument. */
  readonly terms?: {
    readonly title: string;
    readonly items: readonly (readonly [term: string, text: string])[];
  };
  /** The exit codes that mean something else than `EXIT_MEANINGS` says. */
  readonly exitCodes?: ExitMeanings;
  readonly examples: readonly Example[];
}

export type ExitMeanings = Readonly<Partial<Record<ExitCode, string>>>;

/** What is typed, and what it is good for. */
export type Example = readonly [line: string, meaning?: string];

const HELP = new WeakMap<Command, CommandHelp>();

/** Adds it to `--help`. */
export function withHelp(command: Command, help: CommandHelp): Command {
  HELP.set(command, help);
  return command.addHelpText('after', helpText(help));
}

/** What `withHelp` was given for this command. */
export function helpOf(command: Command): CommandHelp {
  return HELP.get(command) ?? { examples: [] };
}

/** Exit codes with their meanings, in ascending order. */
export function exitCodes(
  meanings: ExitMeanings = EXIT_MEANINGS,
): (readonly [code: number, meaning: string])[] {
  return Object.entries(meanings)
    .map(([code, meaning]) => [Number(code), meaning] as const)
    .sort(([one], [other]) => one - other);
}

function helpText({ notes, terms, exitCodes: codes, examples }: CommandHelp): string {
  const parts = [
    notes,
    terms && [`${terms.title}:`, ...columns(terms.items)].join('\n'),
    codes &&
      ['Exit codes:', ...columns(exitCodes(codes).map(([code, text]) => [`${code}`, text]))].join('\n'),
    examples.length > 0 ? ['Examples:', ...columns(examples)].join('\n') : undefined,
  ];
  return `\n${parts.filter((part) => part !== undefined).join('\n\n')}`;
}

/** Terms and their explanations beside them. */
function columns(rows: readonly (readonly [term: string, text?: string])[]): string[] {
  const explained = rows.filter(([, text]) => text !== undefined);
  const width = Math.max(0, ...explained.map(([term]) => term.length)) + 4;
  return rows.map(([term, text]) => `  ${text === undefined ? term : `${term.padEnd(width)}${text}`}`);
}
