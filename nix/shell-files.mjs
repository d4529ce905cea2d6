/**
 * Writes completions for bash, zsh and fish and man pages, all from what the programs say about themselves with
 * `--help`.
 *
 *   node shell-files.mjs DIRECTORY_OF_BUNDLES SHARE
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const [, , bundles, share] = process.argv;
const run = (program, ...args) =>
  execFileSync(process.execPath, [join(bundles, `${program}.mjs`), ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  });

const programs = ['hydrate', 'backup', 'start', 'cliproxyapi-sync'].map((name) => {
  const help = parse(run(name, '--help'));
  const commands = help.commands
    .filter(({ name: command }) => command !== 'help')
    .map(({ name: command, description }) => ({
      name: command,
      description,
      help: parse(run(name, command, '--help')),
    }));
  return { name, version: run(name, '--version').trim(), help, commands };
});

for (const program of programs) {
  write(`bash-completion/completions/${program.name}.bash`, bash(program));
  write(`zsh/site-functions/_${program.name}`, zsh(program));
  write(`fish/vendor_completions.d/${program.name}.fish`, fish(program));
  write(`man/man1/${program.name}.1`, man(program));
}

/** Commander's help: paragraphs, of which `Options:` and `Commands:` are tables. */
function parse(text) {
  const [usage = '', ...rest] = text.split(/\n\n+/).map((part) => part.trimEnd());
  const table = (title) => {
    const part = rest.find((paragraph) => paragraph.startsWith(`${title}:\n`)) ?? '';
    // A term has two spaces before it; what has more goes on with a description.
    const lines = part.replace(/\n {3,}(?=\S)/g, ' ');
    return [...lines.matchAll(/^ {2}(\S.*?)(?: {2,}(.*))?$/gm)].map(([, term = '', description = '']) => ({
      term,
      description,
    }));
  };
  const options = table('Options').map(({ term, description }) => ({
    term,
    description,
    flags: term.split(/,? /).filter((word) => word.startsWith('-')),
    argument: /[<[](\w+)/.exec(term)?.[1],
  }));
  const commands = table('Commands').map(({ term, description }) => ({
    name: term.split(/[ |]/)[0],
    description,
  }));
  const about = rest.filter((paragraph) => !/^(Options|Commands|Arguments):\n/.test(paragraph.trimStart()));
  return { usage: usage.replace(/^Usage: /, ''), options, commands, about };
}

/** What an option's argument is called when it is a file. */
function isPath(argument) {
  return ['path', 'file', 'directory'].includes(argument);
}

function bash({ name, help, commands }) {
  const withPath = [help, ...commands.map((command) => command.help)]
    .flatMap(({ options }) => options)
    .flatMap(({ flags: names, argument }) => (isPath(argument) ? names : []));
  const flags = ({ options }) => options.flatMap((option) => option.flags).join(' ');
  const id = name.replaceAll('-', '_');
  return `_${id}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} words
  COMPREPLY=()
  case $previous in
    ${[...new Set(withPath)].join(' | ')}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  words='${[flags(help), ...commands.map((command) => command.name)].join(' ')}'
  case \${COMP_WORDS[1]} in
${commands.map((command) => `    ${command.name}) words='${flags(command.help)}' ;;\n`).join('')}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o bashdefault -o default -F _${id} ${name}
`;
}

function zsh({ name, help, commands }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const specification = ({ flags, argument, description }) => {
    const label = `[${description.replace(/[[\]:\\]/g, '\\$&')}]`;
    const value = argument === undefined ? '' : `:${argument}:${isPath(argument) ? '_files' : ' '}`;
    return flags.map((flag) => quote(`${flag}${label}${value}`));
  };
  const all = ({ options }) => options.flatMap(specification).join(' \\\n    ');
  const id = name.replaceAll('-', '_');
  if (commands.length === 0)
    return `#compdef ${name}\n_arguments \\\n    ${all(help)} \\\n    '*::argument:_default'\n`;
  return `#compdef ${name}
_${id}() {
  local state line
  _arguments -C \\
    ${all(help)} \\
    '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
${commands.map((command) => `        ${quote(`${command.name}:${command.description}`)}\n`).join('')}      )
      _describe command commands ;;
    argument)
      case $line[1] in
${commands.map((command) => `        ${command.name}) _arguments ${all(command.help)} '*::argument:_default' ;;\n`).join('')}      esac ;;
  esac
}
_${id} "$@"
`;
}

function fish({ name, help, commands }) {
  const quote = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const lines = (condition, { options }) =>
    options.map(({ flags, argument, description }) => {
      const names = flags.map((flag) =>
        flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
      );
      const value = argument === undefined ? '' : isPath(argument) ? ' -r -F' : ' -x';
      return `complete -c ${name}${condition} ${names.join(' ')}${value} -d ${quote(description)}\n`;
    });
  const inside = (command) => ` -n ${quote(`__fish_seen_subcommand_from ${command}`)}`;
  return [
    ...lines(commands.length > 0 ? " -n '__fish_use_subcommand'" : '', help),
    ...commands.map(
      (command) =>
        `complete -c ${name} -n '__fish_use_subcommand' -f -a ${command.name} -d ${quote(command.description)}\n`,
    ),
    ...commands.flatMap((command) => lines(inside(command.name), command.help)),
  ].join('');
}

/** man(7) */
function man({ name, version, help, commands }) {
  const text = (value) =>
    value
      .replaceAll('\\', '\\e')
      .replaceAll('-', '\\-')
      .replace(/^([.'])/gm, '\\&$1');
  const options = (list) =>
    list.map(({ term, description }) => `.TP\n.B ${text(term)}\n${text(description)}\n`).join('');
  const [first = '', ...more] = help.about;
  const pages = more.map((part) => `.PP\n.nf\n${text(part)}\n.fi\n`).join('');
  const below = commands.map(
    (command) =>
      `.SS ${text(command.help.usage)}\n${text(command.help.about[0] ?? '')}\n${options(command.help.options)}`,
  );
  return `.TH ${name.toUpperCase()} 1 "" "${text(version)}" "CLIProxyAPI"
.SH NAME
${text(name)} \\- ${text(first.split(/(?<=[.;]) /)[0].replace(/[.;]$/, ''))}
.SH SYNOPSIS
.B ${text(help.usage)}
.SH DESCRIPTION
${text(first)}
.SH OPTIONS
${options(help.options)}${below.length > 0 ? `.SH COMMANDS\n${below.join('')}` : ''}.SH MORE
${pages}`;
}

function write(path, text) {
  const file = join(share, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
