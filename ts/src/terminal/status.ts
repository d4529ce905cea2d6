/** `status` as it is looked at. */
import { printable } from '../credential/name.ts';
import type { CredentialStatus, Mark, RunStatus, Status } from '../status/status.ts';
import { PLACES, type Place } from '../sync/model.ts';
import { placeName, shellWord } from '../sync/words.ts';
import { fromNow, localTime } from './ago.ts';
import { cut, wrapItems, wrapSentences } from './fit.ts';
import { paint, type Screen, type Tone } from './screen.ts';
import { type Cell, type Column, drawTable } from './table.ts';

/** From here on there is room for each credential's name, which commands take, and for why it is as it is. */
const WIDE = 110;
const VERY_WIDE = 150;
/** `antigravity`. */
const LONGEST_PROVIDER = 11;
/** A token that ends sooner than this is shown so: proxies renew theirs earlier. */
const SOON_MS = 30 * 60 * 1000;
/** Deletions are shown for this long. */
const DELETED_SHOWN_MS = 7 * 24 * 60 * 60 * 1000;

const MARKS: Readonly<Record<Mark, readonly [unicode: string, ascii: string, tone: Tone, meaning: string]>> =
  {
    current: ['✓', '=', 'ok', 'there'],
    other: ['≠', '#', 'soon', 'another version'],
    missing: ['✗', 'x', 'soon', 'missing'],
    absent: ['·', '.', 'dim', 'not there'],
    invalid: ['!', '!', 'bad', 'no credential'],
    unreadable: ['!', '!', 'bad', 'cannot be read'],
    paused: ['P', 'P', 'dim', 'paused'],
    unknown: ['?', '?', 'soon', 'not known'],
    off: ['-', '-', 'dim', ''],
  };

const SHORT: Readonly<Record<Place, readonly [narrow: string, wide: string]>> = {
  auth: ['A', 'auth'],
  ccs: ['C', 'CCS'],
  store: ['S', 'store'],
  backup: ['B', 'backup'],
};

/** The lines of a status. `all`: deletions of long ago too. */
export function statusLines(status: Status, screen: Screen, all: boolean): string[] {
  const now = Date.parse(status.time);
  const isOld = (one: CredentialStatus) =>
    one.state === 'deleted' &&
    !one.needsPerson &&
    !isStillSomewhere(one) &&
    now - Date.parse(one.deletedAt ?? status.time) > DELETED_SHOWN_MS;
  const shown = status.credentials.filter((one) => all || !isOld(one));
  const hidden = status.credentials.length - shown.length;
  const wide = screen.columns >= WIDE;
  const places = PLACES.filter((place) => !status.off.includes(place));
  const reasons = screen.columns >= VERY_WIDE && shown.some(({ reason }) => reason !== '');

  const columns: Column[] = [
    { head: '' },
    { head: 'ACCOUNT', shrinksTo: 12, keepsEnd: true },
    { head: 'PROVIDER', shrinksTo: 8, ...(!wide && { most: LONGEST_PROVIDER }) },
    ...(wide ? [{ head: 'NAME', shrinksTo: 16, keepsEnd: true }] : []),
    { head: 'STATE' },
    { head: 'REFRESHED' },
    { head: 'EXPIRES' },
    ...(wide
      ? places.map((place) => ({ head: SHORT[place][1] }))
      : [{ head: places.map((place) => SHORT[place][0]).join(' ') }]),
    ...(reasons ? [{ head: 'WHY', shrinksTo: 10 }] : []),
  ];
  const rows = shown.map((one): Cell[] => [
    glyph(one, now, screen),
    { text: one.account, ...(one.disabled && { tone: 'dim' as const }) },
    { text: one.provider },
    ...(wide ? [{ text: one.name, tone: 'dim' as const }] : []),
    { text: one.state, tone: toneOf(one) },
    { text: one.lastRefresh === null ? '-' : fromNow(Date.parse(one.lastRefresh), now) },
    expiry(one, now),
    ...marksOf(one, places, wide, screen),
    ...(reasons ? [{ text: one.reason, tone: 'dim' as const }] : []),
  ]);
  const table =
    shown.length > 0 ? drawTable(columns, rows, screen) : ['no credential anywhere: log in, or sync'];
  return [
    ...header(status, now, screen),
    '',
    ...table,
    '',
    ...legend(shown, places, now, wide, screen),
    ...problems(status, screen),
    ...bringBack(shown, screen),
    summary(status, shown, hidden, screen),
    ...(status.exitCode === 0
      ? []
      : [paint('`cliproxyapi-sync doctor` looks closer, and says what to type.', 'dim', screen)]),
  ].filter((line, index, lines) => line !== '' || lines[index - 1] !== '');
}

function header(status: Status, now: number, screen: Screen): string[] {
  const { store, host, lastRun, lastSuccess, services } = status;
  const reach = store.reachable ? '' : `  ${paint(awayWords(status), 'bad', screen)}`;
  const when = (run: RunStatus) =>
    `${run.command} ${fromNow(Date.parse(run.time), now)} (${localTime(Date.parse(run.time))})`;
  const failed =
    lastRun && lastRun.exitCode !== 0
      ? `  ${paint(`the last one, ${when(lastRun)}, ended with ${lastRun.exitCode}`, 'bad', screen)}`
      : '';
  const room = Math.max(20, screen.columns - 10 - (store.reachable ? 0 : awayWords(status).length + 2));
  const line = (name: string, text: string) => `${paint(name.padEnd(8), 'dim', screen)}  ${text}`;
  return [
    line('host', cut(printable(host), room, screen)),
    line('store', `${cut(printable(store.location), room, screen)}${reach}`),
    ...folded(
      line('last run', `${lastSuccess ? when(lastSuccess) : 'no successful one so far'}`),
      failed,
      screen,
    ),
    line('services', servicesWords(services, room, screen)),
  ];
}

/** A store that refuses is there, and of no more use for it. */
function awayWords({ exitCode }: Status): string {
  return exitCode === 75 ? 'out of reach' : 'cannot be used';
}

function folded(first: string, second: string, screen: Screen): string[] {
  if (second === '') return [first];
  return screen.columns >= WIDE ? [`${first}${second}`] : [first, `${' '.repeat(8)}${second}`];
}

function servicesWords(
  { manager, scope, services }: Status['services'],
  room: number,
  screen: Screen,
): string {
  if (manager === 'none') return 'none run by systemd or launchd';
  const who = scope === 'system' ? `${manager} (system)` : manager;
  const wrong = services.filter(({ failed, stopped }) => failed || stopped);
  if (wrong.length === 0) return `${who}: ${services.length} in order`;
  const names = wrong.map(({ name, failed }) => `${name} ${failed ? 'failed' : 'is stopped'}`).join(', ');
  return paint(cut(printable(`${who}: ${names}`), room, screen), 'bad', screen);
}

/** What the first column says of a credential, at a glance. */
type Glance = 'well' | 'sync' | 'expiry' | 'person' | 'idle';

function glanceOf(one: CredentialStatus, now: number): Glance {
  const tone = toneOf(one);
  if (tone === 'bad') return 'person';
  if (tone === 'soon') return 'sync';
  if (tone === 'dim') return 'idle';
  const { tone: expires } = expiry(one, now);
  return expires === 'bad' || expires === 'soon' ? 'expiry' : 'well';
}

const GLANCES: Readonly<
  Record<Glance, readonly [unicode: string, ascii: string, tone: Tone, meaning: string]>
> = {
  well: ['✓', '=', 'ok', ''],
  sync: ['~', '~', 'soon', 'for the next sync'],
  expiry: ['!', '!', 'soon', 'expired, or expires soon'],
  person: ['✗', 'x', 'bad', 'needs you'],
  idle: ['-', '-', 'dim', 'paused, deleted or disabled'],
};

function glyph(one: CredentialStatus, now: number, { unicode }: Screen): Cell {
  const [mark, ascii, tone] = GLANCES[glanceOf(one, now)];
  return { text: unicode ? mark : ascii, tone };
}

function toneOf(one: CredentialStatus): Tone {
  const { state, needsPerson, disabled } = one;
  if (needsPerson) return 'bad';
  if (state === 'in step') return disabled ? 'dim' : 'ok';
  if (state === 'paused') return 'dim';
  return state === 'deleted' && !isStillSomewhere(one) ? 'dim' : 'soon';
}

/** Of a deleted one: whether some place still has it, for the next run to remove. */
function isStillSomewhere({ places }: CredentialStatus): boolean {
  return PLACES.some((place) => !['absent', 'off', 'unknown', 'paused'].includes(places[place]));
}

function expiry({ expires, state, disabled }: CredentialStatus, now: number): Cell {
  if (expires === null || state === 'deleted') return { text: '-', tone: 'dim' };
  const instant = Date.parse(expires);
  const tone = disabled ? 'dim' : instant <= now ? 'bad' : instant - now < SOON_MS ? 'soon' : 'ok';
  return { text: fromNow(instant, now), tone };
}

function mark(what: Mark, { unicode }: Screen): Cell {
  const [sign, ascii, tone] = MARKS[what];
  return { text: unicode ? sign : ascii, tone };
}

/** A mark a place: each in a column of its own, or close together in one. */
function marksOf(one: CredentialStatus, places: readonly Place[], wide: boolean, screen: Screen): Cell[] {
  const marks = places.map((place) => mark(one.places[place], screen));
  if (wide) return marks;
  return [{ text: marks.map(({ text }) => text).join(' '), tones: marks.map(({ tone = 'plain' }) => tone) }];
}

function legend(
  shown: readonly CredentialStatus[],
  places: readonly Place[],
  now: number,
  wide: boolean,
  screen: Screen,
): string[] {
  const one = ([mark, ascii, , meaning]: readonly [string, string, Tone, string], words = meaning) =>
    `${screen.unicode ? mark : ascii} ${words}`;
  const glances = new Set(shown.map((credential) => glanceOf(credential, now)));
  const first = [...glances].filter((glance) => glance !== 'well').map((glance) => one(GLANCES[glance]));
  const used = (credentials: readonly CredentialStatus[]) =>
    new Set(credentials.flatMap((credential) => places.map((place) => credential.places[place])));
  const leftOver = used(shown.filter(({ state }) => state === 'deleted')).has('other');
  const differs = used(shown.filter(({ state }) => state !== 'deleted')).has('other');
  const other = [...(differs ? ['another version'] : []), ...(leftOver ? ['still there'] : [])].join(', or ');
  const marks = [...used(shown)]
    .filter((what) => what !== 'current' && what !== 'off')
    .map((what) => one(MARKS[what], what === 'other' ? other : MARKS[what][3]));
  const rows = [
    first.length > 0 ? ['first column:', ...first] : [],
    wide ? [] : places.map((place) => `${SHORT[place][0]} ${placeName(place)}`),
    marks.length > 0 ? [...(wide ? ['places:'] : []), ...marks] : [],
  ];
  const lines = rows.filter(({ length }) => length > 0).flatMap((row) => wrapItems(row, screen.columns));
  return shown.length > 0 && lines.length > 0 ? [...lines.map((line) => paint(line, 'dim', screen)), ''] : [];
}

function problems({ problems: all, store }: Status, screen: Screen): string[] {
  const own =
    store.error === null ? [] : [{ subject: 'store', reason: store.error, remedy: store.remedy ?? '' }];
  const bullet = paint(screen.unicode ? '✗' : 'x', 'bad', screen);
  const indented = (text: string) => wrapSentences(printable(text), screen.columns - 2);
  return [...own, ...all].flatMap(({ subject, reason, remedy }) => [
    ...indented(`${subject}: ${reason}`).map((line, index) => `${index === 0 ? bullet : ' '} ${line}`),
    ...indented(remedy).map((line) => `  ${line}`),
  ]);
}

/** For who looks here for a login that is gone. */
function bringBack(shown: readonly CredentialStatus[], screen: Screen): string[] {
  const deleted = shown.filter(
    ({ state, needsPerson, deletedAt }) => state === 'deleted' && !needsPerson && deletedAt !== null,
  );
  if (deleted.length === 0) return [];
  const names = deleted.length > 3 ? '' : deleted.map(({ name }) => ` ${shellWord(name)}`).join('');
  const what = deleted.length === 1 ? 'it' : names === '' ? 'all that was deleted' : 'them';
  return [paint(`to bring ${what} back: \`cliproxyapi-sync restore --deleted${names}\``, 'dim', screen)];
}

function summary(
  { credentials, store, exitCode, problems: wrong }: Status,
  shown: readonly CredentialStatus[],
  hidden: number,
  screen: Screen,
): string {
  const living = credentials.filter(({ state }) => state !== 'deleted').length;
  const count = `${living} credential${living === 1 ? '' : 's'}`;
  const needy = shown.filter(({ needsPerson }) => needsPerson).length;
  const waiting = shown.filter((one) => toneOf(one) === 'soon').length;
  const [words, tone]: [string, Tone] =
    needy > 0
      ? [`${needy} ${needy === 1 ? 'needs' : 'need'} you`, 'bad']
      : !store.reachable
        ? [`the store ${exitCode === 75 ? 'is out of reach' : 'cannot be used'}`, 'bad']
        : exitCode !== 0
          ? [`${wrong.length} ${wrong.length === 1 ? 'problem' : 'problems'}`, 'bad']
          : waiting > 0
            ? [`${waiting} for the next sync; now: \`cliproxyapi-sync sync\``, 'soon']
            : ['all in step', 'ok'];
  const more = hidden > 0 ? `; ${hidden} deleted earlier (--all)` : '';
  return `${count}, ${paint(words, tone, screen)}${more}`;
}
