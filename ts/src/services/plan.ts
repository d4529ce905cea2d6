import { createHash } from 'node:crypto';

/** What is at the place of a file: nothing, what we wrote, or something else. */
export type Present =
  | { readonly kind: 'ours'; readonly text: string }
  /** `what` in words: "a link to ...". */
  | { readonly kind: 'foreign'; readonly what: string };

/** What was made known to the manager and started, as a hash of its text: by file name. */
export type Applied = Readonly<Record<string, string>>;

export interface SwitchPlan {
  readonly write: readonly string[];
  readonly remove: readonly string[];
  /** Written, or written by a run that did not get to its end. */
  readonly changed: readonly string[];
  /** Those of `changed` that a switch starts, and those that have given up: their cause may be gone. */
  readonly start: readonly string[];
}

/**
 * What leads from what is here to what is wanted. Pure.
 *
 * Files alone do not say what was done: a run that was cut off between a file and its service has left them equal.
 * So what counts as done is what `applied` says, which is written last.
 */
export function planSwitch(
  wanted: ReadonlyMap<string, string>,
  present: ReadonlyMap<string, Present>,
  applied: Applied,
  isStarted: (name: string, text: string) => boolean,
  givenUp: readonly string[] = [],
): SwitchPlan {
  const write: string[] = [];
  const changed: string[] = [];
  for (const [name, text] of wanted) {
    const here = present.get(name);
    const isThere = here?.kind === 'ours' && here.text === text;
    if (!isThere) write.push(name);
    if (!isThere || applied[name] !== hashOf(text)) changed.push(name);
  }
  const ours = [...present].filter(([, { kind }]) => kind === 'ours').map(([name]) => name);
  const foreign = (name: string) => present.get(name)?.kind === 'foreign';
  const remove = new Set(
    [...ours, ...Object.keys(applied)].filter((name) => !wanted.has(name) && !foreign(name)),
  );
  return {
    write,
    changed,
    remove: [...remove].sort(),
    start: [...wanted]
      .filter(([name, text]) => isStarted(name, text) && (changed.includes(name) || givenUp.includes(name)))
      .map(([name]) => name),
  };
}

export function isDone({ write, remove, changed, start }: SwitchPlan): boolean {
  return write.length + remove.length + changed.length + start.length === 0;
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
