/** What a check is, and how all of them are run: each by itself, bounded in time, none able to stop another. */

export interface Check {
  /** For programs; stays as it is. */
  readonly id: string;
  /** For people. */
  readonly title: string;
  /** Checks that come first. While one of them fails, this one would only say the same in other words: it is skipped. */
  readonly after?: readonly string[];
  look(): Promise<Finding>;
}

export type Finding = Ok | Skipped | Warning | Failed;

interface Ok {
  readonly status: 'ok';
  readonly message: string;
}

/** There is nothing to look at here, or something else has to be put right first. */
interface Skipped {
  readonly status: 'skipped';
  readonly message: string;
  /** The title of the check that has to be put right first. */
  readonly waitsFor?: string;
}

interface Warning extends Mendable {
  readonly status: 'warning';
  readonly message: string;
}

interface Failed extends Mendable {
  readonly status: 'failed';
  readonly message: string;
  /** Default: something that a person must put right. */
  readonly because?: 'unreachable' | 'configuration';
}

interface Mendable {
  /** A command to type; a sentence where there is none. */
  readonly remedy: string;
  /** Puts it right where that is safe; the check is made again after it. */
  readonly fix?: () => Promise<unknown>;
}

export type Result = Pick<Check, 'id' | 'title'> & {
  readonly finding: Finding;
  readonly fixed: boolean;
};

/** Longer than the store's own time limits for one request. Milliseconds. */
const TIMEOUT_MS = 45_000;

/**
 * Makes all checks at once, and hands the results over in their order.
 *
 * @param fix Whether what is safe to put right is put right.
 */
export async function runChecks(
  checks: readonly Check[],
  { fix, timeoutMs = TIMEOUT_MS }: { readonly fix: boolean; readonly timeoutMs?: number },
  receive: (result: Result) => void,
): Promise<readonly Result[]> {
  const running = new Map<string, Promise<Result>>();
  for (const check of checks) {
    const { id, title, after = [] } = check;
    const first = after.flatMap((before) => running.get(before) ?? []);
    const result = inTheWay(first).then((waitsFor): Result | Promise<Result> => {
      if (waitsFor === undefined) return resultOf(check, fix, timeoutMs);
      const finding = { status: 'skipped', message: `"${waitsFor}" comes first`, waitsFor } as const;
      return { id, title, finding, fixed: false };
    });
    running.set(id, result);
  }
  const results: Result[] = [];
  for (const each of running.values()) {
    const result = await each;
    receive(result);
    results.push(result);
  }
  return results;
}

/** The title of the first of these checks that failed, or of what that one waits for itself. */
async function inTheWay(before: readonly Promise<Result>[]): Promise<string | undefined> {
  for (const { title, finding } of await Promise.all(before)) {
    if (finding.status === 'failed') return title;
    if (finding.status === 'skipped' && finding.waitsFor !== undefined) return finding.waitsFor;
  }
  return undefined;
}

async function resultOf(check: Check, mayFix: boolean, timeoutMs: number): Promise<Result> {
  const { id, title } = check;
  const finding = await bounded(check, timeoutMs);
  const fix = 'fix' in finding ? finding.fix : undefined;
  if (!mayFix || fix === undefined) return { id, title, finding, fixed: false };
  try {
    await fix();
  } catch (error) {
    const message = `${finding.message}; it could not be put right: ${reasonOf(error)}`;
    return { id, title, finding: { ...finding, message }, fixed: false };
  }
  const after = await bounded(check, timeoutMs);
  return { id, title, finding: after, fixed: after.status !== 'failed' && after.status !== 'warning' };
}

async function bounded(check: Check, timeoutMs: number): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Finding>((resolve) => {
    const message = `this check took longer than ${timeoutMs / 1000} s`;
    timer = setTimeout(resolve, timeoutMs, { status: 'failed', message, remedy: AGAIN });
  });
  try {
    return await Promise.race([check.look(), late]);
  } catch (error) {
    return { status: 'failed', message: `this check could not be made: ${reasonOf(error)}`, remedy: AGAIN };
  } finally {
    clearTimeout(timer);
  }
}

const AGAIN = 'cliproxyapi-sync doctor --verbose';

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** 0 all ok; 78 something is configured wrongly; 1 something failed; 75 only the store is out of reach. */
export function exitCodeOf(results: readonly Result[]): 0 | 1 | 75 | 78 {
  const failed = results.flatMap(({ finding }) => (finding.status === 'failed' ? [finding.because] : []));
  if (failed.includes('configuration')) return 78;
  if (failed.includes(undefined)) return 1;
  return failed.length > 0 ? 75 : 0;
}
