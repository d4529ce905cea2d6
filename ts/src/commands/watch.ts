import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Settings } from '../settings/settings.ts';
import { glanceAt } from '../stores/glance.ts';
import { openStore } from '../stores/open.ts';
import { openState } from '../sync/state.ts';
import { type ReportLine, reportLines } from '../terminal/report.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { watchDirectories } from '../watch/directories.ts';
import { type Health, judge, readHealth, writeHealth } from '../watch/health.ts';
import { startLoop, type Turn } from '../watch/loop.ts';
import { memoryKeeper } from '../watch/memory.ts';
import { type Narrator, narrate } from '../watch/narrate.ts';
import { withHelp } from './command-help.ts';
import { withNotice } from './notify.ts';
import {
  type Act,
  type CommonOptions,
  commonOptions,
  describe,
  EXIT,
  type ExitCode,
  UsageError,
} from './options.ts';
import { runOnce, settingsFor } from './sync.ts';

interface WatchOptions extends CommonOptions {
  readonly interval: number;
  readonly healthFile?: string;
  readonly health?: boolean;
}

/** What a run may take once the end was asked for, in milliseconds: container engines wait ten seconds. */
const LAST_RUN_MS = 8_000;

/** The command line of `watch`. */
export function defineWatch(act: Act): Command {
  const command = commonOptions(new Command('watch'))
    .description(
      'Keeps everything in step until it is stopped: for containers and machines without systemd or launchd.',
    )
    .addOption(
      new Option('--interval <seconds>', 'how often to look at the store')
        .argParser(secondsFrom)
        .default(60_000, '60'),
    )
    .option('--health-file <path>', 'say in this file how it goes, for a health check')
    .option('--health', 'read that file, and exit with 0 if all is well, else with 1')
    .option('--json', 'print one JSON object a line on stdout for each thing that happens')
    .action((options: WatchOptions) => act(options, (terminal) => watchCommand(options, terminal)));
  return withHelp(command, {
    notes: `A change in the auth dir or the CCS dir is in the store within a second; one in the store is here within the
interval. SIGTERM or SIGINT ends it after the run that is under way, a second one at once.`,
    exitCodes: {
      [EXIT.done]: 'it was stopped; with --health: it does its work',
      [EXIT.failed]: 'with --health: it does not, or an outage has lasted for 15 minutes',
    },
    examples: [
      ['cliproxyapi-sync watch'],
      ['cliproxyapi-sync watch --interval 30 --health-file /run/watch.json'],
      [
        'cliproxyapi-sync watch --health --health-file /run/watch.json',
        "what a container's health check runs",
      ],
    ],
  });
}

/** `watch`: `sync` whenever something has changed, until a signal ends it. */
export async function watchCommand(options: WatchOptions, terminal: Terminal): Promise<number> {
  const healthFile = options.healthFile === undefined ? undefined : resolve(options.healthFile);
  if (options.health) {
    if (healthFile === undefined) throw new UsageError('--health needs --health-file');
    const { isHealthy, message } = judge(await readHealth(healthFile), Date.now());
    if (options.json) terminal.json({ format: 1, healthy: isHealthy, message });
    if (isHealthy) terminal.info(message);
    else terminal.error(message);
    return isHealthy ? EXIT.done : EXIT.failed;
  }
  const settings = await settingsFor(options, terminal);
  return watch(settings, options, healthFile, terminal);
}

async function watch(
  settings: Settings,
  { interval, json = false }: WatchOptions,
  healthFile: string | undefined,
  terminal: Terminal,
): Promise<number> {
  const narrator = narrate(terminal, json);
  const health = healthKeeper(healthFile, settings, narrator);
  const tidy = memoryKeeper();
  const timeUp = new AbortController();
  let runs = 0;
  let endsWith: ExitCode = EXIT.done;

  const run = async (): Promise<Turn> => {
    directories.seen();
    const [code, lines] = await oneRun(settings, terminal, timeUp.signal, narrator);
    health.ran(code, lines);
    // What is wrong from the start will not mend itself.
    if (runs++ === 0 && code === EXIT.configuration) {
      endsWith = code;
      loop.stop();
    }
    return code === EXIT.done ? 'done' : code === EXIT.tryAgain ? 'again' : 'wrong';
  };

  const watched = [settings.authDir, ...(settings.ccsDir === undefined ? [] : [settings.ccsDir])];
  narrator.say(terminal, {
    level: 'info',
    kind: 'started',
    message: `watching ${watched.join(' and ')}, and the store every ${interval / 1000} s`,
  });
  const directories = watchDirectories(watched, () => loop.changed());
  const loop = startLoop(
    {
      run,
      glance: () => lookAtStore(settings),
      onTurn(_, nextMs) {
        tidy();
        return health.write(nextMs);
      },
    },
    interval,
  );
  const signals = onSignals((signal) => {
    narrator.say(terminal, {
      level: 'info',
      kind: 'stopping',
      message: `${signal}: ends once the run that is under way has ended`,
    });
    loop.stop();
    setTimeout(() => timeUp.abort(), LAST_RUN_MS).unref();
  });
  try {
    await loop.ended;
  } finally {
    signals.off();
    directories.close();
  }
  return endsWith;
}

/** One run, whatever comes of it. */
async function oneRun(
  settings: Settings,
  terminal: Terminal,
  signal: AbortSignal,
  narrator: Narrator,
): Promise<readonly [ExitCode, readonly ReportLine[]]> {
  const of = terminal.nextRun();
  try {
    let lines: readonly ReportLine[] = [];
    const { exitCode } = await withNotice(
      { command: 'sync', settings, terminal: of },
      () => runOnce('sync', settings, of, { signal, tidy: true }),
      (report) => {
        lines = reportLines('sync', report, false);
        narrator.tell(of, lines);
      },
    );
    return [exitCode, lines];
  } catch (error) {
    const { code, message, remedy } = describe(error);
    const lines: ReportLine[] = [{ level: 'error', kind: 'failure', message, remedy }];
    narrator.tell(of, lines);
    return [code, lines];
  }
}

async function lookAtStore(settings: Settings): Promise<string> {
  const state = await openState(settings.stateDir, { readOnly: true });
  const store = await openStore(settings.store, state.memory, settings.stateDir);
  try {
    return await glanceAt(store);
  } finally {
    await store.close().catch(() => undefined);
  }
}

function healthKeeper(path: string | undefined, settings: Settings, narrator: Narrator) {
  let lastSuccess: Health['lastSuccess'];
  let lastError: Health['lastError'];
  let failures = 0;
  return {
    ran(code: ExitCode, lines: readonly ReportLine[]) {
      const time = Date.now();
      if (code === EXIT.done) {
        lastSuccess = time;
        failures = 0;
        return;
      }
      failures++;
      const message = lines.findLast(({ level }) => level === 'error' || level === 'warning')?.message;
      lastError = { time, message: message ?? `a run ended with ${code}` };
    },
    async write(nextMs: number) {
      if (path === undefined) return;
      const time = Date.now();
      const { hostName: host } = settings;
      const health = { pid: process.pid, host, time, due: time + nextMs, lastSuccess, lastError, failures };
      await writeHealth(path, health).catch((error: unknown) => narrator.healthFailed(path, error));
    },
  };
}

/** The first signal asks; the second one does not wait. */
function onSignals(ask: (signal: NodeJS.Signals) => void): { off(): void } {
  let asked = false;
  const handle = (signal: NodeJS.Signals, number: number) => {
    // Whoever holds the lock then is dead, which the next run sees.
    if (asked) process.exit(128 + number);
    asked = true;
    ask(signal);
  };
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, handle);
  return {
    off() {
      for (const signal of signals) process.off(signal, handle);
    },
  };
}

function secondsFrom(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= 1 && seconds <= 86_400))
    throw new InvalidArgumentError('It is a number of seconds from 1 to 86400.');
  return seconds * 1000;
}
