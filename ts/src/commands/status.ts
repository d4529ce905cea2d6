import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { CredentialName } from '../credential/name.ts';
import { runCommand } from '../services/run-command.ts';
import type { Settings } from '../settings/settings.ts';
import { elsewhere, loginsElsewhere } from '../status/elsewhere.ts';
import { servicesStatus } from '../status/services.ts';
import { type Status, statusOf } from '../status/status.ts';
import { readLastRuns } from '../sync/last-run.ts';
import type { Plan } from '../sync/model.ts';
import { putBackBy } from '../sync/put-back.ts';
import { makeReport } from '../sync/report.ts';
import { fitRows } from '../terminal/fit.ts';
import { screenFor } from '../terminal/screen.ts';
import { statusLines } from '../terminal/status.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withHelp } from './command-help.ts';
import { type Act, commonOptions, EXIT, type RunOptions, UsageError } from './options.ts';
import { machineFor } from './services.ts';
import { looking, type Session } from './session.ts';
import { settingsFor } from './sync.ts';

interface StatusOptions extends RunOptions {
  readonly watch?: boolean;
  readonly interval: string;
  readonly all?: boolean;
}

const DEFAULT_INTERVAL_S = 5;
/** A manager that takes longer is not waited for: the credentials matter more. Milliseconds. */
const SERVICES_MS = 3_000;

/** The command line of `status`. */
export function defineStatus(act: Act): Command {
  const command = commonOptions(
    new Command('status')
      .description('Shows where each login stands. Writes nothing, anywhere.')
      .option('--watch', 'draw it again and again, until Ctrl-C')
      .addOption(
        new Option('--interval <seconds>', 'with --watch, how often').default(String(DEFAULT_INTERVAL_S)),
      )
      .option('--all', 'deletions of more than a week ago too'),
  )
    .option('--json', 'print one JSON document on stdout (docs/status.schema.json), with --watch one a line')
    .action((options: StatusOptions) => act(options, (terminal) => statusCommand(options, terminal)));
  return withHelp(command, {
    terms: {
      title: 'States',
      items: [
        ['in step', 'every place has the same version'],
        ['changed here', 'the next sync brings it to the store'],
        ['changed there', 'the next sync brings it here'],
        ['conflict', 'changed on both sides: the next sync merges it, or it is said why it waits'],
        ['invalid', 'some place has no credential in its stead, or one that cannot be read'],
        ['deleted', 'on this host or another one'],
        ['paused', 'in CCS; the other places keep it'],
      ],
    },
    exitCodes: {
      [EXIT.done]: 'nothing is left for you to do',
      [EXIT.failed]: 'something is',
      [EXIT.tryAgain]: 'the store is out of reach',
    },
    examples: [
      ['cliproxyapi-sync status'],
      ['cliproxyapi-sync status --watch'],
      [`cliproxyapi-sync status --json | jq '.credentials[] | select(.needsPerson)'`],
    ],
  });
}

async function statusCommand(options: StatusOptions, terminal: Terminal): Promise<number> {
  const seconds = Number(options.interval);
  if (!(seconds >= 0.2 && seconds <= 86_400))
    throw new UsageError('--interval is a number of seconds from 0.2 to 86400');
  const settings = await settingsFor(options, terminal);
  if (options.watch) return watch(seconds * 1000, settings, options, terminal);
  const status = await currentStatus(settings);
  if (options.json) terminal.json(status);
  else terminal.data(text(statusLines(status, screenFor(process.stdout, process.env), options.all === true)));
  return status.exitCode;
}

/** How everything stands now. */
async function currentStatus(settings: Settings): Promise<Status> {
  const services = stateOfServices();
  const runs = await readLastRuns(settings.stateDir);
  return looking(settings, async (session) => {
    const { snapshot, base } = session.look;
    const isKnown = (name: CredentialName) => snapshot.credentials.has(name) || base.credentials.has(name);
    return statusOf({
      look: session.look,
      report: dryReport(session),
      host: settings.hostName,
      runs,
      isStoreChosen: settings.chosenBy !== undefined,
      services: await services,
      elsewhere: elsewhere(await loginsElsewhere(settings.proxyHome, isKnown), settings),
      now: Date.now(),
    });
  });
}

/** What a dry run of `sync` would report of the same look. */
function dryReport({ look, store, permissions }: Session) {
  const planned: Plan['credentials'] = look.plan.credentials.filter(({ actions }) => actions.length > 0);
  const results = planned.map((plan) => ({
    plan,
    outcome: 'done' as const,
    failures: [],
    putBack: putBackBy(plan, look.base, look.snapshot),
  }));
  return makeReport(store, look, results, [], undefined, permissions);
}

function stateOfServices() {
  const machine = machineFor(process.env, (command, options) =>
    runCommand(command, { timeoutMs: SERVICES_MS, ...options }),
  );
  return servicesStatus(machine);
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const HOME = '\u001b[H';
const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';
const ERASE_ALL = '\u001b[2J';

/** Draws until SIGINT or SIGTERM, then ends as one who was told to. */
async function watch(
  intervalMs: number,
  settings: Settings,
  options: StatusOptions,
  terminal: Terminal,
): Promise<number> {
  const { stdout } = process;
  const drawn = stdout.isTTY === true && !options.json && process.env.TERM !== 'dumb';
  let status: Status | undefined;
  const draw = () => {
    if (!status) return;
    const screen = screenFor(stdout, process.env);
    const lines = statusLines(status, screen, options.all === true);
    if (!drawn) {
      terminal.data(`${text(lines)}\n`);
      return;
    }
    // What does not fit would scroll the top away.
    const visible = fitRows(lines, Math.max(1, (stdout.rows || 24) - 1), screen);
    terminal.data(`${HOME}${visible.map((line) => `${line}${ERASE_LINE_END}\n`).join('')}${ERASE_BELOW}`);
  };
  const ended = new AbortController();
  const end = () => ended.abort();
  const told = new Promise<undefined>((resolve) => {
    ended.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  process.on('SIGINT', end).on('SIGTERM', end);
  // Nobody looks any more.
  stdout.once('error', end);
  if (drawn) {
    terminal.data(`${HIDE_CURSOR}${ERASE_ALL}`);
    stdout.on('resize', draw);
  }
  try {
    for (;;) {
      status = await Promise.race([currentStatus(settings), told]);
      if (!status) break;
      if (options.json) terminal.json(status);
      else draw();
      await sleep(intervalMs, undefined, { signal: ended.signal }).catch(() => undefined);
      if (ended.signal.aborted) break;
    }
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end);
    stdout.off('error', end);
    if (drawn) {
      stdout.off('resize', draw);
      terminal.data(SHOW_CURSOR);
    }
  }
  return EXIT.done;
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
