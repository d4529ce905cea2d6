import type { ArgumentReference, CommandReference, OptionReference, Value } from '../reference/programs.ts';
import { functionName, LIST_NAMES, quote } from './words.ts';

/** A completion for zsh, for a file `_NAME` in `fpath` or for `eval` after `compinit`. */
export function zsh(program: CommandReference): string {
  const name = functionName(program);
  const inner = program.commands.length === 0 ? `  ${argumentsCall(program)}` : withCommands(program);
  return `#compdef ${program.name}

${name}_names() {
  local -a names=(\${(f)"$(_call_program names \${(q)words[1]} ${LIST_NAMES} 2> /dev/null)"})
  compadd -a names
}

${name}() {
  local context state line
  typeset -A opt_args
${inner}
}

# As a file in fpath, this is the function itself.
if [ "\${funcstack[1]}" = _${program.name} ]; then
  ${name} "$@"
else
  compdef ${name} ${program.name}
fi
`;
}

function withCommands(program: CommandReference): string {
  const name = functionName(program);
  const described = program.commands.map(
    (command) => `      ${quote(`${command.name}:${command.description}`)}\n`,
  );
  const cases = program.commands.map(
    (command) => `        ${command.name}) ${argumentsCall(command, name)} ;;\n`,
  );
  // zsh knows the words of a command line whose first is the command.
  return `  local program=$words[1]
  _arguments -C \\
    ${specifications(program.options, name)} \\
    '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
${described.join('')}      )
      _describe command commands ;;
    argument)
      local chosen=$words[1]
      words[1]=$program
      case $chosen in
${cases.join('')}      esac ;;
  esac`;
}

function argumentsCall(command: CommandReference, name = functionName(command)): string {
  const specs = [
    specifications(command.options, name),
    ...command.args.map((argument) => positional(argument, name)),
  ];
  return `_arguments ${specs.filter((spec) => spec !== '').join(' \\\n          ')}`;
}

function specifications(options: readonly OptionReference[], name: string): string {
  return options
    .flatMap(({ flags, description, value, isVariadic }) => {
      const label = `[${description.replace(/[[\]:\\]/g, '\\$&')}]`;
      // A variadic one takes all that follows, up to the next option.
      const many = isVariadic ? '*-*:' : '';
      const takes = value === undefined ? '' : `:${many}${kindOf(value)}:${action(value, name)}`;
      return flags.map((flag) => quote(`${flag}${label}${takes}`));
    })
    .join(' \\\n          ');
}

function positional({ term, value, isVariadic }: ArgumentReference, name: string): string {
  const label = term.replace(/[^\w-]/g, '');
  return quote(
    `${isVariadic ? '*' : '1'}:${label}:${value.kind === 'text' ? '_default' : action(value, name)}`,
  );
}

function kindOf(value: Value): string {
  return value.kind === 'choice' ? 'value' : value.kind;
}

function action(value: Value, name: string): string {
  switch (value.kind) {
    case 'choice':
      return `(${value.choices.join(' ')})`;
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'credential':
      return `${name}_names`;
    case 'text':
      return ' ';
  }
}
