import { Argument, Command } from 'commander';
import { bash } from '../completion/bash.ts';
import { fish } from '../completion/fish.ts';
import { knownNames } from '../completion/names.ts';
import { LIST_NAMES } from '../completion/words.ts';
import { zsh } from '../completion/zsh.ts';
import { describeCommand } from '../reference/programs.ts';
import { loadSettings } from '../settings/settings.ts';
import { withHelp } from './command-help.ts';
import { type Act, EXIT } from './options.ts';

export const SHELLS = { bash, zsh, fish } as const;
type Shell = keyof typeof SHELLS;

/** The command line of `completion`. */
export function defineCompletion(act: Act): Command {
  const command = new Command('completion')
    .description('Prints what a shell needs to complete our commands, options and credentials.')
    .addArgument(new Argument('<shell>', 'for which').choices(Object.keys(SHELLS)))
    .action((shell: Shell) =>
      act({}, async (terminal) => {
        terminal.data(SHELLS[shell](describeCommand(command.parent ?? command)));
        return EXIT.done;
      }),
    );
  return withHelp(command, {
    notes: 'The Nix package installs these files; without it, one of the lines below does.',
    examples: [
      [`echo 'eval "$(cliproxyapi-sync completion bash)"' >> ~/.bashrc`],
      [`echo 'eval "$(cliproxyapi-sync completion zsh)"' >> ~/.zshrc`, 'below compinit'],
      ['cliproxyapi-sync completion fish > ~/.config/fish/completions/cliproxyapi-sync.fish'],
    ],
  });
}

/** The command that completions ask for credentials' names; hidden from people. */
export function defineListNames(act: Act): Command {
  return new Command(LIST_NAMES).action(() =>
    act({ quiet: true }, async (terminal) => {
      const names = await knownNames(await loadSettings({ env: process.env }));
      terminal.data(names.map((name) => `${name}\n`).join(''));
      return EXIT.done;
    }),
  );
}
