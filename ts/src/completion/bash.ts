import type { CommandReference } from '../reference/programs.ts';
import { firstWords, functionName, LIST_NAMES, optionValues, positionalValue, quote } from './words.ts';

/**
 * A completion for bash 3.1 or later.
 *
 * The words are taken from the line itself: bash breaks them at `@` and `=`, which names and options have in them.
 * Names are never given to `compgen -W`, which would run what is in them.
 */
export function bash(program: CommandReference): string {
  const name = functionName(program);
  const commands = [program, ...program.commands];
  return `# bash completion for ${program.name}

${name}() {
  local line=\${COMP_LINE:0:COMP_POINT} command='' option='' typed previous kept='' kind='' values='' words word
  read -ra words <<< "$line"
  typed=\${line##*[[:space:]]}
  [ -n "$typed" ] || words+=('')
  previous=\${words[\${#words[@]} - 2]}
  for word in "\${words[@]:1:\${#words[@]} - 2}"; do
    case $word in -*) option=$word ;; esac
  done
  # What takes several values takes this one, too.
  case $option,$typed in *,-*) ;; ${patterns(variadicFlags(commands).map((flag) => `${flag},*`))}) previous=$option ;; esac
  case $typed in --*=*) previous=\${typed%%=*} typed=\${typed#*=} ;; esac
  [ \${#words[@]} -le 2 ] || command=\${words[1]}

  case $command,$previous in
${groups(commands)}    *)
      case $command in
${program.commands.map((command) => `        ${command.name}) ${assign(command)} ;;\n`).join('')}        *) ${assign(program)} ;;
      esac ;;
  esac

  COMPREPLY=()
  case $kind in
    file | directory)
      compopt -o filenames 2> /dev/null
      [ $kind = file ] && word=-f || word=-d
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen $word -- "$typed")
      return ;;
  esac
  # Bash replaces only what follows the last break in the word; an @ goes with what follows it.
  [ -z "$COMP_WORDBREAKS" ] || kept=\${typed%"\${typed##*[$COMP_WORDBREAKS]}"}
  kept=\${kept%@}
  while IFS= read -r word; do
    [ -n "$word" ] || continue
    case $word in "$typed"*) ;; *) continue ;; esac
    printf -v word %q "$word"
    COMPREPLY+=("\${word#"$kept"}")
  done < <(
    printf '%s\\n' $values
    case $kind,$typed in
      credential,-*) ;;
      credential,*) "\${words[0]}" ${LIST_NAMES} 2> /dev/null ;;
    esac
  )
}

complete -o bashdefault -o default -F ${name} ${program.name}
`;
}

/** For each option that takes a value, `COMMAND,--OPTION) what it takes`; those that take the same together. */
function groups(commands: readonly CommandReference[]): string {
  const byValue = new Map<string, string[]>();
  const [program] = commands;
  for (const command of commands) {
    for (const { flags, value } of optionValues(command)) {
      const assignment =
        value.kind === 'choice' ? `values=${quote(value.choices.join(' '))}` : `kind=${value.kind}`;
      const typed = flags.map((flag) => `${command === program ? '' : command.name},${flag}`);
      byValue.set(assignment, [...(byValue.get(assignment) ?? []), ...typed]);
    }
  }
  return [...byValue].map(([assignment, typed]) => `    ${typed.join(' | ')}) ${assignment} ;;\n`).join('');
}

function assign(command: CommandReference): string {
  const kind = positionalValue(command)?.kind;
  const values = `values=${quote(firstWords(command).join(' '))}`;
  return kind === undefined || kind === 'choice' ? values : `${values} kind=${kind}`;
}

function variadicFlags(commands: readonly CommandReference[]): string[] {
  const flags = commands.flatMap(({ options }) =>
    options.flatMap((option) => (option.isVariadic ? option.flags : [])),
  );
  return [...new Set(flags)];
}

/** At least one, which is no option of anything. */
function patterns(flags: readonly string[]): string {
  return flags.length > 0 ? flags.join(' | ') : "''";
}
