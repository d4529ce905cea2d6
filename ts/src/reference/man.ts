/** The man pages, in man(7). */
import { exitCodes } from '../commands/command-help.ts';
import { EXIT_MEANINGS } from '../commands/options.ts';
import { VERSION } from '../version.ts';
import { lowerFirst, MAIN, ownVariables, PEOPLES_VARIABLES, readsSettings, SINGLE_PROGRAMS } from './all.ts';
import type { CommandReference } from './programs.ts';

/** Each page's text by its file name. One page a command, as git, restic and cargo have them. */
export function manPages(): ReadonlyMap<string, string> {
  const commands = [MAIN, ...MAIN.commands, ...SINGLE_PROGRAMS];
  return new Map(commands.map((command) => [`${pageName(command)}.1`, manPage(command)]));
}

const FILES = [
  ['~/dotfiles/.env', 'variables, the keys of the store among them; for its owner alone'],
  ['~/.cli-proxy-api/objectstore/auths/', 'the auth dir'],
  ['~/.ccs/cliproxy/auth/', 'the CCS dir'],
  [
    '~/.local/state/cliproxyapi-sync/',
    'the state directory: base, lock, history of this host, the default store',
  ],
  ['~/.cache/cliproxyapi-sync/', 'compiled code; may be removed at any time'],
] as const;

function pageName({ typed }: CommandReference): string {
  return typed.replaceAll(' ', '-');
}

function manPage(command: CommandReference): string {
  const { typed, usage, description, args, options, help, commands } = command;
  const { notes, terms, exitCodes: codes, examples } = help;
  const isMain = command === MAIN;
  const [first = ''] = description.split(/(?<=[.;]) /);
  const definitions = (items: readonly (readonly [term: string, text: string])[]) =>
    items.map(([term, text]) => `.TP\n.B ${literal(term)}\n${prose(text)}\n`).join('');
  const section = (title: string, text: string) => (text === '' ? '' : `.SH ${title}\n${text}`);
  const withChoices = ({
    description: text,
    value,
    default: byDefault,
  }: (typeof options)[number] | (typeof args)[number]) =>
    [
      text,
      value?.kind === 'choice' ? `: ${value.choices.join(', ')}` : '',
      byDefault === undefined ? '' : ` (default: ${byDefault})`,
    ].join('');
  return [
    `.TH ${literal(pageName(command).toUpperCase())} 1 "" "cliproxyapi\\-sync ${literal(VERSION)}" "CLIProxyAPI"\n`,
    section('NAME', `${literal(pageName(command))} \\- ${literal(lowerFirst(first.replace(/[.;]$/, '')))}\n`),
    section('SYNOPSIS', `.B ${literal(typed)}\n${literal(usage)}\n`),
    section(
      'DESCRIPTION',
      [description, ...(notes?.split('\n\n') ?? [])].map(prose).join('\n.PP\n').concat('\n'),
    ),
    section('COMMANDS', definitions(commands.map((below) => [`${pageName(below)}(1)`, below.description]))),
    section(
      'OPTIONS',
      definitions([...args, ...options].map((item) => [item.term, withChoices(item)] as const)),
    ),
    terms ? section(terms.title.toUpperCase(), definitions(terms.items)) : '',
    section(
      'EXIT STATUS',
      definitions(exitCodes({ ...EXIT_MEANINGS, ...codes }).map(([code, text]) => [`${code}`, text])),
    ),
    section('ENVIRONMENT', isMain ? environment() : ownEnvironment(command)),
    section('FILES', isMain ? definitions(FILES) : ''),
    section(
      'EXAMPLES',
      examples
        .map(
          ([line, meaning]) =>
            `.TP\n.B ${literal(line)}\n${meaning === undefined ? '\\&' : prose(meaning)}\n`,
        )
        .join(''),
    ),
    section(
      'SEE ALSO',
      `${seeAlso(command)
        .map((name) => `.BR ${literal(name)} (1)`)
        .join(',\n')}\n`,
    ),
  ].join('');
}

function environment(): string {
  const entries = PEOPLES_VARIABLES.map(({ name, meaning, default: byDefault, from }) => {
    const what = [
      meaning,
      byDefault === undefined ? '' : `Default: ${byDefault}.`,
      from === 'environment' ? 'From the environment alone.' : '',
    ];
    return `.TP\n.B ${literal(name)}\n${prose(what.filter((part) => part !== '').join(' '))}\n`;
  });
  return `${prose('Variables are taken from the environment, then from the env file; in upper or lower case.')}\n${entries.join('')}`;
}

function ownEnvironment(command: CommandReference): string {
  const names = ownVariables(command).map(({ name }) => name);
  const all = readsSettings(command) ? ['what is in cliproxyapi-sync(1)'] : [];
  const parts = [...names, ...all];
  return parts.length === 0 ? '' : `${prose(`It reads ${parts.join(', ')}.`)}\n`;
}

function seeAlso(command: CommandReference): string[] {
  if (command === MAIN) return MAIN.commands.map(pageName);
  const siblings: Readonly<Record<string, readonly string[]>> = {
    history: ['restore', 'forget'],
    restore: ['history', 'forget'],
    forget: ['history', 'restore'],
    status: ['doctor'],
    doctor: ['status'],
    cliproxyapi: ['exec'],
  };
  return [MAIN.name, ...(siblings[command.name] ?? []).map((name) => `${MAIN.name}-${name}`)];
}

/** Text that is taken as it is, in one line. */
function literal(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replace(/^\./, '\\&.');
}

/** A paragraph: each sentence on its own line, what is in backquotes bold. */
function prose(text: string): string {
  return text
    .replaceAll('\n', ' ')
    .split(/(?<=\.) (?=[A-Z])/)
    .map((sentence) =>
      sentence
        .split('`')
        .map((part, index) => (index % 2 === 1 ? `\\fB${literal(part)}\\fR` : literal(part)))
        .join('')
        .replace(/^\./, '\\&.'),
    )
    .join('\n');
}
