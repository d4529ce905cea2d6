import type { CommandReference, Value } from '../reference/programs.ts';
import { functionName, LIST_NAMES, positionalValue } from './words.ts';

/** A completion for fish 3 or later. */
export function fish(program: CommandReference): string {
  const { name, commands } = program;
  const names = commands.map((command) => command.name).join(' ');
  const atFirst = commands.length > 0 ? ` -n ${quote(`not __fish_seen_subcommand_from ${names}`)}` : '';
  const inside = (command: CommandReference) => ` -n ${quote(`__fish_seen_subcommand_from ${command.name}`)}`;
  return [
    `# fish completion for ${name}\n`,
    `function ${namesFunction(program)}\n    set -l words (commandline -opc)\n    $words[1] ${LIST_NAMES} 2>/dev/null\nend\n`,
    ...optionLines(program, program, atFirst),
    ...argumentLines(program, program, atFirst),
    ...commands.map(
      (command) => `complete -c ${name}${atFirst} -f -a ${command.name} -d ${quote(command.description)}\n`,
    ),
    ...commands.flatMap((command) => [
      ...optionLines(program, command, inside(command)),
      ...argumentLines(program, command, inside(command)),
      ...variadicLines(program, command),
    ]),
  ].join('');
}

function optionLines(program: CommandReference, { options }: CommandReference, condition: string): string[] {
  return options.map(({ flags, description, value }) => {
    const names = flags.map((flag) =>
      flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
    );
    const takes = value === undefined ? '' : ` ${takesValue(value, program)}`;
    return `complete -c ${program.name}${condition} ${names.join(' ')}${takes} -d ${quote(description)}\n`;
  });
}

function argumentLines(program: CommandReference, command: CommandReference, condition: string): string[] {
  const value = positionalValue(command);
  const takes = value === undefined ? '-f' : argumentValue(value, program);
  return takes === undefined ? [] : [`complete -c ${program.name}${condition} ${takes}\n`];
}

/** What follows the first value of an option that takes several. */
function variadicLines(program: CommandReference, { name, options }: CommandReference): string[] {
  return options.flatMap(({ flags, value, isVariadic }) => {
    const flag = flags.find((one) => one.startsWith('--'));
    if (!isVariadic || value === undefined || flag === undefined) return [];
    const condition = `__fish_seen_subcommand_from ${name}; and __fish_seen_argument -l ${flag.slice(2)}`;
    return [`complete -c ${program.name} -n ${quote(condition)} ${argumentValue(value, program) ?? '-F'}\n`];
  });
}

/** A positional argument: undefined for what fish completes by itself, files. */
function argumentValue(value: Value, program: CommandReference): string | undefined {
  switch (value.kind) {
    case 'choice':
      return `-f -a ${quote(value.choices.join(' '))}`;
    case 'credential':
      return `-f -a '(${namesFunction(program)})'`;
    default:
      return undefined;
  }
}

function takesValue(value: Value, program: CommandReference): string {
  switch (value.kind) {
    case 'file':
      return '-r -F';
    case 'directory':
      return `-x -a '(__fish_complete_directories)'`;
    case 'text':
      return '-x';
    default:
      return `-x -a ${value.kind === 'choice' ? quote(value.choices.join(' ')) : `'(${namesFunction(program)})'`}`;
  }
}

/** It asks the program as it was typed. */
function namesFunction(program: CommandReference): string {
  return `_${functionName(program)}_names`;
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
