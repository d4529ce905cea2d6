import { readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { parse } from 'yaml';
import { type Home, run, test, type World } from './world.ts';

/** A home whose proxy ends at once. */
async function homeWith(world: World, template: string): Promise<Home> {
  const proxy = join(world.root, 'proxy');
  await writeFile(proxy, '#!/bin/sh\necho started\n', { mode: 0o755 });
  return world.home('laptop', { proxy, template });
}

const configOf = ({ proxyHome }: Home) => join(proxyHome, 'config.yaml');

describe('a template that', () => {
  test.for([
    ['is no YAML', 'port: 8317\napi-keys: [__KEY__\n', /is not valid YAML at line \d+, column \d+/],
    ['has a tab for indentation', 'a:\n\tb: 1\n', /is not valid YAML at line 2/],
    ['has a key twice', 'port: 1\nport: 2\n', /is not valid YAML at line 2/],
    ['is a list', '- a\n', /is not a mapping/],
    ['is text', 'S3CR3T\n', /is not a mapping/],
    ['is nested too deep', `a: ${'['.repeat(20_000)}`, /nested too deeply|is not valid YAML/],
    ['has an alias without its anchor', 'a: *nowhere\n', /alias/],
    ['is not UTF-8', '\ufffd', /is not UTF-8 text/],
  ] as const)(
    '%s is exit 78, names the file, leaves the config alone, and starts nothing',
    async ([, text, said], { world }) => {
      const home = await homeWith(world, text);
      if (text === '\ufffd')
        await writeFile(join(home.proxyHome, 'config.template.yaml'), Buffer.from([0xff, 0xfe, 0x80]));
      await writeFile(configOf(home), 'port: 1\n');
      const { code, stdout, stderr } = await run(home, 'start', [], { env: { KEY: 'S3CR3T' } });
      expect({ code, stdout }, stderr).toEqual({ code: 78, stdout: '' });
      expect(stderr).toMatch(said);
      expect(stderr).toContain(join(home.proxyHome, 'config.template.yaml'));
      expect(await readFile(configOf(home), 'utf8')).toBe('port: 1\n');
    },
  );
});

describe('a secret', () => {
  test.for([
    ['a pipe and an ampersand', 'a|b&c&&d||e'],
    ['slashes and backslashes', '/a\\b\\1\\\\n/g'],
    ['quotes', `'single' "double" \`back\``],
    ['line breaks', 'one\ntwo\r\n\n three\n'],
    ['a placeholder', '__OTHER__ and __KEY__'],
    ['what YAML reads in its own way', '*a &b !c %d @e `f # g: h - i ? {j} [k]'],
    ['a dollar and a command', '$HOME $(touch x) `id`'],
    ['what is a number, or no', '0755'],
    ['what is no text to some', 'no'],
    ['a colon', 'a: b'],
  ])('with %s is the same in the config', async ([, value], { world }) => {
    const template = 'plain: __KEY__x\nquoted: "<__KEY__>"\nsecret-key: __KEY__\napi-keys:\n  - __KEY__\n';
    const home = await homeWith(world, template);
    const { code, stdout, stderr } = await run(home, 'start', [], { env: { KEY: value, OTHER: 'S3CR3T' } });
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: 'started\n' });
    expect(parse(await readFile(configOf(home), 'utf8'))).toEqual({
      plain: `${value}x`,
      quoted: `<${value}>`,
      'secret-key': value,
      'api-keys': [value],
      'auth-dir': home.authDir,
    });
    expect((await stat(configOf(home))).mode & 0o777).toBe(0o600);
    // Nothing is written again that says the same.
    const before = await stat(configOf(home), { bigint: true });
    await run(home, 'start', [], { env: { KEY: value } });
    expect((await stat(configOf(home), { bigint: true })).mtimeNs).toBe(before.mtimeNs);
  });

  test('that is not set leaves no empty key behind, and is named', async ({ world }) => {
    const home = await homeWith(world, 'api-keys:\n  - __KEY__\nsecret-key: __UNSET__\nport: 1\n');
    const { code, stderr } = await run(home, 'start');
    expect(code).toBe(0);
    expect(stderr).toMatch(/UNSET/);
    expect(parse(await readFile(configOf(home), 'utf8'))).toMatchObject({ port: 1 });
    expect(await readFile(configOf(home), 'utf8')).not.toMatch(/api-keys|__/);
  });
});

test('a config that is a link elsewhere is not written through', async ({ world }) => {
  const home = await homeWith(world, 'port: 2\n');
  const target = join(world.root, 'managed.yaml');
  await writeFile(target, 'port: 1\n');
  await symlink(target, configOf(home));
  const { code, stderr } = await run(home, 'start');
  expect(code).toBe(78);
  expect(stderr).toMatch(/config\.yaml is a symbolic link/);
  expect(await readFile(target, 'utf8')).toBe('port: 1\n');
});
