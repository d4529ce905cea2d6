/** A store that is not the one of the last run. Each of these would else read as all is well. */
import type { LastRuns } from '../sync/last-run.ts';
import { instantWords } from '../sync/words.ts';
import type { StatusProblem } from './problem.ts';

/** An env file that is gone: no variable chooses a store, and this machine's own is one that nobody else sees. */
export function strayed(location: string, { last }: LastRuns): readonly StatusProblem[] {
  if (last === undefined || last.store === '' || last.store === location) return [];
  return [
    {
      subject: 'store',
      reason: `no variable says which one, so it is a directory of this machine; the last run used ${last.store}`,
      remedy:
        "Write the store's variables into the env file (OBJECTSTORE_..., PGSTORE_DSN, GITSTORE_... or LOCALSTORE_PATH). If this directory is meant: `cliproxyapi-sync sync`",
    },
  ];
}

/** A store without a marker that had one: a disk that is not mounted, or a bucket that somebody emptied. */
export function emptied(location: string, { success }: LastRuns): readonly StatusProblem[] {
  // One that may not write the store leaves no marker there.
  if (success?.store !== location || success.command === 'hydrate') return [];
  return [
    {
      subject: 'store',
      reason: `${location} is gone or was emptied: the run of ${instantWords(success.time)} still found it as it should be`,
      remedy:
        'If it is on a disk or a share that is not mounted, mount that first. If it is really gone: `cliproxyapi-sync sync` makes it again from the logins of this machine, and deletes none.',
    },
  ];
}
