import { access, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Generations, generationsIn } from '../../../ts/src/services/generations.ts';
import type { CommandResult } from '../../../ts/src/services/run-command.ts';
import type { ServiceSet } from '../../../ts/src/services/service-set.ts';

const set = (text: string): ServiceSet => ({
  manager: 'systemd',
  files: new Map([['a.service', text]]),
  directories: [],
  hydrate: undefined,
});

describe('generations', () => {
  let directory: string;
  let generations: Generations;
  let commands: (readonly string[])[];
  let result: CommandResult;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'generations-'));
    commands = [];
    result = { kind: 'ended', code: 0, stdout: '', stderr: '' };
    generations = generationsIn(directory, async (command) => {
      commands.push(command);
      return result;
    });
    await mkdir(generations.directory);
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('are counted up, and the newest is taken again if it holds the same', async () => {
    expect(await generations.keep(set('1'))).toEqual({ generation: 1, isNew: true });
    expect(await generations.keep(set('1'))).toEqual({ generation: 1, isNew: false });
    expect(await generations.keep(set('2'))).toEqual({ generation: 2, isNew: true });
    expect(await generations.keep(set('1'))).toEqual({ generation: 3, isNew: true });
    expect(await generations.read(2)).toEqual(set('2'));
  });

  it('what a killed run left half written is none', async () => {
    await mkdir(join(generations.directory, '.new'));
    await writeFile(join(generations.directory, '.new/manifest.json'), '{');
    expect(await generations.list()).toEqual([]);
    expect(await generations.keep(set('1'))).toEqual({ generation: 1, isNew: true });
  });

  it('the oldest go, the active one stays', async () => {
    for (const text of ['1', '2', '3', '4']) await generations.keep(set(text));
    await generations.activate(1);
    await generations.prune(2);
    expect(await generations.list()).toEqual([1, 3, 4]);
    expect(await generations.current()).toBe(1);
    // Whatever happened to the active one: then nothing is active.
    await rm(join(generations.directory, '1'), { recursive: true });
    expect(await generations.current()).toBeUndefined();
  });

  it('a lost record means that nothing has arrived', async () => {
    await generations.writeApplied({ a: 'hash' });
    expect(await generations.applied()).toEqual({ a: 'hash' });
    for (const damaged of ['{"a":', 'null', '{"a":1}']) {
      await writeFile(join(generations.directory, 'applied.json'), damaged);
      expect(await generations.applied()).toEqual({});
    }
  });

  it("keep what they run from Nix's garbage collector, however the set was named", async () => {
    const store = join(directory, 'nix/store/0123456789abcdfghijklmnpqrsvwxyz-services');
    await mkdir(store, { recursive: true });
    await symlink(store, join(directory, 'result'));
    await generations.keep(set('1'));
    expect(await generations.protect(1, join(directory, 'result'))).toBeUndefined();
    const root = join(generations.directory, '1/root');
    expect(commands).toEqual([['nix-store', '--realise', store, '--add-root', root, '--indirect']]);
    result = { kind: 'missing' };
    expect(await generations.protect(1, store)).toContain('could not be run');
    await symlink(store, root);
    expect(await generations.protect(1, store)).toBeUndefined();
    // Not from a Nix store: there is nothing to keep.
    await expect(access(directory)).resolves.toBeUndefined();
    expect(await generations.protect(1, directory)).toBeUndefined();
  });
});
