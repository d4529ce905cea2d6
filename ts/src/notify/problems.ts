/** What of a run's report a person wants to be told of who is not looking. Pure. */
import type { ReportLine } from '../terminal/report.ts';

export interface ToldProblem {
  /** The same for the same problem in the next run, however it is worded then. */
  readonly key: string;
  readonly kind: 'conflict' | 'failure' | 'guard' | 'held' | 'problem' | 'stopped' | 'store';
  readonly credential: string | undefined;
  readonly message: string;
  readonly remedy: string | undefined;
}

/** Failures, conflicts and the guard, each once. */
export function problemsIn(lines: readonly ReportLine[]): readonly ToldProblem[] {
  const found = new Map<string, ToldProblem>();
  for (const { kind, level, message, remedy, credential, isConflict, subject } of lines) {
    const told = (as: ToldProblem['kind'], about = credential) => {
      const key = about === undefined ? as : `${as} ${about}`;
      if (!found.has(key)) found.set(key, { key, kind: as, credential, message, remedy });
    };
    switch (kind) {
      case 'change':
        if (isConflict) told('conflict');
        break;
      case 'held':
        // What waits for the store is told of with the store.
        if (level === 'error') told('held');
        break;
      case 'problem':
        told('problem', subject);
        break;
      case 'failure':
      case 'guard':
      case 'stopped':
      case 'store':
        told(kind);
        break;
      case 'busy':
      case 'pending':
      case 'summary':
      case 'weakness':
        break;
    }
  }
  return [...found.values()];
}
