/** How often the same problem is told. Pure. */
import type { ToldProblem } from './problems.ts';

/** By the problem's key. */
export type Told = Readonly<Record<string, { readonly at: number; readonly open: boolean }>>;

export interface Decision {
  /** Those to be told now. */
  readonly due: readonly ToldProblem[];
  /** Those that were told of and are over, to be told now, once. */
  readonly recovered: readonly string[];
  readonly told: Told;
}

/**
 * Each problem at most once in `everyMs`, and its end once.
 *
 * @param allWell Whether the run found everything in step: only then is anything over. A run that may not write the
 *   store has not tried what another one failed at.
 */
export function decide(
  before: Told,
  problems: readonly ToldProblem[],
  { allWell, now, everyMs }: { readonly allWell: boolean; readonly now: number; readonly everyMs: number },
): Decision {
  // One that lies ahead was written while the clock was wrong.
  const isRecent = (at: number) => at <= now && now - at < everyMs;
  const due = problems.filter(({ key }) => !isRecent(before[key]?.at ?? Number.NEGATIVE_INFINITY));
  const open = Object.keys(before).filter((key) => before[key]?.open);
  const recovered = allWell && problems.length === 0 ? open : [];
  const kept = Object.entries(before)
    .filter(([key, { at }]) => isRecent(at) || (open.includes(key) && !recovered.includes(key)))
    .map(([key, entry]) => [key, { ...entry, open: entry.open && !recovered.includes(key) }] as const);
  // A conflict is over as soon as it is told.
  const added = due.map(({ key, kind }) => [key, { at: now, open: kind !== 'conflict' }] as const);
  return { due, recovered, told: Object.fromEntries([...kept, ...added]) };
}

/** What was told, as it is kept; whatever is not of that form is as if nothing had been told. */
export function parseTold(text: string): Told {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {};
  }
  if (!isRecord(value) || value.format !== FORMAT || !isRecord(value.told)) return {};
  const entries = Object.entries(value.told).flatMap(([key, entry]) =>
    isRecord(entry) && typeof entry.at === 'number' && typeof entry.open === 'boolean'
      ? [[key, { at: entry.at, open: entry.open }] as const]
      : [],
  );
  return Object.fromEntries(entries);
}

export function serializeTold(told: Told): string {
  return `${JSON.stringify({ format: FORMAT, told }, null, 1)}\n`;
}

const FORMAT = 1;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
