/** Tab, in the shells themselves, for a user who has some credentials and no store that answers. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { credential, findProgram } from '../e2e/world.ts';
import { bundlePath, type Home, makeHome, runBundle, startProgram } from '../support/bundle.ts';

const ON_TERMINAL = fileURLToPath(new URL('../support/on_terminal.py', import.meta.url));
const NAMES = ['claude-me@example.com.json', 'claude-you@example.com.json', 'team/codex-it@example.com.json'];
/** What a shell would run if it took a name for a word of its own. */
const HOSTILE = '$(touch pwned)`touch pwned`.json';

let root: string;
let home: Home;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'completion-'));
  // Nothing listens there: Tab must not wait for a store.
  home = await makeHome(root, 'ada', {
    store: { kind: 'variables', variables: { PGSTORE_DSN: 'postgres://me:secret@192.0.2.1:5432/none' } },
  });
  await mkdir(join(home.authDir, 'team'));
  for (const name of [...NAMES, HOSTILE])
    await writeFile(join(home.authDir, name), credential('me@example.com', 1));
  await mkdir(join(root, 'bin'));
  await symlink(bundlePath('cliproxyapi-sync'), join(root, 'bin/cliproxyapi-sync'));
  home = { ...home, env: { ...home.env, PATH: `${join(root, 'bin')}:${home.env.PATH}` } };
});
afterAll(() => rm(root, { recursive: true }));

async function script(shell: string): Promise<string> {
  const { code, stdout, stderr } = await runBundle('cliproxyapi-sync', ['completion', shell], home);
  expect(code, stderr).toBe(0);
  const path = join(root, `completion.${shell}`);
  await writeFile(path, stdout);
  return path;
}

/** What each line becomes once Tab was pressed: the shell itself says it. */
async function afterTab(
  command: readonly string[],
  prepare: string,
  lines: readonly string[],
): Promise<string[]> {
  const typed = lines.map((line) => `${line}\\t\\x01echo 'GOT:\\x05:END'\\n`).join('');
  const words = [ON_TERMINAL, '200', '40', '60', 'ready>', `${prepare}\\n${typed}exit\\n`, ...command];
  const { code, stdout, stderr } = await startProgram('python3', words, home, {
    env: { PS1: 'ready> ', TERM: 'xterm' },
  }).ended;
  expect(code, stderr).toBe(0);
  const { shown }: { shown: string } = JSON.parse(stdout);
  const got = [...shown.matchAll(/^GOT:(.*):END/gm)].map(([, line = '']) => line.trim());
  if (got.length !== lines.length) throw new Error(`the shell showed ${JSON.stringify(shown)}`);
  return got;
}

async function nothingWasRun(): Promise<void> {
  const { stdout } = await startProgram('find', [root, '-name', 'pwned'], home).ended;
  expect(stdout).toBe('');
}

const CASES: readonly (readonly [typed: string, becomes: string])[] = [
  ['cliproxyapi-sync hyd', 'cliproxyapi-sync hydrate'],
  ['cliproxyapi-sync sync --dry', 'cliproxyapi-sync sync --dry-run'],
  ['cliproxyapi-sync sync --store pos', 'cliproxyapi-sync sync --store postgres'],
  ['cliproxyapi-sync services unsw', 'cliproxyapi-sync services unswitch'],
  ['cliproxyapi-sync history claude-y', 'cliproxyapi-sync history claude-you@example.com.json'],
  ['cliproxyapi-sync restore claude-you@ex', 'cliproxyapi-sync restore claude-you@example.com.json'],
  [
    'cliproxyapi-sync sync --allow-delete claude-you@example.com.json claude-m',
    'cliproxyapi-sync sync --allow-delete claude-you@example.com.json claude-me@example.com.json',
  ],
  ['cliproxyapi-sync sync --env-file dotfiles/.e', 'cliproxyapi-sync sync --env-file dotfiles/.env'],
];

const TYPED = CASES.map(([typed]) => typed);
const BECOMES = CASES.map(([, becomes]) => becomes);

const python = findProgram('python3') !== undefined;

describe.skipIf(!python || !findProgram('bash'))('bash', () => {
  it('completes commands, options, their values, credentials and files', async () => {
    const prepare = `source ${await script('bash')}`;
    const got = await afterTab(['bash', '--norc', '-i'], prepare, TYPED);
    expect(got).toEqual(BECOMES);
  });

  /** The candidates, as the function gives them. */
  const candidates = async (line: string): Promise<string[]> => {
    const path = await script('bash');
    const call = `source "$1"; COMP_LINE=$2; COMP_POINT=\${#2}; COMP_WORDS=($2); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _cliproxyapi_sync; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const output = execFileSync('bash', ['-c', call, 'bash', path, line], {
      encoding: 'utf8',
      env: home.env,
      cwd: home.path,
    });
    return output.trim().split('\n');
  };

  it('offers every command, and every credential, of which none is run', async () => {
    expect(await candidates('cliproxyapi-sync ')).toEqual(
      expect.arrayContaining(['sync', 'status', 'restore', '--version']),
    );
    const names = await candidates('cliproxyapi-sync forget ');
    expect(names).toEqual(expect.arrayContaining([...NAMES, '--yes']));
    expect(names.some((name) => name.includes('pwned'))).toBe(true);
    await nothingWasRun();
  });

  it('an option after names is still an option', async () => {
    expect(await candidates('cliproxyapi-sync sync --allow-delete claude-me@example.com.json --dr')).toEqual([
      '--dry-run',
    ]);
  });
});

const zsh = findProgram('zsh') !== undefined;
if (!zsh) console.warn('\nSKIPPED: completion in zsh: it is not installed (Debian: apt-get install zsh)\n');
describe.skipIf(!python || !zsh)('zsh', () => {
  it('completes commands, options, their values, credentials and files', async () => {
    const prepare = `autoload -U compinit && compinit -u -D && source ${await script('zsh')}`;
    expect(await afterTab(['zsh', '-f', '-i'], prepare, TYPED)).toEqual(BECOMES);
    await nothingWasRun();
  });

  it('as a file in fpath, as a package has it', async () => {
    const directory = join(root, 'site-functions');
    await mkdir(directory, { recursive: true });
    await rename(await script('zsh'), join(directory, '_cliproxyapi-sync'));
    const prepare = `fpath=(${directory} $fpath) && autoload -U compinit && compinit -u -D`;
    const [got] = await afterTab(['zsh', '-f', '-i'], prepare, ['cliproxyapi-sync history claude-y']);
    expect(got).toBe('cliproxyapi-sync history claude-you@example.com.json');
  });
});

const fish = findProgram('fish') !== undefined;
if (!fish)
  console.warn('\nSKIPPED: completion in fish: it is not installed (Debian: apt-get install fish)\n');
describe.skipIf(!fish)('fish', () => {
  it.each(CASES)('%s', async (typed, becomes) => {
    const path = await script('fish');
    const output = execFileSync('fish', ['-c', 'source $argv[1]; complete -C $argv[2]', path, typed], {
      encoding: 'utf8',
      env: home.env,
      cwd: home.path,
    });
    const found = output
      .trim()
      .split('\n')
      .map((line) => line.split('\t')[0]);
    expect(found).toEqual([becomes.split(' ').at(-1)]);
    await nothingWasRun();
  });
});

describe('the names', () => {
  it('are those of files here, of what was agreed and of what this host keeps', async () => {
    const store = { kind: 'directory', path: join(root, 'store') } as const;
    const other = await makeHome(root, 'bob', { store });
    for (const name of ['here.json', 'gone.json'])
      await writeFile(join(other.authDir, name), credential(`${name}@example.com`, 1));
    const { code, stderr } = await runBundle('cliproxyapi-sync', ['sync'], other);
    expect(code, stderr).toBe(0);
    await rm(join(other.authDir, 'gone.json'));
    await rm(store.path, { recursive: true });
    await mkdir(join(other.stateDir, 'history/team/kept.json'), { recursive: true });
    await writeFile(join(other.stateDir, `history/team/kept.json/${'0'.repeat(64)}.json`), '{}');
    const { stdout } = await runBundle('cliproxyapi-sync', ['list-names'], other);
    expect(stdout.trim().split('\n')).toEqual(['gone.json', 'here.json', 'team/kept.json']);
  });

  it('are none, and quickly so, where there is nothing', async () => {
    const empty = await makeHome(root, 'empty', { store: undefined });
    const { code, stdout, stderr } = await runBundle('cliproxyapi-sync', ['list-names'], empty);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});
