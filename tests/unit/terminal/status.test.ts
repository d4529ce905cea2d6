import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import type { CredentialName } from '../../../ts/src/credential/name.ts';
import type { CredentialStatus, Status } from '../../../ts/src/status/status.ts';
import { fromNow } from '../../../ts/src/terminal/ago.ts';
import { cut, fitRows } from '../../../ts/src/terminal/fit.ts';
import { type Screen, screenFor } from '../../../ts/src/terminal/screen.ts';
import { statusLines } from '../../../ts/src/terminal/status.ts';
import { drawTable } from '../../../ts/src/terminal/table.ts';
import { violations } from '../../support/json-schema.ts';
import { STATUS_SCHEMA } from '../../support/status-schema.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const iso = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString();

function credential(account: string, more: Partial<CredentialStatus> = {}): CredentialStatus {
  return {
    name: `claude-${account}.json` as CredentialName,
    provider: 'claude',
    account,
    disabled: false,
    state: 'in step',
    needsPerson: false,
    reason: '',
    lastRefresh: iso(-90),
    expires: iso(200),
    deletedAt: null,
    deletedOn: null,
    places: { auth: 'current', ccs: 'current', store: 'current', backup: 'current' },
    ...more,
  };
}

function status(credentials: readonly CredentialStatus[], more: Partial<Status> = {}): Status {
  return {
    format: 1,
    command: 'status',
    time: iso(0),
    exitCode: 0,
    host: 'laptop',
    store: { kind: 's3', location: 's3://bucket at host', reachable: true, error: null, remedy: null },
    lastRun: { command: 'sync', time: iso(-3), exitCode: 0, store: 's3://bucket at host' },
    lastSuccess: { command: 'sync', time: iso(-3), exitCode: 0, store: 's3://bucket at host' },
    services: { manager: 'none', scope: 'user', services: [] },
    off: [],
    credentials,
    problems: [],
    ...more,
  };
}

const screen = (columns: number, more: Partial<Screen> = {}): Screen => ({
  columns,
  colour: false,
  unicode: true,
  ...more,
});

const ODD = [
  '日本語の長いアドレス日本語の長いアドレス@例え.テスト',
  '👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦@example.com',
  'e\u0301'.repeat(60),
  'a'.repeat(300),
  'x',
];

describe('the table', () => {
  test.each([72, 80, 109, 110, 150, 200])('at %i columns no line is longer, whatever is in it', (columns) => {
    const all = ODD.map((account) => credential(account, { state: 'changed there', reason: account }));
    const lines = statusLines(status(all), screen(columns), false);
    for (const line of lines) expect(stringWidth(line), line).toBeLessThanOrEqual(columns);
  });

  test.each([80, 200])('at %i columns every mark stands below its heading', (columns) => {
    const all = ODD.map((account) => credential(account));
    const lines = statusLines(status(all), screen(columns), false);
    const head = lines.find((line) => line.includes('ACCOUNT')) ?? '';
    for (const heading of columns < 110 ? [' A ', ' S ', ' B'] : [' auth', ' store', ' backup']) {
      const at = stringWidth(head.slice(0, head.lastIndexOf(heading) + 1));
      const rows = lines.filter((line) => line.includes('in step') && line.includes('claude'));
      expect(rows).toHaveLength(ODD.length);
      for (const row of rows) expect(columnAt(row, at), `${heading} in ${row}`).toBe('✓');
    }
  });

  test('shows a wide screen all of it, and a file too', () => {
    for (const [columns, times] of [
      [200, 2],
      [Number.POSITIVE_INFINITY, 20],
    ] as const) {
      const account = `${'long.name.'.repeat(times)}@example.com`;
      const one = credential(account, { state: 'conflict', reason: 'both changed' });
      const text = statusLines(status([one]), screen(columns), false).join('\n');
      for (const part of [one.account, one.name, 'conflict', 'both changed']) expect(text).toContain(part);
    }
  });

  test('what is cut is cut at whole characters', () => {
    expect(cut('👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 5, screen(80))).toBe('👩‍👩‍👧‍👦👩‍👩‍👧‍👦…');
    expect(cut('日本語', 4, screen(80, { unicode: false }))).toBe('日~');
    expect(cut('abc', 3, screen(80))).toBe('abc');
  });

  test('the widest column gives way first, and one that wraps shows all', () => {
    const columns = [
      { head: 'A', shrinksTo: 3 },
      { head: 'B', shrinksTo: 3, wraps: true },
    ];
    const rows = [[{ text: 'short' }, { text: 'many words that do not fit at once' }]];
    const lines = drawTable(columns, rows, screen(20));
    expect(lines.map((line) => line.trim()).join(' ')).toContain('short');
    expect(
      lines
        .slice(1)
        .map((line) => line.slice(7))
        .join(' '),
    ).toBe('many words that do not fit at once');
  });

  test('no text from outside reaches the terminal as it is', () => {
    const evil = '\u001b[2J\u0007\u009b31m\u202eevil\nnew line';
    const lines = statusLines(
      status([credential(evil, { provider: evil, reason: evil, name: evil as CredentialName })], {
        host: evil,
        store: { kind: 's3', location: evil, reachable: false, error: evil, remedy: evil },
        services: {
          manager: 'systemd',
          scope: 'user',
          services: [{ name: evil, state: evil, detail: evil, failed: true, stopped: false }],
        },
        problems: [{ subject: evil, reason: evil, remedy: evil }],
      }),
      screen(200),
      false,
    );
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(lines.join('\n')).toContain('\\u001b[2J');
  });
});

describe('what it says', () => {
  const words = (one: CredentialStatus, more: Partial<Status> = {}) =>
    statusLines(status([one], more), screen(200), false).join('\n');

  test.each([
    [credential('a'), /^✓ {2}a .*in step.*1 h ago.*in 3 h/m, /1 credential, all in step/],
    [credential('a', { state: 'changed here' }), /^~ {2}a .*changed here/m, /1 for the next sync/],
    [credential('a', { state: 'invalid', needsPerson: true }), /^✗ {2}a .*invalid/m, /1 needs you/],
    [credential('a', { state: 'paused' }), /^- {2}a .*paused/m, /all in step/],
    [credential('a', { expires: iso(-3000) }), /^! {2}a .*2 d ago/m, /all in step/],
    [credential('a', { expires: null, lastRefresh: null }), /^✓ {2}a .*in step +- +-/m, /all in step/],
  ])('%#: each state has its own mark, word and sum', (one, row, sum) => {
    expect(words(one)).toMatch(row);
    expect(words(one)).toMatch(sum);
  });

  test('a deletion that is not carried out yet is for the next sync', () => {
    const places = { auth: 'absent', ccs: 'other', store: 'other', backup: 'other' } as const;
    const text = words(credential('a', { state: 'deleted', deletedAt: iso(-1), places }));
    expect(text).toMatch(/^~ {2}a .*deleted/m);
    expect(text).toMatch(/^0 credentials, 1 for the next sync/m);
    expect(text).toContain('≠ still there');
  });

  test('what is invalid and the next sync puts right needs nobody', () => {
    const places = { ...credential('a').places, auth: 'invalid' } as const;
    const text = words(credential('a', { state: 'invalid', places }));
    expect(text).toMatch(/^~ {2}a .*invalid/m);
    expect(text).toMatch(/^places: {2}! no credential$/m);
    expect(text).toMatch(/1 for the next sync/);
  });

  test('problems break at words, and a command in one piece', () => {
    const command = `\`cliproxyapi-sync restore ${'n'.repeat(90)}.json --version 0123456789ab\``;
    const reason = 'is one of those things that take a good many words to say, more than a narrow screen has';
    const problem = {
      subject: 'a.json',
      reason,
      remedy: `Think it over, and then type ${command} or nothing.`,
    };
    const lines = statusLines(status([credential('a')], { problems: [problem] }), screen(80), false);
    expect(lines.filter((line) => stringWidth(line) > 80)).toEqual([`  ${command}`]);
    expect(lines.join(' ').replace(/ +/g, ' ')).toContain(`a.json: ${reason}`);
  });

  test('what is drawn again and again fits the window, and says what it leaves out', () => {
    const lines = ['one', 'x'.repeat(25), 'three', '\u001b[2mfour\u001b[0m'];
    expect(fitRows(lines, 6, screen(10))).toEqual(lines);
    const cutOff = fitRows(lines, 5, screen(40)).join('\n');
    expect(cutOff).toBe(lines.join('\n'));
    expect(fitRows(lines, 5, screen(10))).toEqual(['one', 'x'.repeat(25), '2 more li…']);
    expect(fitRows(lines, 3, screen(40))).toEqual([
      'one',
      'x'.repeat(25),
      '2 more lines: make the window higher',
    ]);
  });

  test('colour says nothing that words and marks do not', () => {
    const all = status([
      credential('a'),
      credential('b', { state: 'conflict', places: { ...credential('b').places, store: 'other' } }),
      credential('c', { state: 'invalid', needsPerson: true, expires: iso(-5) }),
    ]);
    const coloured = statusLines(all, screen(80, { colour: true }), false).join('\n');
    expect(coloured).toContain('\u001b[32m');
    expect(coloured).toContain('\u001b[31m');
    expect(coloured.replace(/\u001b\[\d+m/g, '').replace(/ +$/gm, '')).toBe(
      statusLines(all, screen(80), false).join('\n'),
    );
  });

  test('a terminal that shows ASCII alone gets ASCII alone', () => {
    const all = status([credential('a'), credential('b'.repeat(200), { state: 'conflict' })]);
    expect(statusLines(all, screen(80, { unicode: false }), false).join('\n')).toMatch(/^[ -~\n]+$/);
  });

  test('a run that failed after the last good one is said, and so is a service', () => {
    const text = words(credential('a'), {
      lastRun: { command: 'backup', time: iso(-1), exitCode: 75, store: 's' },
      services: {
        manager: 'systemd',
        scope: 'user',
        services: [
          {
            name: 'cliproxyapi-sync.timer',
            state: 'inactive (dead)',
            detail: '',
            failed: false,
            stopped: true,
          },
        ],
      },
    });
    expect(text).toMatch(/last run +sync 3 min ago .*the last one, backup 1 min ago .*, ended with 75/);
    expect(text).toContain('systemd: cliproxyapi-sync.timer is stopped');
  });

  test('deletions of long ago are counted, and shown when asked for', () => {
    const gone = { auth: 'absent', ccs: 'absent', store: 'absent', backup: 'absent' } as const;
    const old = credential('old', { state: 'deleted', deletedAt: iso(-60 * 24 * 8), places: gone });
    const recent = credential('recent', { state: 'deleted', deletedAt: iso(-60), places: gone });
    const all = status([old, recent, credential('a')]);
    const text = statusLines(all, screen(80), false).join('\n');
    expect(text).toMatch(/^- {2}recent/m);
    expect(text).not.toMatch(/^- {2}old/m);
    expect(text).toContain('1 credential, all in step; 1 deleted earlier (--all)');
    expect(statusLines(all, screen(80), true).join('\n')).toMatch(/^- {2}old/m);
  });

  test.each([
    [0, 'now'],
    [59_000, 'now'],
    [61_000, 'in 1 min'],
    [-3 * 3_600_000, '3 h ago'],
    [47 * 3_600_000, 'in 47 h'],
    [-49 * 3_600_000, '2 d ago'],
  ])('%i ms from now is "%s"', (distance, expected) => {
    expect(fromNow(NOW + distance, NOW)).toBe(expected);
  });
});

describe('the screen', () => {
  test('no colour without a terminal, with NO_COLOR, or on a dumb one', () => {
    expect(screenFor({ isTTY: true, columns: 90 }, {})).toEqual({ columns: 90, colour: true, unicode: true });
    expect(screenFor({ isTTY: true }, { NO_COLOR: '1', LANG: 'C' })).toEqual(screen(80, { unicode: false }));
    expect(screenFor({ isTTY: true }, { TERM: 'dumb' }).colour).toBe(false);
    expect(screenFor({}, { LANG: 'de_DE.UTF-8' })).toEqual(screen(Number.POSITIVE_INFINITY));
  });
});

describe('the schema', () => {
  test('describes a status, and knows one that is none', () => {
    const good = status([credential('a'), credential('b', { deletedAt: iso(0), deletedOn: 'server' })]);
    const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));
    expect(violations(STATUS_SCHEMA, asJson(good))).toEqual([]);
    expect(violations(STATUS_SCHEMA, { ...asJson(good), format: 2 })).not.toEqual([]);
    expect(violations(STATUS_SCHEMA, { ...asJson(good), more: 1 })).not.toEqual([]);
    const { host: _, ...without } = asJson(good);
    expect(violations(STATUS_SCHEMA, without)).not.toEqual([]);
    const odd = asJson(good);
    odd.credentials[0].places.store = 'perhaps';
    expect(violations(STATUS_SCHEMA, odd)).not.toEqual([]);
  });
});

/** The character that a terminal shows in this column. */
function columnAt(line: string, column: number): string {
  let width = 0;
  for (const { segment } of new Intl.Segmenter('en').segment(line)) {
    if (width === column) return segment;
    width += stringWidth(segment);
  }
  return '';
}

test('names that begin alike are told apart where the screen is narrow', () => {
  const account = (end: string) => `somebody.with.a.long.name.indeed@department-${end}.example.com`;
  const one = { ...credential('a'), account: account('one') };
  const two = { ...credential('b'), account: account('two') };
  const lines = statusLines(status([one, two]), screen(80), false);
  const [first = '', second = ''] = lines.filter((line) => line.includes('…'));
  expect(first).toMatch(/somebody.*…ne\.example\.com/);
  expect(second).toMatch(/somebody.*…wo\.example\.com/);
  for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(80);
});
