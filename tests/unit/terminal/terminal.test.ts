import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTerminal, type Output, type TerminalOptions } from '../../../ts/src/terminal/terminal.ts';

function terminal(options: Partial<TerminalOptions> = {}) {
  let time = 0;
  const out = { stdout: '', stderr: '' };
  const output = (name: 'stdout' | 'stderr'): Output & { fail(error: Error): void } => {
    const listeners: ((error: Error) => void)[] = [];
    return {
      columns: 40,
      write: (text) => {
        out[name] += text;
      },
      on: (_, listener) => listeners.push(listener),
      fail: (error) => {
        for (const listener of listeners) listener(error);
      },
    };
  };
  const stdout = output('stdout');
  const stderr = output('stderr');
  return {
    out,
    stdout,
    stderr,
    wait: (milliseconds: number) => {
      time += milliseconds;
    },
    ...createTerminal({
      stdout,
      stderr,
      isTTY: false,
      env: {},
      level: 'normal',
      run: '0badcafe',
      now: () => time,
      ...options,
    }),
  };
}

describe('messages', () => {
  it('go to stderr, data to stdout', () => {
    const t = terminal();
    t.error('no', 'do this');
    t.warn('hm');
    t.info('yes');
    t.data('a\u001bb');
    t.json({ a: 1 });
    expect(t.out).toEqual({
      stderr: 'error: no\n  do this\nwarning: hm\nyes\n',
      stdout: 'a\u001bb{"a":1}\n',
    });
  });

  it.each([
    ['quiet', 'error: e\nwarning: w\n'],
    ['normal', 'error: e\nwarning: w\ni\n'],
    ['verbose', 'error: e\nwarning: w\ni\n[0badcafe] v\n'],
  ] as const)('of --%s are these', (level, expected) => {
    const t = terminal({ level });
    t.error('e');
    t.warn('w');
    t.info('i');
    t.verbose('v');
    expect(t.out.stderr).toBe(expected);
  });

  it('with a name from a hostile store cannot move the cursor, fake a line or turn the text around', () => {
    const t = terminal({ isTTY: true });
    t.info('a\u001b[2Jb\nerror: c\u202ed\u009b');
    t.error('x\u001b[A', 'y\r\u0007');
    t.progress('p\u001b', 1, 2);
    expect(t.out.stderr).toContain('a\\u001b[2Jb\\u000aerror: c\\u202ed\\u009b\n');
    expect(t.out.stderr).toContain(' x\\u001b[A\n  y\\u000d\\u0007\n');
  });

  it('of JSON are valid, harmless to a terminal and on one line', () => {
    const t = terminal();
    const value = { name: 'a\u001b\u009b\u202e\n\u2028"' };
    t.json(value);
    t.json(undefined);
    const [first = '', second] = t.out.stdout.split('\n');
    expect(JSON.parse(first)).toEqual(value);
    expect(first).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    expect(second).toBe('null');
  });
});

describe('colour', () => {
  const shown = (options: Partial<TerminalOptions>) => {
    const t = terminal(options);
    t.error('e');
    return t.out.stderr;
  };

  it('is for terminals', () => {
    expect(shown({ isTTY: true })).toBe('\u001b[31merror:\u001b[0m e\n');
    expect(shown({ isTTY: true, env: { NO_COLOR: '', TERM: 'xterm' } })).toContain('\u001b[31m');
  });

  it.each([
    { isTTY: false },
    { isTTY: true, env: { NO_COLOR: '1' } },
    { isTTY: true, env: { TERM: 'dumb' } },
  ])('is not used with %j', (options) => {
    expect(shown(options)).toBe('error: e\n');
  });
});

describe('progress', () => {
  const ERASE = '\r\u001b[2K';

  it('shows only what takes longer than a second, ten times a second, and leaves no trace', () => {
    const t = terminal({ isTTY: true });
    t.progress('uploading', 1, 100);
    t.wait(999);
    t.progress('uploading', 2, 100);
    expect(t.out.stderr).toBe('');
    t.wait(1);
    t.progress('uploading', 3, 100);
    t.progress('uploading', 4, 100);
    t.wait(50);
    t.progress('uploading', 5, 100);
    t.wait(50);
    t.progress('uploading', 6, 100);
    expect(t.out.stderr).toBe(`${ERASE}uploading 3/100${ERASE}uploading 6/100`);
    t.progress('uploading', 100, 100);
    expect(t.out.stderr.endsWith(ERASE)).toBe(true);
  });

  it.each(['info', 'data', 'json'] as const)('is erased before %s, and drawn again after it', (kind) => {
    const t = terminal({ isTTY: true, level: 'normal' });
    t.progress('p', 0, 9);
    t.wait(1000);
    t.progress('p', 1, 9);
    t[kind]('hello');
    expect(t.out.stderr).toMatch(kind === 'info' ? /1\/9\r\u001b\[2Khello\n$/ : /1\/9\r\u001b\[2K$/);
    t.progress('p', 2, 9);
    expect(t.out.stderr.endsWith(`${ERASE}p 2/9`)).toBe(true);
  });

  it('can be ended early; the next work has its own second', () => {
    const t = terminal({ isTTY: true });
    t.progress('p', 0, 9);
    t.wait(1000);
    t.progress('p', 1, 9);
    t.clear();
    const { length } = t.out.stderr;
    t.progress('q', 0, 9);
    expect(t.out.stderr).toHaveLength(length);
  });

  it('fits the width of the terminal, as it could not be erased otherwise', () => {
    const t = terminal({ isTTY: true });
    t.progress('x'.repeat(100), 0, 9);
    t.wait(1000);
    t.progress('x'.repeat(100), 1, 9);
    expect(t.out.stderr).toBe(`${ERASE}${'x'.repeat(39)}`);
  });

  it.each<Partial<TerminalOptions>>([
    {},
    { isTTY: true, level: 'quiet' },
    { isTTY: true, env: { TERM: 'dumb' } },
  ])('is not shown with %j', (options) => {
    const t = terminal(options);
    t.progress('p', 0, 9);
    t.wait(5000);
    t.progress('p', 1, 9);
    expect(t.out.stderr).toBe('');
  });
});

describe('a stream that fails', () => {
  const failure = (code: string) => Object.assign(new Error(`${code}: write`), { code });

  it('because its reader went away is dropped in silence', () => {
    const t = terminal();
    t.stdout.fail(failure('EPIPE'));
    t.data('x');
    t.info('still here');
    expect(t.out).toEqual({ stdout: '', stderr: 'still here\n' });
  });

  it('because the disk is full is said once', () => {
    const t = terminal();
    t.stdout.fail(failure('ENOSPC'));
    t.stdout.fail(failure('ENOSPC'));
    expect(t.out.stderr).toBe('error: the output could not be written: ENOSPC: write\n');
  });

  it('on stderr does not end the program', () => {
    const t = terminal();
    t.stderr.fail(failure('EIO'));
    t.error('x');
    expect(t.out.stderr).toBe('');
  });
});

describe('a real program whose reader goes away', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'terminal-'));
    await build({
      stdin: {
        contents: `
          import { createTerminal } from './terminal.ts';
          const { stdout, stderr, env } = process;
          const terminal = createTerminal({ stdout, stderr, isTTY: false, env, level: 'normal' });
          let lines = 0;
          const timer = setInterval(() => {
            for (let i = 0; i < 100; i++) terminal.json({ line: lines++, text: 'x'.repeat(100) });
            if (lines >= 5000) { clearInterval(timer); terminal.info('done'); process.exitCode = 75; }
          });`,
        resolveDir: new URL('../../../ts/src/terminal', import.meta.url).pathname,
        loader: 'ts',
      },
      outfile: join(directory, 'program.mjs'),
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('ends with its own exit code', async () => {
    const child = spawn(process.execPath, [join(directory, 'program.mjs')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = await once(child, 'close');
    expect(stderr).toBe('done\n');
    expect(code).toBe(75);
  });
});
