/** What the completions of the three shells have in common. */
import type { CommandReference, Value } from '../reference/programs.ts';

/** The command, hidden from people, whose lines are the names of credentials. */
export const LIST_NAMES = 'list-names';

/** What may come next where no option's value is wanted: commands, choices and options. */
export function firstWords(command: CommandReference): string[] {
  const positional = positionalValue(command);
  return [
    ...command.commands.map(({ name }) => name),
    ...(positional?.kind === 'choice' ? positional.choices : []),
    ...command.options.flatMap(({ flags }) => flags),
  ];
}

/** What its arguments are; none of our commands has two sorts. */
export function positionalValue({ args }: CommandReference): Value | undefined {
  return args[0]?.value;
}

export function optionValues({ options }: CommandReference) {
  return options.flatMap(({ flags, value }) => (value === undefined ? [] : [{ flags, value }]));
}

/** The name of the shell function. */
export function functionName({ name }: CommandReference): string {
  return `_${name.replaceAll('-', '_')}`;
}

/** For bash and zsh. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
