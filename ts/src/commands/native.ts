/** Native mode: everything between a sync that succeeded and a proxy that talks to the store itself. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { putStoreConfig, type StoreConfigOutcome } from '../proxy/store-config.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { openStore } from '../stores/open.ts';
import { type Store, StoreError, type StoreListing } from '../stores/store.ts';
import { exclusively } from '../sync/exclusively.ts';
import { writeMarker } from '../sync/local-write.ts';
import { STORE_FORMAT } from '../sync/look.ts';
import { findNativeProxy, type NativeProxy, noteNativeProxy } from '../sync/native-proxy.ts';
import type { RunReport } from '../sync/run.ts';
import { newMarkerId, type State } from '../sync/state.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** Why the proxy is not started natively this time, as the rest of a sentence that starts with "since". */
class Obstacle extends Error {}

/**
 * Makes everything ready for a native start, or says in one line why the proxy runs on local files this time: an
 * older remote copy must not overwrite what only this host has, and the proxy is to serve.
 *
 * @param report Of the sync before; undefined if it did not get that far.
 * @returns The note of the proxy to come, in whose name this process stands; undefined: run it on local files.
 * @throws SettingsError if there is no config at all.
 */
export async function prepareNative(
  settings: Settings,
  report: RunReport | undefined,
  deadline: number,
  terminal: Terminal,
): Promise<NativeProxy | undefined> {
  try {
    const running = await findNativeProxy(settings.stateDir);
    if (running) throw new Obstacle(`one runs natively already (process ${running.process.pid})`);
    const left = notInStore(report);
    if (left !== undefined) throw new Obstacle(left);
    const scope = {
      stateDir: settings.stateDir,
      lockWaitMs: Math.max(0, deadline - Date.now()),
      dryRun: false,
    };
    const noted = await exclusively(scope, (state) => {
      const prepared = prepareUnderLock(settings, state, deadline, terminal);
      prepared.catch(() => undefined);
      return Promise.race([prepared, timeUp(deadline)]);
    });
    if (!noted) throw new Obstacle('another run on this host holds the lock');
    return noted;
  } catch (error) {
    if (!(error instanceof Obstacle) && !(error instanceof StoreError)) throw error;
    const remedy = 'The next start is native again.';
    terminal.warn(`the proxy runs on local files this time, since ${error.message}`, remedy);
    return undefined;
  }
}

/** What a native start could destroy: whatever of the auth dir is not known to be in the store. */
export function notInStore(report: RunReport | undefined): string | undefined {
  if (!report) return 'the sync before it failed';
  const { storeError, stopped, busy, guard, results, held, pending, problems, store } = report;
  if (storeError) return `${store.location} cannot be used`;
  if (stopped !== undefined) return `the sync before it did not end: ${stopped}`;
  if (busy !== undefined) return busy;
  if (guard) return 'the mass-deletion guard held';
  const failed = results.filter(({ outcome }) => outcome !== 'done').map(({ plan }) => plan.name);
  const names = [...failed, ...held.map(({ name }) => name), ...pending.map(({ name }) => name)];
  if (names.length > 0) return `${names.slice(0, 3).join(', ')} could not be brought in step with the store`;
  const problem = problems.find(({ place }) => place === 'auth');
  return problem && `${problem.subject} in the auth dir, which a native start may destroy, ${problem.reason}`;
}

async function prepareUnderLock(
  settings: Settings,
  state: State,
  deadline: number,
  terminal: Terminal,
): Promise<NativeProxy> {
  const { authDir, stateDir, hostName } = settings;
  const store = await openStore(settings.store, state.memory, stateDir);
  try {
    const listing = await store.list();
    const clash = clashingName(listing);
    // The proxy would make both a file and a folder of it, and end.
    if (clash !== undefined)
      throw new Obstacle(`${store.location} holds both ${clash} and something below it`);
    await store.prepare({ id: listing.marker?.id ?? newMarkerId(), format: STORE_FORMAT });
    const memory = state.memory(`config in ${store.location}`);
    await keepLocalConfig(settings, store, state);
    tell(await putStoreConfig(settings, store, memory, hostName), store, terminal);
    const differing = (await store.prepareMirror?.(dirname(authDir))) ?? [];
    if (differing.length > 0) throw new Obstacle(`${differing.slice(0, 3).join(', ')} changed meanwhile`);
    // Nobody waits for it any more, and the proxy may run on local files by now.
    if (Date.now() >= deadline) throw timeIsUp();
    await writeMarker(authDir);
    return await noteNativeProxy(stateDir, { store: store.kind, authDir }, process.pid);
  } finally {
    await store.close().catch(() => undefined);
  }
}

/** A name in `auths/` that is also the folder of another one. */
export function clashingName({ current }: Pick<StoreListing, 'current'>): string | undefined {
  for (const name of current.keys()) {
    const parts = name.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/');
      if (current.has(folder)) return folder;
    }
  }
  return undefined;
}

function tell(outcome: StoreConfigOutcome, { location }: Store, terminal: Terminal): void {
  if (outcome.kind === 'missing') {
    throw new SettingsError(
      'the proxy has no config: neither a template nor a config.yaml here, nor one in the store',
      'Write config.template.yaml in the home of the proxy (CLIPROXY_HOME): a config with __NAME__ where a value belongs.',
    );
  }
  for (const warning of outcome.warnings) terminal.warn(warning);
  if (outcome.kind === 'put') terminal.info(`put the config into ${location}; what it had before is kept`);
  if (outcome.kind === 'changed-there') {
    terminal.warn(
      `the config in ${location} was changed since it was put there, and the template was not: it is left as it is. ` +
        'Change the template, and it is put there again.',
    );
  }
}

/** The config as the proxy last had it: changes that it could not bring to the store would be lost. */
async function keepLocalConfig(settings: Settings, store: Store, state: State): Promise<void> {
  const local = await readFile(mirroredConfig(settings)).catch(() => undefined);
  const stored = local && (await store.readConfig());
  if (local && !(stored && Buffer.compare(local, stored.bytes) === 0)) await state.keepConfig(local);
}

/** Where a native proxy has its copy of the store's config. */
export function mirroredConfig({ authDir }: Pick<Settings, 'authDir'>): string {
  return join(dirname(authDir), 'config/config.yaml');
}

async function timeUp(deadline: number): Promise<never> {
  await new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, deadline - Date.now())).unref();
  });
  throw timeIsUp();
}

function timeIsUp(): Obstacle {
  return new Obstacle('the store did not answer in time');
}
