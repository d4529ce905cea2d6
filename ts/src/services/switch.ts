import { setTimeout as sleep } from 'node:timers/promises';
import { ensureDirectory, errorCode } from '../files/atomic-write.ts';
import { takeLock } from '../files/lock.ts';
import type { Generations } from './generations.ts';
import { install, readInstalled, uninstall } from './installed.ts';
import type { ServiceManager, ServiceState, StartFailure } from './manager.ts';
import { marked } from './mark.ts';
import { hashOf, isDone, type Present, planSwitch, type SwitchPlan } from './plan.ts';
import type { CommandResult, RunCommand } from './run-command.ts';
import { forHome, readServiceSet, type ServiceSet } from './service-set.ts';
import { ServicesError } from './services-error.ts';

export interface Machine {
  readonly home: string;
  /** `XDG_RUNTIME_DIR`, where there is one. */
  readonly runtimeDir: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly generations: Generations;
  readonly manager: ServiceManager;
  readonly run: RunCommand;
}

export interface SwitchReport {
  readonly generation: number;
  readonly isNew: boolean;
  readonly plan: SwitchPlan;
  /** Undefined in a dry run, or where nothing is to be fetched. */
  readonly hydrate: CommandResult | undefined;
  /** What is in place, and did not start. */
  readonly failures: readonly StartFailure[];
  readonly warnings: readonly string[];
}

/** How long fetching credentials may hold a switch up. */
const HYDRATE_MS = 30_000;
/** How many can be gone back to. */
const KEPT = 10;
/** How long a start is watched. */
const SETTLE_MS = 2_000;
/** A switch is over in seconds, unless a service takes its time to stop. */
const LOCK_WAIT_MS = 60_000;

/**
 * Makes this machine run a rendered set: what changed is written and started, what it has no more is stopped and
 * removed, the rest is left alone.
 *
 * Killed at any point, the next run gets to the same end: a generation becomes the active one, and its files count
 * as applied, when all of it is done.
 *
 * @throws ServicesError before anything was changed if a service of these names is not ours.
 */
export async function switchTo(source: string, dryRun: boolean, machine: Machine): Promise<SwitchReport> {
  const set = await readServiceSet(source);
  await machine.manager.reach();
  if (dryRun) return planOnly((await machine.generations.current()) ?? 0, set, machine);
  return alone(machine, async () => {
    const plan = await planFor(set, machine);
    await makeDirectories(forHome(set, machine.home, machine.runtimeDir).directories);
    const { generation, isNew } = await machine.generations.keep(set);
    const problem = await machine.generations.protect(generation, source);
    const done = await apply(set, plan, machine);
    await machine.generations.activate(generation);
    await machine.generations.prune(KEPT);
    const advice = isNew && generation === 1 ? await machine.manager.advice() : undefined;
    const warnings = [problem, advice].filter((warning) => warning !== undefined);
    return { generation, isNew, plan, warnings, ...done };
  });
}

/**
 * Goes back to the generation before the active one.
 *
 * @throws ServicesError if there is none.
 */
export async function rollBack(dryRun: boolean, machine: Machine): Promise<SwitchReport> {
  const { generations } = machine;
  await machine.manager.reach();
  const work = async () => {
    const current = await generations.current();
    const before = (await generations.list()).findLast((generation) => generation < (current ?? 0));
    if (before === undefined) {
      throw new ServicesError(
        current === undefined
          ? 'there is no generation to go back to: nothing was switched to'
          : `generation ${current} is the oldest that is kept: there is none to go back to`,
        'To take the services away: unswitch.',
      );
    }
    const set = await generations.read(before);
    if (dryRun) return planOnly(before, set, machine);
    const plan = await planFor(set, machine);
    await makeDirectories(forHome(set, machine.home, machine.runtimeDir).directories);
    const done = await apply(set, plan, machine);
    await generations.activate(before);
    return { generation: before, isNew: false, plan, warnings: [], ...done };
  };
  return dryRun ? work() : alone(machine, work);
}

/**
 * Stops, disables and removes what a switch wrote, and the generations. Credentials, their directories and what
 * others wrote stay.
 *
 * @returns The names of the files that were (in a dry run: would be) removed.
 */
export async function unswitch(dryRun: boolean, machine: Machine): Promise<readonly string[]> {
  const { manager, generations } = machine;
  await manager.reach();
  const work = async () => {
    const { remove } = await planRemoval(machine);
    if (dryRun) return remove;
    await removeServices(remove, manager);
    await generations.forget();
    return remove;
  };
  return dryRun ? work() : alone(machine, work);
}

/** Waits a little for services that end as soon as they have looked at their configuration. */
export async function staysUp(
  names: readonly string[],
  { manager }: Machine,
): Promise<readonly StartFailure[]> {
  for (
    const until = Date.now() + SETTLE_MS;
    names.length > 0 && Date.now() < until;
    await sleep(SETTLE_MS / 10)
  ) {
    const ended = await manager.givenUp(names);
    if (ended.length > 0) return ended.map((name) => ({ name, why: 'it ended at once' }));
  }
  return [];
}

/** What of ours is here, and how it is. */
export async function inspect(machine: Machine): Promise<{
  readonly generation: number | undefined;
  readonly states: readonly ServiceState[];
  /** False if a switch was cut off, or files were changed since. */
  readonly isWhole: boolean;
}> {
  const { manager, generations } = machine;
  await manager.reach();
  const { remove: names } = await planRemoval(machine);
  const states = await manager.states(names);
  const generation = await generations.current();
  if (generation === undefined) return { generation, states, isWhole: names.length === 0 };
  const present = await readInstalled(manager.directory, manager.mayBeOurs);
  const wanted = wantedFiles(await generations.read(generation), machine);
  const plan = planSwitch(wanted, present, await generations.applied(), manager.isStarted);
  return { generation, states, isWhole: isDone(plan) };
}

async function planOnly(generation: number, set: ServiceSet, machine: Machine): Promise<SwitchReport> {
  const plan = await planFor(set, machine);
  return { generation, isNew: false, plan, hydrate: undefined, failures: [], warnings: [] };
}

/** What switching to the set takes, once it is certain that nobody else's service is in the way. */
async function planFor(set: ServiceSet, machine: Machine): Promise<SwitchPlan> {
  const { manager, generations } = machine;
  const wanted = wantedFiles(set, machine);
  const present = await readInstalled(manager.directory, manager.mayBeOurs);
  const elsewhere = await manager.elsewhere([...wanted.keys()]);
  refuseForeign([...wanted.keys()], present, elsewhere, manager);
  const givenUp = await manager.givenUp([...wanted.keys()]);
  return planSwitch(wanted, present, await generations.applied(), manager.isStarted, givenUp);
}

async function planRemoval({ manager, generations }: Machine): Promise<SwitchPlan> {
  const present = await readInstalled(manager.directory, manager.mayBeOurs);
  return planSwitch(new Map(), present, await generations.applied(), manager.isStarted);
}

function wantedFiles(set: ServiceSet, { home, runtimeDir }: Machine): ReadonlyMap<string, string> {
  const { files, manager } = forHome(set, home, runtimeDir);
  return new Map([...files].map(([name, text]) => [name, marked(text, manager)]));
}

function refuseForeign(
  names: readonly string[],
  present: ReadonlyMap<string, Present>,
  elsewhere: ReadonlyMap<string, string>,
  { directory }: ServiceManager,
): void {
  const foreign = names.flatMap((name) => {
    const here = present.get(name);
    if (here?.kind === 'foreign') return [`${directory}/${name} is ${here.what}`];
    const path = elsewhere.get(name);
    return path === undefined ? [] : [`${name} is there already, as ${path}`];
  });
  if (foreign.length === 0) return;
  throw new ServicesError(
    `these services are not ours to replace, so nothing was changed: ${foreign.join('; ')}`,
    'If home-manager, NixOS or nix-darwin runs them, change them there (services.cliproxyapi). Otherwise stop and remove them, then run this again.',
  );
}

async function apply(
  set: ServiceSet,
  plan: SwitchPlan,
  machine: Machine,
): Promise<Pick<SwitchReport, 'hydrate' | 'failures'>> {
  const { manager, generations } = machine;
  const wanted = wantedFiles(set, machine);
  await removeServices(plan.remove, manager);
  await install(manager.directory, new Map([...wanted].filter(([name]) => plan.write.includes(name))));
  if (plan.changed.length > 0) await manager.reload();
  await manager.enable(plan.start.filter((name) => plan.changed.includes(name)));

  const { hydrate: command } = forHome(set, machine.home, machine.runtimeDir);
  const hydrate = command && (await fetchCredentials(command, machine));
  const failures = await manager.start(plan.start);

  if (!isDone(plan)) {
    const failed = new Set(failures.map(({ name }) => name));
    const arrived = [...wanted].filter(([name]) => !failed.has(name));
    await generations.writeApplied(Object.fromEntries(arrived.map(([name, text]) => [name, hashOf(text)])));
  }
  return { hydrate, failures };
}

async function removeServices(names: readonly string[], manager: ServiceManager): Promise<void> {
  if (names.length === 0) return;
  // A file of ours that is gone may have made room for another's service of that name.
  const elsewhere = await manager.elsewhere(names);
  await manager.retire(names.filter((name) => !elsewhere.has(name)));
  await uninstall(manager.directory, names);
  await manager.reload();
}

function fetchCredentials(
  { command, environment }: NonNullable<ServiceSet['hydrate']>,
  { env, run }: Machine,
): Promise<CommandResult> {
  const path = [environment.PATH, env.PATH].filter((part) => part).join(':');
  return run(command, { env: { ...env, ...environment, PATH: path }, timeoutMs: HYDRATE_MS });
}

async function makeDirectories(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    await ensureDirectory(directory).catch((error: unknown) => {
      throw new ServicesError(
        `the directory ${directory} could not be made (${errorCode(error) ?? String(error)})`,
        'Nothing can be watched there. Put right what has its name or its permissions, then run this again.',
        { cause: error },
      );
    });
  }
}

/** Two at once would write and remove the same files. */
async function alone<T>({ generations }: Machine, work: () => Promise<T>): Promise<T> {
  await ensureDirectory(generations.directory);
  const lock = await takeLock(generations.directory, LOCK_WAIT_MS);
  if (lock === undefined) {
    throw new ServicesError(
      'another switch has been under way for a minute',
      'Wait for its end, then run this again.',
    );
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
