import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectLock, takeLock } from '../files/lock.ts';
import { readLastRuns } from '../sync/last-run.ts';
import { openState, StateError } from '../sync/state.ts';
import type { Check } from './check.ts';
import type { DoctorContext } from './context.ts';

/** A machine that is used every week has run by then. */
const LONG_AGO_MS = 7 * 24 * 3600_000;

/** What this host remembers, who holds its lock, and when it last succeeded. */
export function stateChecks({ settings }: DoctorContext): readonly Check[] {
  if (!settings) return [];
  const { stateDir } = settings;
  return [
    {
      id: 'state',
      title: 'state',
      after: ['state-dir'],
      async look() {
        const ids = await readdir(join(stateDir, 'stores')).catch((): string[] => []);
        const state = await openState(stateDir, { readOnly: true });
        const damaged: string[] = [];
        for (const id of ids) {
          try {
            const { problems } = await state.loadBase(id);
            damaged.push(...problems.map(({ subject }) => subject));
          } catch (error) {
            if (!(error instanceof StateError)) throw error;
            return { status: 'failed', message: error.message, remedy: error.remedy };
          }
        }
        if (damaged.length > 0) {
          return {
            status: 'warning',
            message: `${damaged.join(', ')} is damaged: the next run puts it aside and deletes nothing`,
            remedy: 'cliproxyapi-sync sync',
          };
        }
        return { status: 'ok', message: ids.length === 0 ? 'none yet' : 'can be read' };
      },
    },
    {
      id: 'lock',
      title: 'lock',
      after: ['state-dir'],
      async look() {
        const lock = await inspectLock(stateDir);
        const who = 'pid' in lock && lock.pid !== undefined ? `process ${lock.pid}` : 'a process';
        if (lock.kind === 'free') return { status: 'ok', message: 'no run is under way' };
        if (lock.kind === 'held') return { status: 'ok', message: `a run is under way (${who})` };
        return {
          status: 'warning',
          message: `${who} that is gone has left it behind; the next run takes it over`,
          remedy: 'cliproxyapi-sync doctor --fix',
          async fix() {
            // As a run does: whoever is faster has it.
            await (await takeLock(stateDir, 1_000))?.release();
          },
        };
      },
    },
    {
      id: 'last-run',
      title: 'last run',
      after: ['state-dir'],
      async look() {
        const { last, success } = await readLastRuns(stateDir);
        if (!last) return { status: 'skipped', message: 'none is on record' };
        if (!success)
          return { status: 'warning', message: 'none has succeeded so far', remedy: 'cliproxyapi-sync sync' };
        const ago = Date.now() - success.time;
        const when = new Date(success.time).toISOString().replace(/\.\d+/, '');
        const since =
          last.exitCode === 0 ? '' : `; the last one, ${last.command}, ended with ${last.exitCode}`;
        return ago < LONG_AGO_MS
          ? { status: 'ok', message: `the last that succeeded was at ${when}${since}` }
          : {
              status: 'warning',
              message: `none has succeeded since ${when}`,
              remedy: 'cliproxyapi-sync sync',
            };
      },
    },
  ];
}
