import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { type BundleName, bundlePath } from '../support/bundle.ts';
import { command, credential, held, nodes, put, stored, test } from './world.ts';

const BUNDLES: readonly BundleName[] = ['hydrate', 'backup', 'start', 'wrapper', 'cliproxyapi-sync'];
const TS = fileURLToPath(new URL('../../ts', import.meta.url));

describe.each(BUNDLES)('the program %s as a file', (name) => {
  test('is below 1.5 MB, may be executed, and names no place on the machine that made it', () => {
    const { size, mode } = statSync(bundlePath(name));
    expect(size).toBeLessThan(1_500_000);
    expect(mode & 0o111).toBe(0o111);
    const text = readFileSync(bundlePath(name), 'utf8');
    expect(text).toMatch(/^#!\/usr\/bin\/env -S node --\n/);
    expect(text).not.toContain(dirname(TS));
  });
});

describe.each(nodes('the programs alone in a directory'))('alone in an empty directory, on %s', (_, node) => {
  test('each program runs with nothing else installed', async ({ world }) => {
    const home = await world.home('laptop', { template: 'port: 1\n' });
    const files = { 'a.json': credential('a@example.com') };
    await put(home.authDir, files);
    const env = { PATH: [dirname(node), home.env.PATH].join(delimiter) };
    for (const name of BUNDLES) {
      const directory = join(world.root, `alone-${name}`);
      mkdirSync(directory);
      const program = join(directory, name);
      copyFileSync(bundlePath(name), program);
      const options = { env, cwd: directory };
      const version = await command(home, [program, '--version'], options);
      if (name !== 'wrapper')
        expect(version).toMatchObject({ code: 0, stderr: '', stdout: `${name} 0.1.0\n` });
      const args = { 'cliproxyapi-sync': ['sync'], wrapper: ['-codex-login'], start: ['-codex-login'] };
      const ended = await command(
        home,
        [program, ...(name in args ? args[name as keyof typeof args] : [])],
        options,
      );
      expect(ended, `${name}: ${ended.stderr}`).toMatchObject({ code: 0 });
      expect(readdirSync(directory)).toEqual([name]);
    }
    expect(Object.keys(await stored(world.store, 'auths/'))).toEqual(['a.json', 'codex-me@example.com.json']);
    expect(Object.keys(held(home.authDir))).toHaveLength(2);
  });
});

test('two builds in different directories are equal byte for byte', ({ world }) => {
  const builds = ['one', 'another/deeper'].map((name) => {
    const directory = join(world.root, name);
    mkdirSync(directory, { recursive: true });
    for (const part of ['src', 'build.ts', 'package.json', 'tsconfig.json'])
      cpSync(join(TS, part), join(directory, part), { recursive: true });
    symlinkSync(join(TS, 'node_modules'), join(directory, 'node_modules'));
    execFileSync(process.execPath, [join(TS, 'node_modules/tsx/dist/cli.mjs'), 'build.ts'], {
      cwd: directory,
    });
    return join(directory, 'dist');
  });
  const [one = '', another = ''] = builds;
  expect(readdirSync(one).sort()).toEqual(BUNDLES.map((name) => `${name}.mjs`).sort());
  for (const name of readdirSync(one))
    expect(readFileSync(join(one, name)).equals(readFileSync(join(another, name))), name).toBe(true);
});
