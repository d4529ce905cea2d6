/** What the command line consists of, as data: completions, man pages and docs/reference are made from it. */
import type { Argument, Command, Option } from 'commander';
import { type CommandHelp, helpOf } from '../commands/command-help.ts';

export interface CommandReference {
  /** As it is typed, such as `cliproxyapi-sync status`. */
  readonly typed: string;
  /** The last word of it. */
  readonly name: string;
  /** What follows the words, such as `[options] [name...]`. */
  readonly usage: string;
  readonly description: string;
  readonly args: readonly ArgumentReference[];
  readonly options: readonly OptionReference[];
  readonly help: CommandHelp;
  readonly commands: readonly CommandReference[];
}

export interface ArgumentReference {
  /** As the usage shows it, such as `[name...]`. */
  readonly term: string;
  readonly description: string;
  readonly value: Value;
  readonly isVariadic: boolean;
  readonly default: string | undefined;
}

export interface OptionReference {
  /** As `--help` shows it, such as `-V, --version` or `--store <kind>`. */
  readonly term: string;
  /** `--store`, with its short form before it if there is one. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What goes with it; undefined for a switch. */
  readonly value: Value | undefined;
  readonly isVariadic: boolean;
  readonly isMandatory: boolean;
  readonly default: string | undefined;
}

/** What can be given: which words, or which sort of thing. */
export type Value =
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'file' | 'directory' | 'credential' | 'text' };

/** The command and all below it that `--help` shows, `help` itself apart. */
export function describeCommand(command: Command, above = ''): CommandReference {
  const typed = `${above} ${command.name()}`.trim();
  const help = command.createHelp();
  return {
    typed,
    name: command.name(),
    usage: command.usage(),
    description: command.description(),
    args: command.registeredArguments.map(describeArgument),
    options: help.visibleOptions(command).map(describeOption),
    help: helpOf(command),
    commands: help
      .visibleCommands(command)
      .filter((below) => below.name() !== 'help')
      .map((below) => describeCommand(below, typed)),
  };
}

function describeArgument(argument: Argument): ArgumentReference {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return {
    term: argument.required ? `<${name}>` : `[${name}]`,
    description: argument.description,
    value: valueNamed(argument.name(), argument.argChoices),
    isVariadic: argument.variadic,
    default: defaultOf(argument),
  };
}

function describeOption(option: Option): OptionReference {
  const argument = /[<[]([\w-]+)/.exec(option.flags)?.[1];
  return {
    term: option.flags,
    flags: [option.short, option.long].filter((flag) => flag !== undefined),
    description: option.description,
    value: argument === undefined ? undefined : valueNamed(argument, option.argChoices),
    isVariadic: option.variadic,
    isMandatory: option.mandatory,
    // That of --no-wait is that it was not given.
    default: option.negate ? undefined : defaultOf(option),
  };
}

/** By what the usage calls it: each of these names has one meaning on our command line. */
function valueNamed(name: string, choices: readonly string[] | undefined): Value {
  if (choices) return { kind: 'choice', choices };
  if (name === 'path' || name === 'file') return { kind: 'file' };
  if (name === 'directory') return { kind: 'directory' };
  if (name === 'name' || name === 'names') return { kind: 'credential' };
  return { kind: 'text' };
}

function defaultOf({ defaultValue, defaultValueDescription }: Argument | Option): string | undefined {
  return defaultValueDescription ?? (defaultValue === undefined ? undefined : String(defaultValue));
}
