import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseEnv, readEnvFile } from '../../../ts/src/settings/env-file.ts';
import { SettingsError } from '../../../ts/src/settings/settings-error.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'env-file-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function file(content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(directory, '.env');
  await writeFile(path, content, { mode });
  await chmod(path, mode);
  return path;
}

describe('an env file', () => {
  it.each([
    ['as a shell script exports it', 'export A=one\nexport\tB=two\n', { A: 'one', B: 'two' }],
    ['with quotes of both kinds', `A="one two"\nB='it is "so"'\n`, { A: 'one two', B: 'it is "so"' }],
    ['with comments', '# A=no\nA=one # two\nB="one # two" # three\n', { A: 'one', B: 'one # two' }],
    ['saved on Windows', '\ufeffA=one\r\nB="two"\r\n', { A: 'one', B: 'two' }],
    ['with a value of several lines', 'A="one\ntwo"\nB=three', { A: 'one\ntwo', B: 'three' }],
    ['with an empty value', 'A=\nB=""\n', { A: '', B: '' }],
    ['with nothing in it', '', {}],
  ])('%s is read', async (_, text, expected) => {
    expect((await readEnvFile(await file(text), 'test', false))?.values).toEqual(expected);
  });

  it('leaves the environment of the process alone', async () => {
    await readEnvFile(await file('ENV_FILE_TEST_VARIABLE=x'), 'test', false);
    expect(process.env.ENV_FILE_TEST_VARIABLE).toBeUndefined();
  });

  it('gives any value in single quotes back byte for byte', async () => {
    const value = fc.string({ unit: 'binary' }).filter((text) => !/['\r\0\ufeff]/.test(text));
    await fc.assert(
      fc.asyncProperty(value, fc.constantFrom('\n', '\r\n'), async (text, end) => {
        const { values } = await parseEnv(`BEFORE=1${end}export A='${text}'${end}AFTER=2${end}`);
        expect(values).toEqual({ BEFORE: '1', A: text, AFTER: '2' });
      }),
    );
  });

  it('never throws, whatever the text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
        for (const value of Object.values((await parseEnv(text)).values)) expect(typeof value).toBe('string');
      }),
    );
  });
});

describe('someone whose env file has a mistake', () => {
  it('is told of a value that is cut short at a "#", without its text', async () => {
    const { warnings } = await parseEnv('SECRET=hunter#2\nOTHER=a # comment\nQUOTED="a#b"\n');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('SECRET');
    expect(warnings[0]).not.toContain('hunter');
  });

  it('is told of a quote that is not closed', async () => {
    const { warnings } = await parseEnv('SECRET="hunter2\nOTHER=x\n');
    expect(warnings.join()).toMatch(/SECRET.*quote/);
    expect(warnings.join()).not.toContain('hunter2');
  });

  it.each([0o644, 0o640, 0o604])('is warned when others may read it (mode %o)', async (mode) => {
    const read = await readEnvFile(await file('A=1', mode), 'test', false);
    expect(read?.warnings.join()).toContain(`mode ${mode.toString(8)}`);
    expect(read?.values).toEqual({ A: '1' });
  });

  it('is not warned when it is private', async () => {
    expect((await readEnvFile(await file('A=1', 0o600), 'test', false))?.warnings).toEqual([]);
    expect((await readEnvFile(await file('A=1', 0o400), 'test', false))?.warnings).toEqual([]);
  });

  it('may have no default file, but not miss one that was named', async () => {
    const path = join(directory, 'missing');
    expect(await readEnvFile(path, 'test', true)).toBeUndefined();
    await expect(readEnvFile(path, '--env-file', false)).rejects.toThrow(
      expect.objectContaining({
        name: 'SettingsError',
        message: expect.stringMatching(/missing \(--env-file\) does not exist/),
      }),
    );
  });

  it.each([
    ['a directory', async (path: string) => mkdir(path)],
    ['binary', async (path: string) => writeFile(path, Buffer.from([0xff, 0xfe, 0x41, 0]))],
    ['text with a NUL', async (path: string) => writeFile(path, 'A=b\0c')],
  ])('gets an error that names the file when it is %s', async (_, make) => {
    const path = join(directory, 'x.env');
    await make(path);
    await expect(readEnvFile(path, 'test', true)).rejects.toThrow(SettingsError);
    await expect(readEnvFile(path, 'test', true)).rejects.toThrow(/x\.env/);
  });

  it('can feed it through a FIFO, as secret managers do', async () => {
    const path = join(directory, 'fifo');
    execFileSync('mkfifo', ['-m', '644', path]);
    const [read] = await Promise.all([readEnvFile(path, 'test', false), writeFile(path, 'A=1\n')]);
    expect(read).toMatchObject({ values: { A: '1' }, warnings: [] });
  });
});
