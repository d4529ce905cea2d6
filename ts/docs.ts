/** Writes docs/reference from the sources; `make docs`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandsPage, variablesPage } from './src/reference/markdown.ts';
import { type HostOptions, nixOptionsPage } from './src/reference/nix-options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = join(root, 'docs/reference');
mkdirSync(directory, { recursive: true });
writeFileSync(join(directory, 'commands.md'), commandsPage());
writeFileSync(join(directory, 'variables.md'), variablesPage());

const tree = process.env.NIXPKGS_TREE;
if (tree === undefined) {
  console.error(
    'docs/reference/nix-options.md was left as it is: its source is evaluated with the lib of a nixpkgs, named in ' +
      'NIXPKGS_TREE. Where Nix is: NIXPKGS_TREE=$(nix-instantiate --find-file nixpkgs) make docs',
  );
} else {
  const args = [
    '--eval',
    '--strict',
    '--json',
    join(root, 'nix/options-doc.nix'),
    '--arg',
    'lib',
    `import ${tree}/lib`,
  ];
  const json = execFileSync('nix-instantiate', args, { encoding: 'utf8' });
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- options-doc.nix makes just that
  const hosts = JSON.parse(json) as readonly HostOptions[];
  writeFileSync(join(directory, 'nix-options.md'), nixOptionsPage(hosts));
}
