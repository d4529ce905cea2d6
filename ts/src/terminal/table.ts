import Table from 'cli-table3';
import stringWidth from 'string-width';
import { printable } from '../credential/name.ts';
import { cut, cutMiddle, wrap } from './fit.ts';
import { paint, type Screen, type Tone } from './screen.ts';

export interface Column {
  readonly head: string;
  /** It gives way where the screen is narrow, down to so many columns. The others never do. */
  readonly shrinksTo?: number;
  /** It is never wider. */
  readonly most?: number;
  /** It is cut in its middle: names that begin alike are told apart by their ends. */
  readonly keepsEnd?: boolean;
  /** It breaks into lines at words, instead of being cut. */
  readonly wraps?: boolean;
}

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
  /** Instead of one tone: a tone for each of the text's words, for marks in a row. Not where it may be cut. */
  readonly tones?: readonly Tone[];
}

const GAP = 2;
const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
} as const;

/** A table without lines, one line of text a line; whatever is in the cells is made safe to print. */
export function drawTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  screen: Screen,
): string[] {
  const safe = rows.map((row) => row.map((cell) => ({ ...cell, text: printable(cell.text) })));
  const widths = widthsFor(columns, safe, screen.columns);
  const table = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': GAP, head: [], border: [], compact: true },
    colWidths: widths.map((width) => width + GAP),
  });
  table.push(columns.map(({ head }, index) => paint(cut(head, widths[index] ?? 0, screen), 'dim', screen)));
  for (const row of safe) {
    const lines = columns.map(({ wraps, keepsEnd }, index) => {
      const { text = '' } = row[index] ?? {};
      const width = widths[index] ?? 0;
      if (wraps) return wrap(text, width, (word) => cut(word, width, screen));
      return [(keepsEnd ? cutMiddle : cut)(text, width, screen)];
    });
    for (let line = 0; line < Math.max(1, ...lines.map(({ length }) => length)); line++) {
      table.push(columns.map((_, index) => painted(lines[index]?.[line] ?? '', row[index], screen)));
    }
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

function painted(text: string, cell: Cell | undefined, screen: Screen): string {
  if (!cell?.tones) return paint(text, cell?.tone ?? 'plain', screen);
  const { tones } = cell;
  return text
    .split(' ')
    .map((word, index) => paint(word, tones[index] ?? 'plain', screen))
    .join(' ');
}

function widthsFor(columns: readonly Column[], rows: readonly (readonly Cell[])[], most: number): number[] {
  const widths = columns.map(({ head, most: limit = Number.POSITIVE_INFINITY }, index) =>
    Math.min(limit, Math.max(stringWidth(head), ...rows.map((row) => stringWidth(row[index]?.text ?? '')))),
  );
  let excess = widths.reduce((sum, width) => sum + width, 0) + GAP * (columns.length - 1) - most;
  // The widest gives way first, so that none is cut while another has room.
  while (excess > 0) {
    const index = widest(columns, widths);
    if (index === undefined) break;
    widths[index] = (widths[index] ?? 0) - 1;
    excess--;
  }
  return widths;
}

function widest(columns: readonly Column[], widths: readonly number[]): number | undefined {
  let found: number | undefined;
  for (const [index, { shrinksTo }] of columns.entries()) {
    const width = widths[index] ?? 0;
    if (shrinksTo === undefined || width <= shrinksTo) continue;
    if (found === undefined || width > (widths[found] ?? 0)) found = index;
  }
  return found;
}
