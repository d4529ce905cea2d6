import { emptied } from '../status/store-problems.ts';
import { StoreError } from '../stores/store.ts';
import { readLastRuns } from '../sync/last-run.ts';
import { checkMarker, STORE_FORMAT } from '../sync/look.ts';
import { newMarkerId, StateError } from '../sync/state.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext, OpenedStore } from './context.ts';

/** Seconds by which a clock may be off: a word, and a failure (S3 refuses at 15 minutes). */
const SKEW_WARNING_S = 60;
const SKEW_FAILED_S = 300;

/** The store itself, by its own methods. */
export function storeChecks({ settings, store, storeProblem }: DoctorContext): readonly Check[] {
  const check = (
    id: string,
    title: string,
    after: readonly string[],
    look: (opened: OpenedStore) => Promise<Finding>,
  ): Check => ({
    id,
    title,
    after,
    async look() {
      if (!store) {
        if (id === 'store' && storeProblem instanceof StoreError) return failure(storeProblem);
        return { status: 'skipped', message: 'the store cannot be opened' };
      }
      try {
        return await look(store);
      } catch (error) {
        return failure(error);
      }
    },
  });
  /** Asked once for two checks, after the listing: a bucket that cannot be listed is not worth trying. */
  let tried: Promise<void> | undefined;
  const tryOut = ({ store: opened, listing }: OpenedStore) => {
    tried ??= listing().then(async ({ present, marker }) => {
      if (!present) return;
      if (opened.tryOut) await opened.tryOut();
      else await opened.prepare({ id: marker?.id ?? newMarkerId(), format: STORE_FORMAT });
    });
    return tried;
  };

  return [
    check('store', 'store', [], async ({ store: opened, listing }) => {
      const { present, marker, current } = await listing();
      checkMarker(marker, opened);
      if (!marker && settings) {
        const [problem] = emptied(opened.location, await readLastRuns(settings.stateDir));
        if (problem) return { status: 'failed', message: problem.reason, remedy: problem.remedy };
      }
      if (!present)
        return {
          status: 'warning',
          message: `${opened.location} is not there yet; the first sync makes it`,
          remedy: 'cliproxyapi-sync sync',
        };
      return {
        status: 'ok',
        message: `${opened.location} answers, and lists ${current.size} ${current.size === 1 ? 'credential' : 'credentials'}`,
      };
    }),
    check('store-write', 'writing there', ['store'], async (opened) => {
      if (!(await opened.listing()).present) return { status: 'skipped', message: 'there is no store yet' };
      await tryOut(opened);
      if (!opened.store.tryOut)
        return { status: 'skipped', message: 'only a run shows it: `cliproxyapi-sync sync`' };
      const message =
        opened.store.kind === 'git'
          ? 'this user may push; rules of the server for the branches show only when a run writes'
          : 'this key, user or account may write';
      return { status: 'ok', message };
    }),
    check('conditions', 'conditions', ['store', 'store-write'], async (opened) => {
      if (!(await opened.listing()).present) return { status: 'skipped', message: 'there is no store yet' };
      await tryOut(opened);
      const weaknesses = opened.store.weaknesses?.() ?? [];
      return weaknesses.length === 0
        ? {
            status: 'ok',
            message: 'the store keeps them: no host can replace what another one has just written',
          }
        : {
            status: 'warning',
            message: weaknesses.join(' '),
            remedy: 'Nothing is lost by it; another provider would be safer.',
          };
    }),
    // Some stores tell their time only to who may ask them something.
    check(
      'clock',
      'clock',
      store?.store.kind === 's3' ? [] : ['store'],
      async ({ store: opened, listing }) => {
        if (opened.kind !== 's3') await listing();
        const from = Date.now();
        const theirs = await opened.clock?.();
        if (theirs === undefined) return { status: 'skipped', message: 'this store does not tell its time' };
        // To the second, somewhere between the question and the answer.
        const ours = (from + Date.now()) / 2;
        const seconds = Math.round((ours - theirs) / 1000);
        if (Math.abs(seconds) < SKEW_WARNING_S) return { status: 'ok', message: "agrees with the store's" };
        const message = `it is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} the store's: which of two refreshes is fresher may be decided wrongly`;
        const remedy =
          process.platform === 'darwin' ? 'sudo sntp -sS time.apple.com' : 'sudo timedatectl set-ntp true';
        return { status: Math.abs(seconds) < SKEW_FAILED_S ? 'warning' : 'failed', message, remedy };
      },
    ),
  ];
}

function failure(error: unknown): Finding {
  if (error instanceof StateError) return { status: 'failed', message: error.message, remedy: error.remedy };
  if (!(error instanceof StoreError)) throw error;
  const because = error.kind === 'refused' ? {} : { because: error.kind };
  return { status: 'failed', ...because, message: error.message, remedy: error.remedy };
}
