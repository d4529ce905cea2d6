import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProxyProgram } from '../../../ts/src/proxy/program.ts';
import { proxyEnvironment } from '../../../ts/src/settings/proxy-environment.ts';
import { settingsFrom } from '../../../ts/src/settings/settings.ts';

let directory: string;
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'program-')));
  for (const name of ['ours', 'theirs', 'lib']) await mkdir(join(directory, name));
  await script('lib/wrapper.mjs', '#!/usr/bin/env node\n');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const at = (path: string) => join(directory, path);
const script = async (path: string, text = '#!/bin/sh\nexit 0\n', mode = 0o755) => {
  await writeFile(at(path), text);
  await chmod(at(path), mode);
};
const find = (env: Record<string, string>, self = at('lib/wrapper.mjs')) =>
  findProxyProgram(settingsFrom({ env: { HOME: '/home/ada', ...env } }), self);
const PATH = () => ['relative', '', at('missing'), at('ours'), at('theirs')].join(':');

describe('the program of the proxy', () => {
  it('is found in PATH', async () => {
    await script('theirs/cliproxyapi');
    expect(await find({ PATH: PATH() })).toBe(at('theirs/cliproxyapi'));
  });

  it('is not what may not be executed, or is a directory', async () => {
    await script('ours/cliproxyapi', undefined, 0o644);
    await script('theirs/cliproxyapi');
    expect(await find({ PATH: PATH() })).toBe(at('theirs/cliproxyapi'));
    await rm(at('ours/cliproxyapi'));
    await mkdir(at('ours/cliproxyapi'));
    expect(await find({ PATH: PATH() })).toBe(at('theirs/cliproxyapi'));
  });

  it.each([
    ['a link to the running bundle', () => symlink('../lib/wrapper.mjs', at('ours/cliproxyapi')), 'wrapper'],
    [
      'a link to the wrapper beside the running bundle',
      () => symlink('../lib/wrapper.mjs', at('ours/cliproxyapi')),
      'start',
    ],
    [
      'a script that runs the wrapper, as Nix makes them',
      () => script('ours/cliproxyapi', `#!/bin/sh\nexec node ${at('lib/wrapper.mjs')} "$@"\n`),
      'start',
    ],
  ])('is not ours: %s', async (_, install, running) => {
    await bundle('lib/wrapper.mjs');
    await install();
    await script('theirs/cliproxyapi');
    expect(await find({ PATH: PATH() }, at(`lib/${running}.mjs`))).toBe(at('theirs/cliproxyapi'));
    await rm(at('theirs/cliproxyapi'));
    await expect(find({ PATH: PATH() }, at(`lib/${running}.mjs`))).rejects.toThrow(
      /only the wrapper of that name is/,
    );
  });

  it('is not a copy of our bundle in another place', async () => {
    await bundle('ours/cliproxyapi');
    await chmod(at('ours/cliproxyapi'), 0o755);
    await script('theirs/cliproxyapi');
    expect(await find({ PATH: PATH() })).toBe(at('theirs/cliproxyapi'));
  });

  it('is not found through a relative entry of PATH, which depends on where one stands', async () => {
    await script('theirs/cliproxyapi');
    await expect(find({ PATH: relative(process.cwd(), at('theirs')) })).rejects.toThrow(/not in PATH/);
  });

  it('is looked up under the name in CLIPROXY_BIN, or taken from its path', async () => {
    await script('theirs/proxy-7');
    expect(await find({ PATH: PATH(), CLIPROXY_BIN: 'proxy-7' })).toBe(at('theirs/proxy-7'));
    expect(await find({ CLIPROXY_BIN: at('theirs/proxy-7') })).toBe(at('theirs/proxy-7'));
  });

  it.each([
    ['that is missing', 'missing', /CLIPROXY_BIN .*does not exist/],
    ['that is a directory', 'theirs', /CLIPROXY_BIN .*is not a file/],
    ['that may not be executed', 'lib/plain', /CLIPROXY_BIN .*may not be executed/],
    ['that is ours', 'ours/cliproxyapi', /CLIPROXY_BIN .*is cliproxyapi-sync itself/],
  ])('in CLIPROXY_BIN %s is an error', async (_, path, message) => {
    await script('lib/plain', 'x', 0o644);
    await script('ours/cliproxyapi', `#!/bin/sh\nexec ${at('lib/wrapper.mjs')}\n`);
    await expect(find({ CLIPROXY_BIN: at(path) })).rejects.toThrow(message);
  });

  it('that is nowhere is an error with the way on', async () => {
    await expect(find({ PATH: PATH() })).rejects.toThrow(
      expect.objectContaining({
        name: 'SettingsError',
        message: 'the proxy\'s program "cliproxyapi" is not in PATH',
        remedy: expect.stringContaining('CLIPROXY_BIN'),
      }),
    );
    await expect(find({})).rejects.toThrow(/not in PATH/);
  });

  it('that is a disguise of ours ends after a few rounds instead of never', async () => {
    await script('theirs/cliproxyapi');
    let env: Record<string, string> = { HOME: '/home/ada', PATH: PATH() };
    let rounds = 0;
    const again = async () => {
      await find(env);
      env = proxyEnvironment(settingsFrom({ env }));
      rounds++;
    };
    await expect(
      (async () => {
        for (;;) await again();
      })(),
    ).rejects.toThrow(/cliproxyapi-sync itself/);
    expect(rounds).toBe(3);
  });
});

/** Something made like our programs are, with the module that looks for the proxy in it. */
async function bundle(path: string): Promise<void> {
  await build({
    entryPoints: [new URL('../../../ts/src/proxy/program.ts', import.meta.url).pathname],
    outfile: at(path),
    bundle: true,
    platform: 'node',
    format: 'esm',
    minify: true,
    allowOverwrite: true,
    logLevel: 'error',
  });
}
