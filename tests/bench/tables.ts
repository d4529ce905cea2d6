import { countWords, type Figure, median, perCredential, type Results, ratio } from './figures.ts';
import type { Sample } from './measure.ts';

/** Markdown, aligned, so that it reads as it is and can be pasted. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join(
    '\n',
  );
}

export function timesTable(results: Results): string {
  const [first = ''] = results.ours;
  const rows = results.measured.flatMap(({ task, credentials, samples }) =>
    [...samples].map(([name, taken]) => {
      const times = name === first ? 1 : ratio(results, task, credentials, first, name);
      return [
        credentials === 0 ? task : `${task}, ${credentials}`,
        name,
        `${spread(taken)}`,
        median(taken.map(({ cpuMs }) => cpuMs)).toFixed(0),
        (Math.max(...taken.map(({ peakBytes }) => peakBytes)) / 1e6).toFixed(0),
        times === undefined ? '' : times.toFixed(2),
      ];
    }),
  );
  return table(['task', 'by', 'wall ms (from - to)', 'CPU ms', 'peak MB', `times ${first}`], rows);
}

export function requestsTable({ requests }: Results): string {
  const rows = requests.map(({ task, credentials, contestant, counts, places }) => [
    `${task}, ${credentials}`,
    contestant,
    countWords(counts),
    contestant === 'ours'
      ? Object.entries(places)
          .map(([place, times]) => `${times} ${place}`)
          .join(', ')
      : '',
  ]);
  return table(['task', 'by', 'requests', 'where'], rows);
}

export function growthTable(results: Results): string {
  const sizes = results.measured
    .filter(({ task }) => task === 'hydrate')
    .map(({ credentials }) => credentials);
  const names = new Set(
    results.measured.flatMap(({ task, samples }) => (task === 'hydrate' ? [...samples.keys()] : [])),
  );
  const rows = [...names].map((name) => [
    name,
    ...sizes
      .slice(1)
      .map((size, index) => `${perCredential(results, sizes[index] ?? 0, size, name).toFixed(2)} ms`),
  ]);
  return table(
    [
      'hydrate: one more credential',
      ...sizes.slice(1).map((size, index) => `from ${sizes[index]} to ${size}`),
    ],
    rows,
  );
}

export function figuresTable(figures: readonly Figure[]): string {
  const words = (reached: boolean | undefined) =>
    reached === undefined ? '' : reached ? 'reached' : 'MISSED';
  return table(
    ['figure', 'bar', 'measured', ''],
    figures.map(({ what, bar, measured, reached }) => [what, bar, measured, words(reached)]),
  );
}

function spread(samples: readonly Sample[]): string {
  const walls = samples.map(({ wallMs }) => wallMs);
  const [from, to] = [Math.min(...walls), Math.max(...walls)].map((ms) => ms.toFixed(0));
  return `${median(walls).toFixed(0)} (${from} - ${to})`;
}
