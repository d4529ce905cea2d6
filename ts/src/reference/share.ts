import { bash } from '../completion/bash.ts';
import { fish } from '../completion/fish.ts';
import { zsh } from '../completion/zsh.ts';
import { MAIN, SINGLE_PROGRAMS } from './all.ts';
import { manPages } from './man.ts';

/** What a package has in `share`: man pages, and completions for bash, zsh and fish. Texts by path. */
export function shareFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  // The wrapper's arguments are the proxy's.
  for (const program of [MAIN, ...SINGLE_PROGRAMS].filter(({ name }) => name !== 'cliproxyapi')) {
    files.set(`bash-completion/completions/${program.name}.bash`, bash(program));
    files.set(`zsh/site-functions/_${program.name}`, zsh(program));
    files.set(`fish/vendor_completions.d/${program.name}.fish`, fish(program));
  }
  for (const [name, text] of manPages()) files.set(`man/man1/${name}`, text);
  return files;
}
