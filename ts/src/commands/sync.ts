import type { Settings } from '../settings/settings.ts';
import { loadSettings } from '../settings/settings.ts';
import { openStore } from '../stores/open.ts';
import { recordRun } from '../sync/last-run.ts';
import type { Choices } from '../sync/look.ts';
import { type RunReport, run } from '../sync/run.ts';
import { printReport, reportJson } from '../terminal/report.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withNotice } from './notify.ts';
import {
  type CommonOptions,
  credentialNames,
  type RunOptions,
  STORE_KINDS,
  type SyncCommand,
} from './options.ts';

/** `hydrate`, `backup`, `sync`: the same run with other permissions. */
export async function syncCommand(
  command: SyncCommand,
  options: RunOptions,
  terminal: Terminal,
): Promise<number> {
  const allowDelete = credentialNames(options.allowDelete);
  const settings = await settingsFor(options, terminal);
  const dryRun = options.dryRun === true;
  const once = () => runOnce(command, settings, terminal, { dryRun, allowDelete, tidy: true });
  const say = (report: RunReport) => {
    if (options.json) terminal.json(reportJson(command, report, dryRun));
    printReport(command, report, { dryRun, json: options.json === true }, terminal);
  };
  if (!dryRun) return (await withNotice({ command, settings, terminal }, once, say)).exitCode;
  const report = await once();
  say(report);
  return report.exitCode;
}

/** The settings, with what a person should know about them said. */
export async function settingsFor({ envFile, store }: CommonOptions, terminal: Terminal): Promise<Settings> {
  const settings = await loadSettings({
    env: process.env,
    ...(envFile !== undefined && { envFile }),
    ...(store !== undefined && { store: STORE_KINDS[store] }),
  });
  for (const warning of settings.warnings) terminal.warn(warning);
  for (const { variable } of settings.ignored) {
    terminal.warn(`${variable} has no effect: ${settings.chosenBy} chooses the store`);
  }
  return settings;
}

/** One run, with its progress on the terminal. */
export async function runOnce(
  command: SyncCommand,
  settings: Settings,
  terminal: Terminal,
  options: {
    readonly dryRun?: boolean;
    readonly allowDelete?: ReturnType<typeof credentialNames>;
    readonly signal?: AbortSignal;
    readonly lockWaitMs?: number;
    /** Whether history may be pruned after it, where the command writes the store. */
    readonly tidy?: boolean;
    readonly choices?: Choices;
  } = {},
): Promise<RunReport> {
  const started = Date.now();
  const report = await run({
    permissions: { store: command !== 'hydrate' },
    authDir: settings.authDir,
    otherAuthDirs: settings.otherAuthDirs,
    ccsDir: settings.ccsDir,
    stateDir: settings.stateDir,
    hostName: settings.hostName,
    lockWaitMs: options.lockWaitMs ?? settings.lockWaitMs,
    dryRun: options.dryRun ?? false,
    allowDelete: options.allowDelete ?? new Set(),
    openStore: (state) => openStore(settings.store, state.memory, settings.stateDir),
    ...(options.signal && { signal: options.signal }),
    ...(options.choices && { choices: options.choices }),
    ...(options.tidy &&
      settings.historyKeep &&
      command !== 'hydrate' && { historyKeep: settings.historyKeep }),
    onEvent(event) {
      if (event.kind === 'phase') terminal.verbose(event.text);
      if (event.kind === 'progress') terminal.progress(command, event.done, event.total);
    },
  });
  const { exitCode, store } = report;
  // One that never began says nothing of how things stand, nor does one for some credentials alone.
  if (!options.dryRun && !options.choices && store.location !== '')
    await recordRun(settings.stateDir, { command, time: started, exitCode, store: store.location });
  return report;
}
