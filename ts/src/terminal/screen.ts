/** What data for people is drawn on: how wide it is, and what it can show. */
export interface Screen {
  /** Infinity where nothing limits a line: a file, a pipe. */
  readonly columns: number;
  readonly colour: boolean;
  /** Whether marks beyond ASCII can be shown. */
  readonly unicode: boolean;
}

export type Tone = 'plain' | 'ok' | 'soon' | 'bad' | 'dim' | 'bold';

const CODES: Readonly<Record<Exclude<Tone, 'plain'>, number>> = {
  ok: 32,
  soon: 33,
  bad: 31,
  dim: 2,
  bold: 1,
};
const DEFAULT_COLUMNS = 80;

/** Plain for whatever is no terminal. `NO_COLOR` and `TERM=dumb` as everywhere. */
export function screenFor(
  output: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Screen {
  // locale(7): LC_ALL before LC_CTYPE before LANG; one that is not set at all says nothing against UTF-8.
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  return {
    columns: output.isTTY ? output.columns || DEFAULT_COLUMNS : Number.POSITIVE_INFINITY,
    colour: output.isTTY === true && env.TERM !== 'dumb' && !env.NO_COLOR,
    unicode: locale === undefined || /utf-?8/i.test(locale),
  };
}

/** Text in a colour, where there are any; nothing may depend on it. */
export function paint(text: string, tone: Tone, { colour }: Screen): string {
  return colour && tone !== 'plain' && text !== '' ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text;
}
