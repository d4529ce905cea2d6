import { readdir } from 'node:fs/promises';
import { isLogin, proxyArguments } from '../proxy/arguments.ts';
import { findProxyProgram } from '../proxy/program.ts';
import { becomeProxy, type OnChild, type ProxyCommand, workingDirectory } from '../proxy/run.ts';
import { writeConfig } from '../proxy/write-config.ts';
import { proxyEnvironment } from '../settings/proxy-environment.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { openStore } from '../stores/open.ts';
import type { StoreMemory } from '../stores/store.ts';
import { noteNativeProxy } from '../sync/native-proxy.ts';
import type { RunReport } from '../sync/run.ts';
import { endTakeOver } from '../sync/take-over.ts';
import { printReport } from '../terminal/report.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { mirroredConfig, prepareNative } from './native.ts';
import { withNotice } from './notify.ts';
import type { SyncCommand } from './options.ts';
import { type CommonOptions, explain } from './options.ts';
import { runOnce, settingsFor } from './sync.ts';

/** What the store may cost a start, in milliseconds: the proxy serves from local files without it. */
const STORE_DEADLINE_MS = 10_000;

/** What telling of a failure may cost a start besides, in milliseconds. */
const NOTICE_MS = 2_000;

/** `start`: sync, render the config, become the proxy. */
export async function startCommand(
  args: readonly string[],
  options: CommonOptions,
  terminal: Terminal,
): Promise<number> {
  const settings = await settingsFor(options, terminal);
  const { command, onChild } = await prepareProxy(args, settings, terminal);
  await endTakeOver(settings.otherAuthDirs, settings.stateDir);
  return becomeProxy(command, onChild);
}

export interface PreparedProxy {
  readonly command: ProxyCommand;
  /** For a native proxy that runs as a child of this process. */
  readonly onChild?: OnChild;
}

/**
 * Everything before the proxy runs: credentials in step as far as the store answers in time, the config rendered;
 * in native mode what `prepareNative` does besides.
 *
 * @throws SettingsError if the proxy cannot be run as it is set up.
 */
export async function prepareProxy(
  args: readonly string[],
  settings: Settings,
  terminal: Terminal,
): Promise<PreparedProxy> {
  const program = await findProxyProgram(settings, process.argv[1] ?? '');
  const deadline = Date.now() + STORE_DEADLINE_MS;
  const commands: SyncCommand[] = (await isEmpty(settings.authDir)) ? ['hydrate', 'sync'] : ['sync'];
  let report: RunReport | undefined;
  for (const command of commands) {
    if (Date.now() < deadline) report = await runBefore(command, settings, deadline, terminal);
  }
  const cwd = await workingDirectory(settings.stateDir);
  const named = (config: string) => proxyArguments(args, config, process.cwd());
  // A login is over in a minute, and safest on files: as the proxy starts natively it would clear the auth dir first.
  if (settings.storeMode === 'native' && !isLogin(args)) {
    const noted = await prepareNative(settings, report, deadline, terminal);
    if (noted) {
      const command = {
        program,
        args: named(mirroredConfig(settings)),
        cwd,
        env: proxyEnvironment(settings),
      };
      // Unless that can be noted, the note still names this process, which lives as long as the child.
      const note = (pid: number) => noteNativeProxy(settings.stateDir, noted, pid).catch(() => undefined);
      return { command, onChild: (pid) => void note(pid) };
    }
  }
  const env = proxyEnvironment({ ...settings, storeMode: 'managed' });
  // A config that the caller names is the caller's.
  if (named('')[1] !== '') return { command: { program, args: named(''), cwd, env } };
  const mirrored = settings.storeMode === 'native' ? mirroredConfig(settings) : undefined;
  const config = await writeConfig(settings, () => storedConfig(settings, deadline), mirrored);
  if (config.kind === 'missing') {
    throw new SettingsError(
      `the proxy has no config: neither ${config.template} nor ${config.path} nor one in the store`,
      `Write ${config.template} (a config with __NAME__ where a variable's value belongs), or name one with -config.`,
    );
  }
  for (const warning of config.warnings) terminal.warn(warning);
  if (config.kind === 'written') terminal.verbose(`wrote ${config.path}`);
  return { command: { program, args: named(config.path), cwd, env } };
}

/** A run whose failure is said and does not keep the proxy from starting. */
export async function runBefore(
  command: SyncCommand,
  settings: Settings,
  deadline: number,
  terminal: Terminal,
): Promise<RunReport | undefined> {
  const left = Math.max(0, deadline - Date.now());
  const signal = AbortSignal.timeout(left);
  try {
    const once = () =>
      runOnce(command, settings, terminal, { signal, lockWaitMs: Math.min(left, settings.lockWaitMs) });
    return await withNotice({ command, settings, terminal, timeoutMs: NOTICE_MS }, once, (report) => {
      const { location } = report.store;
      if (report.stopped !== undefined && signal.aborted && location !== '') {
        terminal.error(
          `${location} did not answer within ${Math.round(left / 1000)} s`,
          'Nothing was lost. Check the network; the next sync brings everything in step.',
        );
      } else printReport(command, report, { dryRun: false, json: false }, terminal);
    });
  } catch (error) {
    explain(error, terminal, false);
    return undefined;
  }
}

async function isEmpty(directory: string): Promise<boolean> {
  const names = await readdir(directory).catch((): string[] => []);
  return !names.some((name) => name.endsWith('.json') && !name.startsWith('.'));
}

/** The store's config, if it answers in time. */
async function storedConfig(settings: Settings, deadline: number): Promise<Uint8Array | undefined> {
  const memory: StoreMemory = { read: () => ({}), write: async () => undefined };
  const store = await openStore(settings.store, () => memory, settings.stateDir);
  const timeUp = new Promise<undefined>((resolve) => {
    setTimeout(resolve, Math.max(0, deadline - Date.now()), undefined).unref();
  });
  try {
    return await Promise.race([store.readConfig().then((config) => config?.bytes), timeUp]);
  } finally {
    await store.close();
  }
}
