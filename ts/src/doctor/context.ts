/** What checks look at: the settings as far as they can be read, and the store, opened once. */
import type { Machine } from '../services/switch.ts';
import type { Settings, SettingsSource } from '../settings/settings.ts';
import { loadSettings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { openStore } from '../stores/open.ts';
import type { Store, StoreListing } from '../stores/store.ts';
import { openState } from '../sync/state.ts';

export interface DoctorContext {
  readonly source: SettingsSource;
  /** Undefined if nothing at all can be told from the variables. */
  readonly settings: Settings | undefined;
  /** Why the settings are not usable as they are; `settings` are then those without the store, if there are any. */
  readonly problem: SettingsError | undefined;
  /** The store, where the settings name one that can be opened; else why not. */
  readonly store: OpenedStore | undefined;
  readonly storeProblem: unknown;
  readonly machine: Machine | undefined;
  readonly proxySelf: string;
  close(): Promise<void>;
}

export interface OpenedStore {
  readonly store: Store;
  /** Asked once, for all checks. */
  listing(): Promise<StoreListing>;
}

/** Reads the settings and opens the store; whatever goes wrong with that is for the checks to tell. */
export async function openContext(
  source: SettingsSource,
  machine: Machine | undefined,
  proxySelf: string,
): Promise<DoctorContext> {
  const { settings, problem } = await readSettings(source);
  let opened: OpenedStore | undefined;
  let storeProblem: unknown = problem;
  if (settings && !problem) {
    try {
      opened = await open(settings);
    } catch (error) {
      storeProblem = error;
    }
  }
  return {
    source,
    settings,
    problem,
    store: opened,
    storeProblem,
    machine,
    proxySelf,
    async close() {
      await opened?.store.close().catch(() => undefined);
    },
  };
}

async function readSettings(source: SettingsSource): Promise<Pick<DoctorContext, 'settings' | 'problem'>> {
  try {
    return { settings: await loadSettings(source), problem: undefined };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    // Without the store, the rest of the machine can be looked at all the same.
    const rest = await loadSettings({ ...source, store: 'directory' }).catch(() => undefined);
    return { settings: rest, problem: error };
  }
}

async function open(settings: Settings): Promise<OpenedStore> {
  const state = await openState(settings.stateDir, { readOnly: true });
  const store = await openStore(settings.store, state.memory, settings.stateDir);
  let listing: Promise<StoreListing> | undefined;
  return {
    store,
    listing() {
      listing ??= store.list();
      return listing;
    },
  };
}
