/** docs/reference, from the command line and the table of variables. */
import { type Example, exitCodes } from '../commands/command-help.ts';
import {
  FOREIGN_VARIABLES,
  VARIABLE_GROUPS,
  type Variable,
  type VariableGroup,
} from '../settings/variable-table.ts';
import {
  lowerFirst,
  MAIN,
  OWN_VARIABLES,
  ownVariables,
  PEOPLES_VARIABLES,
  readsSettings,
  SINGLE_PROGRAMS,
} from './all.ts';
import type { CommandReference } from './programs.ts';

const WRITTEN = '<!-- Written by `make docs`: change the sources instead. -->';

/** docs/reference/commands.md */
export function commandsPage(): string {
  const all = [MAIN, ...MAIN.commands, ...SINGLE_PROGRAMS];
  const index = all.map(
    (command) => `| [\`${command.typed}\`](#${anchor(command.typed)}) | ${cell(command.description)} |`,
  );
  const codes = exitCodes().map(([code, meaning]) => `| ${code} | ${cell(meaning)} |`);
  return page([
    WRITTEN,
    '# Commands',
    'What `--help` says, on one page. Messages go to stderr, data to stdout.',
    table(['command', 'does'], index),
    '## Exit codes',
    'These hold for every command; where one means more by a code, it is said there.',
    table(['code', 'means'], codes),
    ...all.flatMap(commandParts),
  ]);
}

function commandParts(command: CommandReference): string[] {
  const { typed, usage, description, args, options, help } = command;
  const { notes, terms, exitCodes: codes, examples } = help;
  const rows = [
    ...args.map(
      (argument) => [argument.term, argument.description, argument.default, argument.value] as const,
    ),
    ...options.map((option) => [option.term, option.description, option.default, option.value] as const),
  ].map(([term, meaning, byDefault, value]) => {
    const choices = value?.kind === 'choice' ? `: ${value.choices.map(code).join(', ')}` : '';
    return `| ${code(term)} | ${cell(meaning)}${choices} | ${byDefault === undefined ? '' : code(byDefault)} |`;
  });
  const own = ownVariables(command).map(({ name }) => code(name));
  const link = '[what all commands read](variables.md)';
  return [
    `## ${typed}`,
    block([`${typed} ${usage}`.trim()], 'text'),
    description,
    ...(rows.length > 0 ? [table(['argument or option', 'meaning', 'default'], rows)] : []),
    ...(notes === undefined ? [] : [flow(notes)]),
    ...(terms
      ? [
          table(
            [terms.title.toLowerCase(), ''],
            terms.items.map(([term, text]) => `| ${term} | ${cell(text)} |`),
          ),
        ]
      : []),
    ...(codes && command !== MAIN
      ? [
          `Exit codes: ${exitCodes(codes)
            .map(([number, meaning]) => `${number} ${meaning}`)
            .join('; ')}.`,
        ]
      : []),
    ...(own.length > 0
      ? [`Variables: ${own.join(', ')}${readsSettings(command) ? `, and ${link}` : ''}.`]
      : []),
    ...(examples.length > 0 ? [block(aligned(examples))] : []),
  ];
}

/** docs/reference/variables.md */
export function variablesPage(): string {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- entries forgets the keys that the record has
  const sections = (Object.entries(VARIABLE_GROUPS) as [VariableGroup, string][]).flatMap(
    ([group, title]) => {
      const rows = PEOPLES_VARIABLES.filter((variable) => variable.group === group).map(variableRow);
      return [`## ${title}`, table(['variable', 'meaning', 'default', 'from', 'read by'], rows)];
    },
  );
  return page([
    WRITTEN,
    '# Variables',
    "Each is read in upper or lower case and trimmed; set to nothing, it counts as unset, unless it says otherwise. *Env file* means: from the process's environment, else from the env file (`--env-file`, `CLIPROXY_ENV_FILE`, or `~/dotfiles/.env`); *environment*: from there alone. *All* are the commands that read settings: all but `services` and `completion`. **Secret**: the value must not be seen by others, so keep the env file to yourself (`chmod 600`).",
    'Of the stores, PostgreSQL comes before S3 before Git before the directory ([more](../stores.md)).',
    ...sections,
    '## Of others',
    'Read by what the programs use.',
    table(
      ['variable', ''],
      FOREIGN_VARIABLES.map(({ names, meaning }) => `| ${names.map(code).join(', ')} | ${cell(meaning)} |`),
    ),
    'A `__NAME__` in the config template takes the variable `NAME`, whatever it is called, or what is in the file that `NAME_FILE` names.',
    `Set by our programs for one another, and not for people: ${OWN_VARIABLES.map(({ name, meaning }) => `\`${name}\` (${lowerFirst(meaning.replace(/\.$/, ''))})`).join('; ')}.`,
  ]);
}

function variableRow({ name, meaning, default: byDefault = '', from, secret, readBy }: Variable): string {
  const readers = readBy === 'all' ? 'all' : readBy.map(code).join(', ');
  return `| \`${name}\` | ${secret ? '**Secret.** ' : ''}${cell(meaning)} | ${cell(byDefault)} | ${from} | ${readers} |`;
}

/** The part of an address after `#` for a heading, as GitHub makes it. */
export function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function page(parts: readonly string[]): string {
  return `${parts.join('\n\n')}\n`;
}

function table(head: readonly string[], rows: readonly string[]): string {
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...rows].join('\n');
}

function cell(text: string): string {
  return flow(text).replaceAll('|', '\\|');
}

function code(text: string): string {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

/** Lines that were broken for a terminal, as a paragraph each. */
function flow(text: string): string {
  return text
    .split('\n\n')
    .map((paragraph) => paragraph.replaceAll('\n', ' '))
    .join('\n\n');
}

function block(lines: readonly string[], language = 'sh'): string {
  return [`\`\`\`${language}`, ...lines, '```'].join('\n');
}

/** Examples with what they are good for behind a `#`. */
function aligned(examples: readonly Example[]): string[] {
  const width = Math.max(...examples.map(([line]) => line.length));
  return examples.map(([line, meaning]) =>
    meaning === undefined ? line : `${line.padEnd(width)}    # ${meaning}`,
  );
}
