import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { Argument, Command, Option } from 'commander';
import { generationsIn } from '../services/generations.ts';
import { launchd } from '../services/launchd.ts';
import type { ServiceState } from '../services/manager.ts';
import { isDone } from '../services/plan.ts';
import { type CommandResult, type RunCommand, runCommand } from '../services/run-command.ts';
import { ServicesError } from '../services/services-error.ts';
import {
  inspect,
  type Machine,
  rollBack,
  type SwitchReport,
  staysUp,
  switchTo,
  unswitch,
} from '../services/switch.ts';
import { systemd } from '../services/systemd.ts';
import { pathsFrom } from '../settings/paths.ts';
import { stateDirFrom } from '../settings/settings.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withHelp } from './command-help.ts';
import { EXIT, type RunOptions, UsageError } from './options.ts';

const ACTIONS = ['switch', 'unswitch', 'rollback', 'status'] as const;
type Action = (typeof ACTIONS)[number];

interface ServicesOptions extends RunOptions {
  readonly from?: string;
  readonly wait: boolean;
}

/** `services switch|unswitch|rollback|status`; what `make switch` runs. */
export function defineServices(
  act: (options: RunOptions, action: (terminal: Terminal) => Promise<number>) => Promise<void>,
): Command {
  const command = new Command('services')
    .description("Runs the proxy, backup and sync as this user's services, under systemd or launchd.")
    .addArgument(new Argument('[action]', 'what to do').choices(ACTIONS).default('switch'))
    .option('--from <directory>', 'the rendered services; `nix run .#switch` gives it')
    .option('--no-wait', 'do not watch for two seconds whether what was started stays up')
    .option('--json', 'print one JSON document on stdout')
    .option('--dry-run', 'change nothing, print what would be done')
    .addOption(new Option('--verbose', 'say more').conflicts('quiet'))
    .option('--quiet', 'say only what is wrong')
    .action((action: Action, options: ServicesOptions) =>
      act(options, (terminal) => servicesCommand(action, options, terminal)),
    );
  return withHelp(command, {
    terms: {
      title: 'Actions',
      items: [
        ['switch', 'write the services, start what changed, fetch credentials; run again it changes nothing'],
        ['unswitch', 'stop and remove them; credentials stay'],
        ['rollback', 'go back to the services before the last switch'],
        ['status', 'which run, and how their last runs ended'],
      ],
    },
    exitCodes: { [EXIT.failed]: 'something failed; status: one is not as it should be, or there is none' },
    examples: [['nix run .#switch'], ['nix run .#switch -- unswitch'], ['cliproxyapi-sync services status']],
  });
}

async function servicesCommand(
  action: Action,
  options: ServicesOptions,
  terminal: Terminal,
): Promise<number> {
  if (action === 'switch' && options.from === undefined) {
    throw new UsageError('services switch needs --from: the directory with the rendered services');
  }
  const machine = machineFor(process.env);
  const dryRun = options.dryRun === true;
  try {
    switch (action) {
      case 'switch':
        return await printSwitch(
          await switchTo(options.from ?? '', dryRun, machine),
          options,
          machine,
          terminal,
        );
      case 'rollback':
        return await printSwitch(await rollBack(dryRun, machine), options, machine, terminal);
      case 'unswitch':
        return printUnswitch(await unswitch(dryRun, machine), options, terminal);
      case 'status':
        return await printStatus(options, machine, terminal);
    }
  } catch (error) {
    if (!(error instanceof ServicesError)) throw error;
    terminal.error(error.message, error.remedy);
    const { message, remedy } = error;
    if (options.json) terminal.json({ exitCode: EXIT.failed, error: { message, remedy } });
    return EXIT.failed;
  }
}

/** This user's part of the machine. */
export function machineFor(env: Machine['env'], run: RunCommand = runCommand): Machine {
  const environment = [{ values: env }];
  const paths = pathsFrom(environment);
  const home = paths.home('HOME');
  const { XDG_CONFIG_HOME: config, XDG_RUNTIME_DIR: runtimeDir } = env;
  const configHome = config !== undefined && isAbsolute(config) ? config : join(home, '.config');
  const { username, uid } = userInfo();
  return {
    home,
    runtimeDir,
    env,
    run,
    generations: generationsIn(stateDirFrom(environment, paths), run),
    manager:
      process.platform === 'darwin'
        ? launchd({ home, uid, run })
        : systemd({ configHome, user: username, run }),
  };
}

async function printSwitch(
  report: SwitchReport,
  { dryRun = false, json, wait }: ServicesOptions,
  machine: Machine,
  terminal: Terminal,
): Promise<number> {
  const { generation, plan, hydrate, warnings } = report;
  const ended = wait && !dryRun ? await staysUp(plan.start, machine) : [];
  const failures = [...report.failures, ...ended];
  const failed = new Set(failures.map(({ name }) => name));
  const say = (done: string, planned: string, names: readonly string[]) => {
    for (const name of names) terminal.info(`${dryRun ? planned : done} ${name}`);
  };
  say('removed', 'would remove', plan.remove);
  say('wrote', 'would write', plan.write);
  say(
    'started',
    'would start',
    plan.start.filter((name) => !failed.has(name)),
  );
  if (isDone(plan)) terminal.info(`nothing to change: generation ${generation} is in place`);
  else if (!dryRun) terminal.info(`this is generation ${generation}`);
  for (const warning of warnings) terminal.warn(warning);
  printHydrate(hydrate, terminal);
  for (const { name, why } of failures) terminal.error(`${name} did not start: ${why}`, LOGS);

  const exitCode = failures.length > 0 ? EXIT.failed : EXIT.done;
  const { states } = dryRun ? { states: [] } : await inspect(machine);
  if (json) {
    const { write, remove, start } = plan;
    terminal.json({
      exitCode,
      dryRun,
      generation,
      write,
      remove,
      start,
      failures,
      warnings,
      services: states,
    });
  } else for (const line of stateLines(states)) terminal.info(line);
  return exitCode;
}

/** Its own words are the best there are; that it did not work is no failure of the switch. */
function printHydrate(result: CommandResult | undefined, terminal: Terminal): void {
  if (result === undefined) return;
  if (result.kind === 'missing') {
    terminal.warn('credentials were not fetched: the program is not where the services have it');
    return;
  }
  for (const line of result.stderr.trim().split('\n')) if (line !== '') terminal.info(line);
  if (result.kind === 'late') {
    terminal.warn('credentials were not fetched: the store took too long. The services try again.');
  } else if (result.code !== 0) {
    terminal.warn(
      `credentials were not fetched (hydrate ended with ${result.code}). The services try again.`,
    );
  }
}

function printUnswitch(
  removed: readonly string[],
  { dryRun = false, json }: ServicesOptions,
  terminal: Terminal,
): number {
  for (const name of removed) terminal.info(`${dryRun ? 'would remove' : 'removed'} ${name}`);
  if (removed.length === 0)
    terminal.info('nothing to remove: no service here was written by cliproxyapi-sync');
  else if (!dryRun) terminal.info('the services are gone; credentials are where they were');
  if (json) terminal.json({ exitCode: EXIT.done, dryRun, remove: removed });
  return EXIT.done;
}

/** 1 if there are none, or one is not as it should be. */
async function printStatus({ json }: ServicesOptions, machine: Machine, terminal: Terminal): Promise<number> {
  const { generation, states, isWhole } = await inspect(machine);
  if (json) terminal.json({ generation: generation ?? null, whole: isWhole, services: states });
  else for (const line of stateLines(states)) terminal.data(`${line}\n`);

  if (states.length === 0)
    terminal.info('no service here was written by cliproxyapi-sync: `nix run .#switch`');
  else if (!isWhole)
    terminal.warn('these are not what the last switch wrote, or it was cut off: switch again');
  for (const { name } of states.filter(({ stopped }) => stopped)) terminal.warn(`${name} is stopped`);
  for (const { name } of states.filter((state) => state.failed)) terminal.warn(`${name} failed. ${LOGS}`);
  const isWell = isWhole && states.length > 0 && !states.some(({ failed, stopped }) => failed || stopped);
  return isWell ? EXIT.done : EXIT.failed;
}

const LOGS =
  process.platform === 'darwin'
    ? 'Its log is in ~/Library/Logs.'
    : "Its log: journalctl --user -u 'cliproxyapi*' -e";

function stateLines(states: readonly ServiceState[]): string[] {
  const width = (part: (state: ServiceState) => string) =>
    Math.max(0, ...states.map((state) => part(state).length));
  const nameWidth = width(({ name }) => name);
  const stateWidth = width(({ state }) => state);
  return states.map(({ name, state, detail }) =>
    `${name.padEnd(nameWidth)}  ${state.padEnd(stateWidth)}  ${detail}`.trimEnd(),
  );
}
