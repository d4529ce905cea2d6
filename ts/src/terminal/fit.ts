/** Text fitted to a width, as people see it. */
import stringWidth from 'string-width';
import { paint, type Screen } from './screen.ts';

/** Text cut to a width, at whole characters as people see them. */
export function cut(text: string, width: number, { unicode }: Pick<Screen, 'unicode'>): string {
  if (stringWidth(text) <= width) return text;
  const mark = unicode ? '…' : '~';
  let kept = '';
  for (const { segment } of SEGMENTS.segment(text)) {
    if (stringWidth(kept + segment) > width - 1) break;
    kept += segment;
  }
  return width < 1 ? '' : kept + mark;
}

/** As `cut`, with the end of the text kept, and as much of its beginning as there is room for. */
export function cutMiddle(text: string, width: number, screen: Pick<Screen, 'unicode'>): string {
  if (stringWidth(text) <= width || width < 5) return cut(text, width, screen);
  let end = '';
  for (const { segment } of [...SEGMENTS.segment(text)].reverse()) {
    if (stringWidth(segment + end) > Math.floor(width / 2)) break;
    end = segment + end;
  }
  return cut(text, width - stringWidth(end), screen) + end;
}

const SEGMENTS = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * Text broken into lines at its spaces.
 *
 * @param tooLong What becomes of a word that is wider than a line.
 */
export function wrap(text: string, width: number, tooLong: (word: string) => string): string[] {
  return wrapWords(text.split(' '), width, tooLong);
}

/**
 * As `wrap`, for sentences. A command in backquotes stays in one piece, however long: the terminal itself breaks it
 * then, and it can be copied whole.
 */
export function wrapSentences(text: string, width: number): string[] {
  return wrapWords(text.match(/(?:`[^`]*`|[^\s`]|`)+/g) ?? [], width, (command) => command);
}

/** Things in a row, in as many lines as they need; none is broken. */
export function wrapItems(items: readonly string[], width: number): string[] {
  return wrapWords(items, width, (item) => item, '  ');
}

function wrapWords(
  words: readonly string[],
  width: number,
  tooLong: (word: string) => string,
  gap = ' ',
): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    const longer = line === '' ? word : `${line}${gap}${word}`;
    if (stringWidth(longer) <= width) line = longer;
    else {
      if (line !== '') lines.push(line);
      line = stringWidth(word) <= width ? word : tooLong(word);
    }
  }
  return [...lines, line];
}

/** As many of these lines as so many rows of a screen have room for; the last row says how many are left out. */
export function fitRows(lines: readonly string[], rows: number, screen: Screen): readonly string[] {
  const rowsOf = (line: string) => Math.max(1, Math.ceil(stringWidth(line) / screen.columns));
  const all = lines.reduce((sum, line) => sum + rowsOf(line), 0);
  if (all <= rows) return lines;
  const kept: string[] = [];
  let left = rows - 1;
  for (const line of lines) {
    left -= rowsOf(line);
    if (left < 0) break;
    kept.push(line);
  }
  const more = lines.length - kept.length;
  const words = `${more} more ${more === 1 ? 'line' : 'lines'}: make the window higher`;
  return [...kept, paint(cut(words, screen.columns, screen), 'soon', screen)];
}
