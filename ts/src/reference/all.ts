/** The programs and commands, as the reference has them. */
import { parserFor } from '../commands/main.ts';
import { EXIT } from '../commands/options.ts';
import { VARIABLES, type Variable } from '../settings/variable-table.ts';
import { type CommandReference, describeCommand } from './programs.ts';

/** `cliproxyapi-sync`, with all commands below it. */
export const MAIN: CommandReference = describe('cliproxyapi-sync');

/** The wrapper has no command line of its own: what is said of it is said here. */
const WRAPPER: CommandReference = {
  typed: 'cliproxyapi',
  name: 'cliproxyapi',
  usage: '[arguments...]',
  description:
    "Syncs, runs the proxy's program with these arguments, syncs again, and exits with its code. The bundle is called wrapper.mjs.",
  args: [],
  commands: [],
  options: [],
  help: {
    notes:
      "What cliproxyapi-sync exec does, without options of its own: every argument is the proxy's. With one that only prints something (-help, -version) nothing is synced.",
    exitCodes: { [EXIT.done]: "and all others: as the proxy's program ended, once it has run" },
    examples: [['cliproxyapi --claude-login', 'log in, with a sync before and after']],
  },
};

/** The programs that are one command alone. */
export const SINGLE_PROGRAMS: readonly CommandReference[] = [
  ...(['hydrate', 'backup', 'start'] as const).map(describe),
  WRAPPER,
];

function describe(program: 'cliproxyapi-sync' | 'hydrate' | 'backup' | 'start'): CommandReference {
  return describeCommand(parserFor(program, () => undefined));
}

const ALL_VARIABLES: readonly Variable[] = VARIABLES;
/** Those that a person may set. */
export const PEOPLES_VARIABLES = ALL_VARIABLES.filter(({ from }) => from !== 'set by us');
/** Those that our programs set for one another. */
export const OWN_VARIABLES = ALL_VARIABLES.filter(({ from }) => from === 'set by us');

/** The commands that read settings, and so every variable that `all` read. */
export function readsSettings({ name }: CommandReference): boolean {
  return !['cliproxyapi-sync', 'services', 'completion'].includes(name);
}

/** The variables that this command reads and not all do. */
export function ownVariables({ name }: CommandReference): readonly Variable[] {
  return PEOPLES_VARIABLES.filter(({ readBy }) => readBy !== 'all' && readBy.includes(name));
}

export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
