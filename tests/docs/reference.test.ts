/** docs/reference and the man pages are what the sources say. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT, EXIT_MEANINGS } from '../../ts/src/commands/options.ts';
import { MAIN, SINGLE_PROGRAMS } from '../../ts/src/reference/all.ts';
import { manPages } from '../../ts/src/reference/man.ts';
import { commandsPage, variablesPage } from '../../ts/src/reference/markdown.ts';
import { nixOptionsPage } from '../../ts/src/reference/nix-options.ts';
import { VARIABLES } from '../../ts/src/settings/variable-table.ts';
import { findProgram } from '../e2e/world.ts';
import { nix, root, tools, tree } from '../nix/support/nix.ts';

const committed = (name: string) => readFileSync(join(root, 'docs/reference', name), 'utf8');
const STALE = 'it is stale: run `make docs`';

describe('docs/reference', () => {
  it('commands.md is what the command line says', () => {
    expect(committed('commands.md'), STALE).toBe(commandsPage());
  });

  it('variables.md is what the table of variables says', () => {
    expect(committed('variables.md'), STALE).toBe(variablesPage());
  });

  it.skipIf(!tools.nix || tree === undefined)('nix-options.md is what the modules say', () => {
    const args = [
      '--eval',
      '--strict',
      '--json',
      'nix/options-doc.nix',
      '--arg',
      'lib',
      `import ${tree}/lib`,
    ];
    const { status, stdout, stderr } = nix('nix-instantiate', args);
    expect(status, stderr).toBe(0);
    expect(committed('nix-options.md'), STALE).toBe(nixOptionsPage(JSON.parse(stdout)));
  });
});

describe('the table of variables', () => {
  it('has every variable that sources and modules name', () => {
    const known = new Set<string>(VARIABLES.map(({ name }) => name));
    // Handed from our programs to git, and from the modules to the config template.
    const inner = /^(CLIPROXYAPI_SYNC_GIT_\w+|CLIPROXY_SECRET_\w*)$/;
    for (const directory of ['ts/src', 'modules', 'nix']) {
      for (const path of readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })) {
        if (!/\.(ts|nix|sh)$/.test(path)) continue;
        const text = readFileSync(join(root, directory, path), 'utf8');
        const names = text.match(
          /\b(CLIPROXY|CLIPROXYAPI|OBJECTSTORE|PGSTORE|GITSTORE|LOCALSTORE)_[A-Z_]*[A-Z]\b/g,
        );
        for (const name of names ?? [])
          if (!inner.test(name)) expect(known, `${directory}/${path} names ${name}`).toContain(name);
      }
    }
  });

  it('says of whatever holds a key, a token or a password that it is secret', () => {
    const secret = VARIABLES.filter((variable) => variable.secret).map(({ name }) => name);
    expect(secret).toEqual([
      'PGSTORE_DSN',
      'OBJECTSTORE_ACCESS_KEY',
      'OBJECTSTORE_SECRET_KEY',
      'GITSTORE_GIT_URL',
      'GITSTORE_GIT_TOKEN',
    ]);
  });
});

describe('man pages', () => {
  const directory = mkdtempSync(join(tmpdir(), 'man-'));
  const pages = manPages();
  beforeAll(() => {
    for (const [name, text] of pages) writeFileSync(join(directory, name), text);
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  const read = (name: string) =>
    (pages.get(name) ?? '').replaceAll('\\-', '-').replaceAll('\\(ti', '~').replaceAll('\\(aq', "'");

  it('there is one for each command and program, with its options, arguments and exit codes', () => {
    const all = [MAIN, ...MAIN.commands, ...SINGLE_PROGRAMS];
    expect([...pages.keys()].sort()).toEqual(
      all.map(({ typed }) => `${typed.replaceAll(' ', '-')}.1`).sort(),
    );
    for (const { typed, options, args } of all) {
      const text = read(`${typed.replaceAll(' ', '-')}.1`);
      for (const { term } of [...options, ...args]) expect(text).toContain(`.B ${term}\n`);
      for (const code of Object.values(EXIT)) expect(text).toContain(`.TP\n.B ${code}\n`);
    }
    for (const { name, from } of VARIABLES)
      if (from !== 'set by us') expect(read('cliproxyapi-sync.1')).toContain(`.B ${name}\n`);
    expect(read('cliproxyapi-sync.1')).toContain(EXIT_MEANINGS[EXIT.tryAgain]);
  });

  const mandoc = findProgram('mandoc') !== undefined;
  if (!mandoc && !tools.man)
    console.warn('\nSKIPPED: man pages as man reads them: neither mandoc nor man is installed\n');

  it.skipIf(!mandoc)('mandoc has nothing to warn of', () => {
    const paths = [...pages.keys()].map((name) => join(directory, name));
    const { stdout } = spawnSync('mandoc', ['-Tlint', '-Wwarning', ...paths], { encoding: 'utf8' });
    // No date: then two builds of one version are equal.
    expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([]);
  });

  it.skipIf(!tools.man)('man reads them without a warning', () => {
    for (const name of pages.keys()) {
      const { stdout, stderr } = spawnSync('man', ['--warnings', '-l', join(directory, name)], {
        encoding: 'utf8',
        env: { ...process.env, MANWIDTH: '100', LC_ALL: 'C.UTF-8' },
      });
      expect(stderr, name).toBe('');
      expect(stdout).toContain('EXIT STATUS');
    }
  });
});
