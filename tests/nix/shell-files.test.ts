import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root, tools } from './support/nix.ts';

const share = mkdtempSync(join(tmpdir(), 'share-'));
const bundles = join(root, 'ts/dist');
const help = (...args: string[]) =>
  execFileSync(process.execPath, [join(bundles, 'cliproxyapi-sync.mjs'), ...args, '--help'], {
    encoding: 'utf8',
  });
const read = (path: string) => readFileSync(join(share, path), 'utf8');
const longOptions = (text: string) =>
  [...text.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)].map(([, name = '']) => name);

describe('man pages and completions, made from --help', () => {
  beforeAll(() => {
    execFileSync(process.execPath, [
      join(root, 'ts/node_modules/tsx/dist/cli.mjs'),
      join(root, 'ts/build.ts'),
    ]);
    execFileSync(process.execPath, [join(root, 'nix/shell-files.mjs'), bundles, share]);
  });
  afterAll(() => rmSync(share, { recursive: true }));

  const commands = () =>
    [...help().matchAll(/^ {2}([a-z]+) \[/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');

  it('every command and option is in each of them', () => {
    expect(commands()).toEqual(expect.arrayContaining(['hydrate', 'backup', 'sync', 'start', 'exec']));
    const bash = read('bash-completion/completions/cliproxyapi-sync.bash');
    const zsh = read('zsh/site-functions/_cliproxyapi-sync');
    const fish = read('fish/vendor_completions.d/cliproxyapi-sync.fish');
    const man = read('man/man1/cliproxyapi-sync.1').replaceAll('\\-', '-');
    for (const command of commands()) {
      expect(bash).toMatch(new RegExp(`^ {4}${command}\\) words=`, 'm'));
      expect(zsh).toContain(`'${command}:`);
      expect(fish).toContain(`-a ${command} `);
      expect(man).toContain(`.SS cliproxyapi-sync ${command}`);
      for (const option of longOptions(help(command))) {
        expect(bash).toMatch(new RegExp(`^ {4}${command}\\).*--${option}\\b`, 'm'));
        expect(zsh).toContain(`'--${option}[`);
        expect(fish).toMatch(new RegExp(`seen_subcommand_from ${command}'.*-l ${option}\\b`));
        expect(man).toContain(`--${option}`);
      }
    }
  });

  it('bash completes with them', () => {
    const complete = (...words: string[]) =>
      execFileSync(
        'bash',
        [
          '-c',
          `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cliproxyapi_sync; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'bash',
          join(share, 'bash-completion/completions/cliproxyapi-sync.bash'),
          ...words,
        ],
        { encoding: 'utf8' },
      )
        .trim()
        .split('\n');
    expect(complete('cliproxyapi-sync', 'hy')).toEqual(['hydrate']);
    expect(complete('cliproxyapi-sync', 'sync', '--dry')).toEqual(['--dry-run']);
  });

  it.skipIf(!tools.man)('man reads them without a warning', () => {
    const { stdout, stderr } = spawnSync(
      'man',
      ['--warnings', '-l', join(share, 'man/man1/cliproxyapi-sync.1')],
      {
        encoding: 'utf8',
        env: { ...process.env, MANWIDTH: '100', LC_ALL: 'C.UTF-8' },
      },
    );
    expect(stderr).toBe('');
    expect(stdout).toContain('read variables from this file instead of CLIPROXY_ENV_FILE or ~/dotfiles/.env');
  });
});
