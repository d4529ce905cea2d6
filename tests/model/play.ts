/** Plays a story in a world: the real `run` of every host, and after every step the invariants. */
import type { CredentialName } from '../../ts/src/credential/name.ts';
import { forgetting, restoring } from '../../ts/src/history/choices.ts';
import type { Choices } from '../../ts/src/sync/look.ts';
import { type RunReport, run } from '../../ts/src/sync/run.ts';
import { finish, happen, type World } from './happenings.ts';
import { type Host, inodeOf, LOCAL_PLACES, newHost, PATHS } from './host.ts';
import { newLedger, Violation } from './ledger.ts';
import {
  type Ending,
  newProcess,
  type Process,
  resetSimulation,
  runAlone,
  runTogether,
  simulation,
} from './machine/process.ts';
import { setWitness } from './machine/witness.ts';
import { memoryStore, newCloud } from './memory-store.ts';
import { closeAll } from './stand-ins/fs.ts';
import {
  credentialName,
  HOSTS,
  NAMES,
  type PersonsChoice,
  type Run,
  type Step,
  type Story,
  tellStep,
} from './story.ts';
import { versionIn } from './whereabouts.ts';

/** Figures of a story that was played. */
export interface Figures {
  steps: number;
  runs: number;
  /** Runs that were killed at a point. */
  crashes: number;
  faults: number;
  points: number;
}

const START = Date.UTC(2026, 10, 22, 12);
/** So many rounds of `sync` on all hosts, and all is equal. */
const QUIET_ROUNDS = 6;
const SETTLED_MS = 120_000;

/**
 * Plays a story to its end.
 *
 * @throws Violation with the step at which a promise was broken.
 */
export async function play(story: Story, figures: Figures, trace?: (line: string) => void): Promise<void> {
  resetSimulation(START);
  closeAll();
  const hosts = story.hosts.map(({ ccs }, index) => newHost(HOSTS[index] as string, ccs));
  const cloud = {
    ...newCloud(() => Math.floor(simulation.now)),
    conditions: story.conditions,
    tags: story.tags,
  };
  const ledger = newLedger(hosts, cloud);
  const world: World = {
    hosts,
    cloud,
    ledger,
    versions: 0,
    touched: new Set(),
    fragile: new Set(),
    late: [],
    trace,
    keep: story.keep,
  };
  setWitness(ledger);
  // For the variant that writes the store whatever it holds.
  Object.assign(globalThis, {
    tagNow: (area: 'current' | 'backup', name: string) => cloud.objects[area].get(name)?.tag,
  });
  const clock = useClock();
  const before = { points: simulation.points, faults: simulation.faults };
  try {
    for (let name = 0; name < story.credentials; name++)
      happen(world, { kind: 'login', host: 0, name, dates: name % 3 === 2 ? 'expiring' : 'refreshed' });
    if (story.agreed) {
      for (const host of [...hosts, ...hosts]) await runOnce(world, host, figures);
      for (const host of hosts) happen(world, { kind: 'image', host: hosts.indexOf(host) });
    }
    assertKept(world, 'at the start');
    for (const [index, step] of story.steps.entries()) {
      figures.steps++;
      trace?.(`== ${tellStep(step, story)}`);
      if (step.kind === 'runs') await playRuns(world, step, figures);
      else happen(world, step);
      assertKept(world, `at step ${index + 1}`);
    }
    await becomeQuiet(world, figures);
    assertKept(world, 'when all was quiet');
    await checkChangesArrive(world, figures);
    assertKept(world, 'after that');
  } finally {
    clock.restore();
    setWitness(undefined);
    figures.points += simulation.points - before.points;
    figures.faults += simulation.faults - before.faults;
  }
}

function assertKept({ ledger }: World, when: string): void {
  const [first] = ledger.violations;
  if (first)
    throw new Violation(first.invariant, `${when}, ${first.message.slice(first.invariant.length + 2)}`);
}

// --- Runs -------------------------------------------------------------------------------------------------------

async function playRuns(
  world: World,
  { runs, seed }: Extract<Step, { kind: 'runs' }>,
  figures: Figures,
): Promise<void> {
  const { hosts, ledger } = world;
  const everything = ledger.everything();
  world.touched.clear();
  world.late.length = 0;
  const tasks = runs.map((each) => {
    const host = hosts[each.host % hosts.length] as Host;
    host.oldState = host.files.clone();
    return {
      each,
      host,
      ...processOf(world, each, host),
    };
  });
  for (const { each, host, process } of tasks) {
    if (each.powerLoss === undefined) continue;
    // With the power all that runs on the machine goes.
    process.alsoDying = tasks.filter((other) => other.host === host).map((other) => other.process);
  }
  figures.runs += tasks.length;
  const [only] = tasks;
  const endings: Ending<RunReport>[] =
    tasks.length === 1 && only && seed === 0
      ? [await runAlone(only.process, only.program)]
      : await runTogether(tasks, chooser(seed));

  for (const [index, { each, host, process }] of tasks.entries()) {
    const ending = endings[index] as Ending<RunReport>;
    if (ending.kind === 'killed') {
      figures.crashes++;
      host.begun.length = 0;
      if (each.powerLoss !== undefined) {
        host.files.losePower(chooser(each.powerLoss));
        const left = ledger.everything();
        for (const version of everything) {
          const [name = '', id = ''] = version.split(' ');
          const isExpected = world.touched.has(name) || world.fragile.has(version);
          if (!left.has(version) && !isExpected && !ledger.mayBeGone(name, id as never))
            ledger.violate(
              'no version is lost',
              `${name}: ${ledger.label(id as never)} did not survive the power loss on ${host.name}`,
            );
        }
      }
    }
    checkEnding(world, process, ending);
    if (each.choice === undefined) learn(world, process, ending);
  }
  ledger.runEnded(endings.some(({ kind }) => kind !== 'returned') ? world.touched : new Set());
  for (const { name, bytes } of world.late) {
    const version = versionIn(bytes);
    const ended = endings.every(({ kind }) => kind === 'returned');
    if (ended && version && !ledger.isHeld(name, version.id))
      ledger.violate(
        'no version is lost',
        `${name}: ${ledger.label(version.id)}, written while the file was replaced`,
      );
  }
  const [ending] = endings;
  const wasLetBe = only?.each.abortAt === undefined && world.touched.size === 0;
  if (tasks.length === 1 && only && wasLetBe && ending?.kind === 'returned')
    await checkSuccess(world, only.host, only.each.command, ending.value, figures);
}

function processOf(world: World, each: Run, host: Host) {
  const ending = new AbortController();
  const interrupts = new Map(
    each.interrupts.map(({ at, happening }) => [
      at,
      () => {
        const { current } = simulation;
        simulation.current = undefined;
        happen(world, happening);
        simulation.current = current;
      },
    ]),
  );
  if (each.abortAt !== undefined) interrupts.set(each.abortAt, () => ending.abort());
  const process = newProcess(`${host.name}: ${each.choice?.kind ?? each.command}`, host, {
    crashAt: each.crashAt,
    interrupts,
    faults: new Map(each.faults.map(({ at, fault }) => [at, fault])),
  });
  const choices = each.choice && choicesOf(world, host, each.choice);
  const program = () =>
    run({
      ...request(world, host, each.command),
      signal: ending.signal,
      ...(choices && { choices }),
    });
  return { process, program };
}

/** What `restore` and `forget` ask for, of what history has at the time. */
function choicesOf(world: World, host: Host, choice: PersonsChoice): Choices | undefined {
  const { cloud, ledger } = world;
  const name = credentialName(choice.name) as CredentialName;
  world.touched.add(name);
  const at = host.now();
  if (choice.kind === 'forget') {
    ledger.deleted(name);
    return forgetting([name], at);
  }
  const kept = [...(cloud.history.get(name)?.values() ?? [])].sort((a, b) => b.arrived - a.arrived);
  const old = versionIn(kept[choice.age % Math.max(1, kept.length)]?.bytes);
  if (!old) return undefined;
  const { choose } = restoring(new Map([[name, old]]), host.name, at);
  return {
    choose(snapshot, base) {
      const chosen = choose(snapshot, base);
      for (const each of chosen.values())
        if (each.kind === 'restore')
          ledger.chosen(name, each.version.bytes, `what ${host.name} restored of ${ledger.label(old.id)}`);
      return chosen;
    },
  };
}

function request(world: World, host: Host, command: Run['command'], allowDelete: readonly string[] = []) {
  return {
    ...(world.keep && command !== 'hydrate' && { historyKeep: world.keep }),
    permissions: { store: command !== 'hydrate' },
    authDir: PATHS.auth,
    ccsDir: host.ccs ? PATHS.ccs : undefined,
    stateDir: PATHS.state,
    hostName: host.name,
    lockWaitMs: 30_000,
    dryRun: false,
    allowDelete: new Set(allowDelete as CredentialName[]),
    openStore: async (state: { memory(location: string): Parameters<typeof memoryStore>[1] }) =>
      memoryStore(world.cloud, state.memory('memory')),
  };
}

async function runOnce(
  world: World,
  host: Host,
  figures: Figures,
  allowDelete: readonly string[] = [],
): Promise<RunReport | undefined> {
  figures.runs++;
  const process = newProcess(`${host.name}: sync`, host);
  const ending = await runAlone(process, () => run(request(world, host, 'sync', allowDelete)));
  checkEnding(world, process, ending);
  learn(world, process, ending);
  world.ledger.runEnded(new Set());
  return ending.kind === 'returned' ? ending.value : undefined;
}

/** What a run saw is remembered where it could carry out all of it. */
function learn({ ledger }: World, process: Process, ending: Ending<RunReport>): void {
  if (ending.kind !== 'returned' || ending.value.exitCode !== 0) return;
  if (ending.value.results.every(({ plan }) => plan.pending.length === 0)) ledger.learned(process);
}

/** A run may end with an error of the system or the state; never with a mistake of ours. */
function checkEnding(world: World, process: Process, ending: Ending<RunReport>): void {
  world.trace?.(traceRun(world, process, ending));
  const { ledger } = world;
  if (ending.kind !== 'threw') return;
  const { error } = ending;
  const expected = error instanceof Error && (error.name === 'StateError' || 'code' in error);
  if (!expected)
    ledger.violate(
      'a run ends with a report',
      `${process.name}: ${error instanceof Error ? error.stack : String(error)}`,
    );
}

function traceRun({ ledger, hosts, cloud }: World, process: Process, ending: Ending<RunReport>): string {
  const lines = [`-- ${process.name}: ${ending.kind}`];
  if (ending.kind === 'threw') lines.push(String(ending.error));
  if (ending.kind === 'returned') {
    const { exitCode, stopped, results, held, guard, problems } = ending.value;
    lines.push(`exit ${exitCode} ${JSON.stringify({ stopped, held, guard, problems })}`);
    for (const { plan, outcome, failures } of results)
      lines.push(
        `${plan.name}: ${outcome} ${failures.join(' ')} ${'reason' in plan.decision ? plan.decision.reason : plan.decision.kind}: ${plan.actions
          .map(
            (action) =>
              `${action.kind} ${'place' in action ? action.place : ''}${action.kind === 'keep' ? ledger.label(action.version.id) : ''}`,
          )
          .join(', ')}; pending ${plan.pending.join(' ')}`,
      );
  }
  lines.push(...process.log.filter((line) => !/\.tmp|fsync|mkdir|chmod|lock|stores/.test(line)));
  for (const name of NAMES) {
    const seen = hosts.flatMap((host) => holders(cloud, host, name));
    const unique = [...new Map(seen)].map(([where, bytes]) => {
      const version = versionIn(bytes);
      return `${where}: ${version ? `${ledger.label(version.id)} ${version.id.slice(0, 6)}` : bytes ? 'invalid' : '-'}`;
    });
    if (unique.some((line) => !line.endsWith(': -'))) lines.push(`   ${name} = ${unique.join(', ')}`);
  }
  return lines.join('\n   ');
}

// --- After a run that nothing disturbed ---------------------------------------------------------------------------

async function checkSuccess(
  world: World,
  host: Host,
  command: Run['command'],
  report: RunReport,
  figures: Figures,
): Promise<void> {
  if (report.exitCode !== 0) return;
  if (command !== 'hydrate') {
    checkTombstones(world, host);
    checkEqual(world, host, 'after a run that said that all is done');
  }
  // Where a deletion emptied the store, the next run looks into history for what else there was.
  if (world.cloud.objects.current.size === 0) return;
  const before = fingerprint(world, host);
  figures.runs++;
  const process = newProcess(`${host.name}: ${command} again`, host);
  const ending = await runAlone(process, () => run(request(world, host, command)));
  checkEnding(world, process, ending);
  world.ledger.runEnded(new Set());
  if (fingerprint(world, host) !== before)
    world.ledger.violate(
      'a run after a success does nothing',
      `${process.name} wrote: ${process.log.join('; ')}`,
    );
}

/** Everything that can be seen of a host's watched directories and the store. */
function fingerprint({ cloud, keep }: World, host: Host): string {
  const files = [PATHS.auth, PATHS.ccs].flatMap((path) =>
    host.files
      .files(path)
      // What a run that was cut short left is removed by the next that can.
      .filter(([file]) => !file.endsWith('.tmp'))
      .map(([file, { number, modified, bytes }]) => `${file} ${number} ${modified} ${bytes.length}`),
  );
  const objects = (['current', 'backup', 'tombstone'] as const).flatMap((area) =>
    [...cloud.objects[area]].map(([name, { tag }]) => `${area} ${name} ${tag}`),
  );
  // Once a day a run that finds nothing else to do takes old versions out.
  const history = keep ? [] : [...cloud.history].map(([name, entries]) => `${name} ${entries.size}`);
  return [...files, ...objects, ...history].join('\n');
}

/** Where a tombstone stands, no place has the credential. */
function checkTombstones({ cloud, ledger }: World, host: Host): void {
  for (const name of cloud.objects.tombstone.keys()) {
    for (const [where, bytes] of holders(cloud, host, name)) {
      const version = versionIn(bytes);
      if (version)
        ledger.violate(
          'what was deleted stays deleted',
          `${name}: ${where} has ${ledger.label(version.id)} under a tombstone`,
        );
    }
  }
}

/** The places of one host and the store hold the same. */
function checkEqual({ cloud, ledger }: World, host: Host, when: string): void {
  for (const name of NAMES) {
    const seen = holders(cloud, host, name).map(([where, bytes]) => {
      const version = versionIn(bytes);
      return {
        where,
        is: version ? ledger.label(version.id) + version.id.slice(0, 6) : bytes ? 'invalid' : 'nothing',
      };
    });
    // Garbage where there never was anything else can only be reported.
    if (!seen.some(({ is }) => is !== 'invalid' && is !== 'nothing')) continue;
    // One that is dated ahead of the clock is left alone until the clock is there.
    if (LOCAL_PLACES.some((place) => (inodeOf(host, place, name)?.modified ?? 0) > host.now())) continue;
    if (new Set(seen.map(({ is }) => is)).size > 1)
      ledger.violate(
        'all hosts end equal',
        `${when}, ${name} is ${seen.map(({ where, is }) => `${is} in ${where}`).join(', ')}`,
      );
  }
}

function holders(cloud: World['cloud'], host: Host, name: string): [string, Buffer | undefined][] {
  const paused = inodeOf(host, 'paused', name) !== undefined;
  const local = LOCAL_PLACES.filter(
    (place) => place === 'auth' || (host.ccs && !name.includes('/') && !paused),
  ).map((place): [string, Buffer | undefined] => [
    `${host.name}'s ${place}`,
    inodeOf(host, place, name)?.bytes,
  ]);
  return [
    ...local,
    ['the store', cloud.objects.current.get(name)?.bytes],
    ['the backup copy', cloud.objects.backup.get(name)?.bytes],
  ];
}

// --- The end ------------------------------------------------------------------------------------------------------

/** Nothing more happens: after some rounds all hosts hold the same, and no run has anything to do. */
async function becomeQuiet(world: World, figures: Figures): Promise<void> {
  const { hosts, cloud, ledger } = world;
  cloud.outage = false;
  for (const host of hosts) finish(world, host);
  simulation.now += SETTLED_MS;
  const reports = new Map<Host, RunReport>();
  const allowed = new Set<string>();
  for (let round = 0; round < QUIET_ROUNDS; round++) {
    let idle = true;
    for (const host of hosts) {
      simulation.now += 1000;
      const report = await runOnce(world, host, figures, [...allowed]);
      if (!report) return;
      reports.set(host, report);
      idle &&= report.results.length === 0;
      // What the guard held back is allowed by a person.
      for (const name of report.guard?.names ?? []) {
        idle = false;
        allowed.add(name);
      }
    }
    if (idle) break;
  }
  for (const [host, report] of reports) {
    const left = report.results.map(
      ({ plan }) => `${plan.name}: ${plan.actions.map(({ kind }) => kind).join(', ')}`,
    );
    if (left.length > 0)
      ledger.violate('all hosts end equal', `${host.name} still had to do: ${left.join('; ')}`);
    const hopeless = report.problems.filter(
      ({ place, reason }) => place !== 'state' && !reason.includes('JSON') && !reason.includes('empty'),
    );
    if (
      report.exitCode !== 0 &&
      (report.held.length > 0 || hopeless.length > 0 || report.stopped !== undefined)
    )
      ledger.violate(
        'all hosts end equal',
        `${host.name} ends with ${report.exitCode}: ${JSON.stringify([report.stopped, report.held, report.problems])}`,
      );
    checkEqual(world, host, 'at the end');
    checkTombstones(world, host);
  }
}

/** Among hosts that agree, a refresh and a deletion on any one arrive on every other. */
async function checkChangesArrive(world: World, figures: Figures): Promise<void> {
  const { hosts, cloud, ledger } = world;
  const [first] = hosts as [Host, ...Host[]];
  // A file that is dated ahead of its host's clock and is no credential is left alone until the clock is there.
  const isSettled = (each: string) =>
    hosts.every((host) =>
      LOCAL_PLACES.every((place) => (inodeOf(host, place, each)?.modified ?? 0) <= host.now()),
    );
  const name = NAMES.find((each) => versionIn(inodeOf(first, 'auth', each)?.bytes) && isSettled(each));
  if (name === undefined || hosts.some(({ clock }) => clock.ahead !== 0)) return;
  simulation.now += 60_000;
  happen(world, { kind: 'rotate', host: 0, name: NAMES.indexOf(name), place: 'auth' });
  const refreshed = versionIn(inodeOf(first, 'auth', name)?.bytes);
  for (const host of hosts) await runOnce(world, host, figures);
  for (const host of hosts) {
    const seen = versionIn(inodeOf(host, 'auth', name)?.bytes);
    // One that was dated far ahead, or by no refresh at all, may be fresher.
    if (refreshed?.freshness.lastRefresh !== undefined && seen?.id !== refreshed.id && !isDatedAhead(seen))
      ledger.violate('changes arrive', `the refresh of ${name} did not reach ${host.name}`);
  }
  const last = hosts.at(-1) as Host;
  happen(world, { kind: 'remove', host: hosts.indexOf(last), name: NAMES.indexOf(name), place: 'auth' });
  for (const host of [last, ...hosts]) await runOnce(world, host, figures, [name]);
  for (const host of hosts) {
    if (inodeOf(host, 'auth', name) || cloud.objects.current.has(name))
      ledger.violate('changes arrive', `the deletion of ${name} on ${last.name} did not reach ${host.name}`);
  }
}

function isDatedAhead(version: { freshness: { lastRefresh?: number } } | undefined): boolean {
  return (version?.freshness.lastRefresh ?? 0) > simulation.now;
}

// --- Time and chance ----------------------------------------------------------------------------------------------

/** Numbers below a limit, the same for the same seed; 0 gives zeros. */
function chooser(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    if (seed === 0) return 0;
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) >>> 0;
    return (state >>> 8) % limit;
  };
}

/** Gives the programs under test their machine's clock, and dice that fall the same way each time. */
function useClock(): { restore(): void } {
  const { now } = Date;
  const { random } = Math;
  const dice = chooser(12345);
  Date.now = () => simulation.current?.machine.now() ?? now.call(Date);
  Math.random = () => (simulation.current ? dice(1 << 20) / (1 << 20) : random.call(Math));
  return {
    restore() {
      Date.now = now;
      Math.random = random;
    },
  };
}
