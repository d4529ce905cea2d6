/**
 * Processes in virtual time. Each call that a program makes to the outside is a **point**: there it may be killed,
 * be given an error, or have something else happen first; and at each asynchronous one another process may go on in
 * its place. One process runs at a time, so that `current` says whose call a call is.
 */
import { type FileSystem, systemError } from './file-system.ts';

export interface Machine {
  readonly name: string;
  files: FileSystem;
  /** The machine's clock, milliseconds since 1970. */
  now(): number;
  /** Who holds which lock. */
  readonly locks: Map<string, Process>;
}

export interface Process {
  readonly name: string;
  readonly machine: Machine;
  /** Points so far, and those of them that change something. */
  points: number;
  writes: number;
  dead: boolean;
  /** Killed at this write (from 1), before it is done. */
  readonly crashAt: number | undefined;
  /** These calls, by point, fail. */
  readonly faults: ReadonlyMap<number, Fault>;
  /** What happens first at a point. */
  readonly interrupts: ReadonlyMap<number, () => void>;
  /** Killed with it. */
  alsoDying: readonly Process[];
  /** Called once it was killed. */
  onDeath: (() => void) | undefined;
  /** What it changed, in words, for stories, with the number of the call: of several processes, the order. */
  readonly log: string[];
}

/** What a failing call says: a code of the system, or for a store that the answer never came though it was done. */
export type Fault = 'EIO' | 'ENOSPC' | 'EACCES' | 'unreachable' | 'refused' | 'lost answer';

/** A process before its first step. */
export function newProcess(
  name: string,
  machine: Machine,
  options: Partial<Pick<Process, 'crashAt' | 'faults' | 'interrupts'>> = {},
): Process {
  return {
    name,
    machine,
    points: 0,
    writes: 0,
    dead: false,
    alsoDying: [],
    crashAt: options.crashAt,
    faults: options.faults ?? new Map(),
    interrupts: options.interrupts ?? new Map(),
    onDeath: undefined,
    log: [],
  };
}

/** Thrown into a process that is killed in the middle of a synchronous call; whatever catches it can do nothing. */
export class Killed extends Error {}

interface Waiting {
  readonly process: Process;
  readonly at: number;
  go(): void;
}

/** Virtual time, randomness, and who is waiting; one simulation at a time. */
export const simulation = {
  now: 0,
  counter: 0,
  current: undefined as Process | undefined,
  /** Whether several processes take turns; else a call is carried out at once, which is much faster. */
  inTurns: false,
  waiting: [] as Waiting[],
  points: 0,
  faults: 0,
};

/** A new simulation: it starts at the same time with the same randomness. */
export function resetSimulation(now: number): void {
  simulation.now = now;
  simulation.counter = 0;
  simulation.current = undefined;
  simulation.inTurns = false;
  simulation.waiting = [];
}

const POINT_MS = 1;

/** A synchronous call: throws if the process is killed there, or the call fails. */
export function point(what: string, changes: boolean): void {
  const process = simulation.current;
  if (process) arrive(process, what, changes);
}

/** An asynchronous call: `effect` happens when the process gets its turn. */
export function turn<T>(what: string, changes: boolean, effect: (fault?: Fault) => T): Promise<T> {
  const process = simulation.current;
  if (!process) return Promise.resolve().then(() => effect());
  return wait(process, simulation.now, () => effect(arrive(process, what, changes, true)));
}

/** Virtual sleep. */
export function sleep(milliseconds: number): Promise<void> {
  const process = simulation.current;
  if (!process) return Promise.resolve();
  if (simulation.inTurns)
    return wait(process, simulation.now + milliseconds, () => {
      arrive(process, 'wake', false);
    });
  return wait(process, simulation.now, () => {
    simulation.now += milliseconds;
    arrive(process, 'wake', false);
  });
}

function wait<T>(process: Process, at: number, effect: () => T): Promise<T> {
  if (process.dead) return NEVER;
  if (!simulation.inTurns) {
    try {
      return Promise.resolve(effect());
    } catch (error) {
      return error instanceof Killed ? NEVER : Promise.reject(error);
    }
  }
  return new Promise((resolve, reject) => {
    simulation.waiting.push({
      process,
      at,
      go() {
        if (process.dead) return;
        try {
          resolve(effect());
        } catch (error) {
          if (!(error instanceof Killed)) reject(error);
        }
      },
    });
  });
}

const NEVER = new Promise<never>(() => {});

function arrive(process: Process, what: string, changes: boolean, mayAnswer = false): Fault | undefined {
  if (process.dead) throw new Killed();
  process.points++;
  simulation.points++;
  simulation.now += POINT_MS;
  if (changes) {
    process.writes++;
    if (process.writes === process.crashAt) {
      process.log.push(`killed before: ${what}`);
      kill(process);
      throw new Killed();
    }
    process.log.push(`${what} (${simulation.points})`);
  }
  process.interrupts.get(process.points)?.();
  const fault = process.faults.get(process.points);
  if (fault === undefined || what === 'wake') return undefined;
  simulation.faults++;
  process.log.push(`${fault} from: ${what}`);
  const ofStore = fault === 'unreachable' || fault === 'refused' || fault === 'lost answer';
  if (ofStore) return mayAnswer ? fault : undefined;
  // What a disk says of a read and of a write differs.
  if (mayAnswer && what.startsWith('store')) return undefined;
  if (!changes && fault !== 'EIO') return undefined;
  throw systemError(fault, what);
}

/** Ends a process at once: nothing of it runs any further. */
export function kill(process: Process): void {
  if (process.dead) return;
  process.dead = true;
  process.onDeath?.();
  for (const other of process.alsoDying) kill(other);
}

/** How a process ended. */
export type Ending<T> =
  | { readonly kind: 'returned'; readonly value: T }
  | { readonly kind: 'threw'; readonly error: unknown }
  | { readonly kind: 'killed' };

/** Runs one process alone, to its end. */
export async function runAlone<T>(process: Process, program: () => Promise<T>): Promise<Ending<T>> {
  simulation.current = process;
  const died = new Promise<Ending<T>>((resolve) => {
    process.onDeath = () => resolve({ kind: 'killed' });
  });
  const ending = await Promise.race([endOf(program), died]);
  process.dead = true;
  // What it was still about to do, when it was killed or asked to end, it no longer does; and in its own name.
  await microtasks();
  simulation.current = undefined;
  return ending;
}

/** Runs processes in turns; `choose(n)` says which of n that could go on does. */
export async function runTogether<T>(
  tasks: readonly { readonly process: Process; readonly program: () => Promise<T> }[],
  choose: (limit: number) => number,
): Promise<Ending<T>[]> {
  simulation.inTurns = true;
  const endings: (Ending<T> | undefined)[] = tasks.map(() => undefined);
  try {
    for (const [index, { process, program }] of tasks.entries()) {
      simulation.current = process;
      process.onDeath = () => {
        endings[index] ??= { kind: 'killed' };
      };
      void endOf(program).then((ending) => {
        endings[index] ??= ending;
        process.dead = true;
      });
      await microtasks();
    }
    while (endings.includes(undefined)) {
      const next = nextWaiting(choose);
      if (!next) throw new Error('every process waits, and none for anything');
      simulation.current = next.process;
      next.go();
      await microtasks();
    }
  } finally {
    simulation.inTurns = false;
    simulation.current = undefined;
    simulation.waiting = [];
  }
  return endings as Ending<T>[];
}

function nextWaiting(choose: (limit: number) => number): Waiting | undefined {
  const alive = simulation.waiting.filter(({ process }) => !process.dead);
  if (alive.length === 0) return undefined;
  const soonest = Math.min(...alive.map(({ at }) => at));
  if (soonest > simulation.now) simulation.now = soonest;
  const ready = alive.filter(({ at }) => at <= simulation.now);
  const next = ready[choose(ready.length)] as Waiting;
  simulation.waiting = alive.filter((other) => other !== next);
  return next;
}

async function endOf<T>(program: () => Promise<T>): Promise<Ending<T>> {
  try {
    return { kind: 'returned', value: await program() };
  } catch (error) {
    return { kind: 'threw', error };
  }
}

/** Until no code has anything left to do without a further turn. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
