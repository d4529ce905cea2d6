/** README and docs: what they link to is there, what they tell people to type exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAIN, SINGLE_PROGRAMS } from '../../ts/src/reference/all.ts';
import { anchor } from '../../ts/src/reference/markdown.ts';
import type { CommandReference } from '../../ts/src/reference/programs.ts';
import { FOREIGN_VARIABLES, VARIABLES } from '../../ts/src/settings/variable-table.ts';
import { root } from '../nix/support/nix.ts';

const PAGES = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
];
const texts = new Map(PAGES.map((page) => [page, readFileSync(join(root, page), 'utf8')]));
const textOf = (page: string) => texts.get(page) ?? '';

/** What is no code. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

const anchorsOf = (text: string) => {
  const seen = new Map<string, number>();
  return new Set(
    [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
      const id = anchor(heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1'));
      const before = seen.get(id) ?? 0;
      seen.set(id, before + 1);
      return before === 0 ? id : `${id}-${before}`;
    }),
  );
};

describe('links', () => {
  it.each(PAGES)('%s', (page) => {
    for (const [, target = ''] of prose(textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', id] = target.split('#');
      const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
      expect(existsSync(file), `${page}: ${target}`).toBe(true);
      if (id !== undefined) expect(anchorsOf(readFileSync(file, 'utf8')), `${page}: ${target}`).toContain(id);
    }
  });

  it('the index and the README lead to every page', () => {
    const index = textOf('docs/README.md');
    for (const page of PAGES.filter((path) => path.startsWith('docs/') && path !== 'docs/README.md'))
      expect(index, page).toContain(`](${relative('docs', page)}`);
    expect(textOf('README.md')).toContain('](docs/README.md)');
  });
});

/** What is to be typed: in blocks for a shell, and in backquotes. */
function typed(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block.replaceAll('\\\n', ' ').split('\n'),
  );
  const inline = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, code = '']) => code,
  );
  return [...blocks, ...inline].flatMap((line) => line.replace(/(^|\s)#.*$/, '').split(/&&|\|\||;|\|/));
}

/** The words after `cliproxyapi-sync` in a line, quotes taken away; undefined if it does not run that. */
function ourWords(line: string): string[] | undefined {
  const words = line.trim().split(/\s+/);
  const at = words.findIndex((word) => /(^|\/)cliproxyapi-sync(\.mjs)?$/.test(word));
  const before = words.slice(0, Math.max(at, 0));
  const isRun = before.every((word) => /^(sudo|nohup|node|exec|-u|\w+=.*)$/.test(word));
  if (at === -1 || !isRun) return undefined;
  const rest = words.slice(at + 1);
  const end = rest.findIndex((word) => /^(>|>>|2>|2>>|<|&)/.test(word));
  return end === -1 ? rest : rest.slice(0, end);
}

function problemWith(words: readonly string[], main: CommandReference): string | undefined {
  const [first = '', ...rest] = words;
  if (first === '' || first === '...') return undefined;
  const command = first.startsWith('-') ? main : main.commands.find(({ name }) => name === first);
  if (!command) return `no command ${first}`;
  // What follows is the proxy's.
  const own = command.name === 'exec' || command.name === 'start' ? [] : first.startsWith('-') ? words : rest;
  const flags = own.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split('=')[0] ?? '');
  const known = new Set(command.options.flatMap((option) => option.flags));
  const unknown = flags.find((flag) => !known.has(flag.replace(/[,)]$/, '')));
  if (unknown !== undefined) return `${command.typed} has no option ${unknown}`;
  const [argument] = command.args;
  if (argument?.value.kind === 'choice') {
    const [chosen] = own.filter((word) => !word.startsWith('-'));
    const choices: readonly string[] = argument.value.choices;
    if (chosen !== undefined && !choices.includes(chosen) && !/^[A-Z]/.test(chosen) && own[0] === chosen)
      return `${command.typed} has no ${chosen}`;
  }
  return undefined;
}

describe('commands', () => {
  it('the check finds what does not exist', () => {
    const check = (line: string) => problemWith(ourWords(line) ?? [], MAIN);
    expect(check('cliproxyapi-sync sink')).toBe('no command sink');
    expect(check('sudo cliproxyapi-sync sync --dryrun')).toBe('cliproxyapi-sync sync has no option --dryrun');
    expect(check('ts/dist/cliproxyapi-sync.mjs services unmake')).toBe(
      'cliproxyapi-sync services has no unmake',
    );
    expect(check('cliproxyapi-sync restore NAME --version ID')).toBeUndefined();
  });

  it.each(PAGES)('%s', (page) => {
    const problems = typed(textOf(page)).flatMap((line) => {
      const words = ourWords(line);
      const problem = words && problemWith(words, MAIN);
      return problem === undefined ? [] : [`${line.trim()}: ${problem}`];
    });
    expect(problems).toEqual([]);
  });

  it("options in backquotes are some command's", () => {
    const ours = new Set(
      [MAIN, ...MAIN.commands, ...SINGLE_PROGRAMS].flatMap(({ options }) =>
        options.flatMap(({ flags }) => flags),
      ),
    );
    for (const page of PAGES) {
      for (const [, flag = ''] of textOf(page).matchAll(/`(--[a-z][\w-]*)[^`]*`/g))
        expect([...ours, ...OTHERS], `${page}: ${flag}`).toContain(flag);
    }
  });
});

/** Options of other programs, of which the pages speak. */
const OTHERS = ['--force-with-lease', '--claude-login', '--delete'];

describe('variables', () => {
  const known = new Set<string>([
    ...VARIABLES.map(({ name }) => name),
    ...FOREIGN_VARIABLES.flatMap(({ names }) => names),
    // The tests' own.
    'CLIPROXYAPI_BIN',
  ]);

  it.each(PAGES)('%s', (page) => {
    const text = textOf(page);
    const names =
      text.match(/\b(CLIPROXY|CLIPROXYAPI|OBJECTSTORE|PGSTORE|GITSTORE|LOCALSTORE)_[A-Z_]*[A-Z]\b/g) ?? [];
    const unknown = names.filter((name) => !known.has(name));
    expect(unknown).toEqual([]);
    // `OBJECTSTORE_ENDPOINT`, `_BUCKET`: the second goes on from the first.
    for (const [, first = '', rest = ''] of text.matchAll(
      /`([A-Z]+)_[A-Z_]+`((?:,? (?:and )?`_[A-Z_]+`)+)/g,
    )) {
      for (const [, suffix = ''] of rest.matchAll(/`(_[A-Z_]+)`/g)) {
        const whole = [...known].some((name) => name.startsWith(`${first}_`) && name.endsWith(suffix));
        expect(whole, `${page}: ${first}...${suffix}`).toBe(true);
      }
    }
  });
});
