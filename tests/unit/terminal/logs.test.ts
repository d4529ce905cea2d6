import { describe, expect, it } from 'vitest';
import { isJournal } from '../../../ts/src/terminal/log-entry.ts';
import { createTerminal, type TerminalOptions } from '../../../ts/src/terminal/terminal.ts';

function said(options: Partial<TerminalOptions>, say: (t: ReturnType<typeof createTerminal>) => void) {
  let stderr = '';
  const output = (write: (text: string) => void) => ({ write, on: () => undefined, columns: 80 });
  const terminal = createTerminal({
    stdout: output(() => undefined),
    stderr: output((text) => {
      stderr += text;
    }),
    isTTY: false,
    env: {},
    level: 'verbose',
    run: '0badcafe',
    now: () => Date.UTC(2026, 10, 23, 12),
    ...options,
  });
  say(terminal);
  return stderr;
}

const everything = (t: ReturnType<typeof createTerminal>) => {
  t.error('it broke\nbadly', 'mend it');
  t.warn('look out');
  t.info('a.json: wrote the store (new)', {
    credential: 'a.json',
    action: 'wrote the store',
    reason: 'new',
  });
  t.verbose('a detail');
};

describe('--log-format json', () => {
  it('is one object a line, with time, level, run, and what was done to which credential and why', () => {
    const lines = said({ format: 'json' }, everything).trimEnd().split('\n');
    const common = { time: '2026-11-23T12:00:00.000Z', run: '0badcafe' };
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { ...common, level: 'error', message: 'it broke\nbadly', remedy: 'mend it' },
      { ...common, level: 'warning', message: 'look out' },
      {
        ...common,
        level: 'info',
        message: 'a.json: wrote the store (new)',
        credential: 'a.json',
        action: 'wrote the store',
        reason: 'new',
      },
      { ...common, level: 'debug', message: 'a detail' },
    ]);
  });

  it('has neither colour nor progress, on a terminal too', () => {
    const text = said({ format: 'json', isTTY: true }, (t) => {
      t.progress('sync', 1, 2);
      everything(t);
    });
    expect(text).not.toMatch(/\u001b/);
  });

  it('moves no cursor, whatever a name holds', () => {
    const text = said({ format: 'json' }, (t) => t.info('\u001b[2J\u202e.json'));
    expect(text).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
    expect(JSON.parse(text).message).toBe('\u001b[2J\u202e.json');
  });
});

describe('in the journal', () => {
  it('every line has its priority and the run', () => {
    expect(said({ format: 'journal' }, everything)).toBe(
      '<3>[0badcafe] error: it broke\\u000abadly\n<3>[0badcafe]   mend it\n' +
        '<4>[0badcafe] warning: look out\n<6>[0badcafe] a.json: wrote the store (new)\n<7>[0badcafe] a detail\n',
    );
  });

  it('is where JOURNAL_STREAM names the stream, and nowhere else', () => {
    expect(isJournal('8:4242', { dev: 8n, ino: 4242n })).toBe(true);
    for (const other of [undefined, '', '8:4243', '9:4242', '8'])
      expect(isJournal(other, { dev: 8n, ino: 4242n })).toBe(false);
  });
});

describe('for people', () => {
  it('the run is in the lines of --verbose alone', () => {
    expect(said({}, everything)).toBe(
      'error: it broke\\u000abadly\n  mend it\nwarning: look out\na.json: wrote the store (new)\n[0badcafe] a detail\n',
    );
  });

  it('the next run in the same process has another id', () => {
    const ids = new Set<string>();
    said({}, (t) => {
      for (const each of [t, t.nextRun(), t.nextRun()]) ids.add(each.run);
    });
    expect(ids.size).toBe(3);
  });

  it.each([
    [true, '\u001b[32m✓ ok     \u001b[0m fine\n\u001b[31m✗ failed \u001b[0m broken\n          mend it\n'],
    [false, '✓ ok      fine\n✗ failed  broken\n          mend it\n'],
  ])('a list of checks can be read with colour (%s) and without', (isTTY, expected) => {
    const text = said({ isTTY }, (t) => {
      t.mark('ok', 'fine');
      t.mark('failed', 'broken', 'mend it');
    });
    expect(text).toBe(expected);
  });
});
