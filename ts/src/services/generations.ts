/**
 * What was switched to, to go back to: `generations/N` in the state directory holds the rendered set, `current` says
 * which one is active, and `applied.json` what of it has arrived at the manager.
 */
import { lstat, readdir, readFile, readlink, realpath, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../credential/json.ts';
import { ensureDirectory, errorCode, fsyncDirectory, writeFileAtomically } from '../files/atomic-write.ts';
import type { Applied } from './plan.ts';
import type { RunCommand } from './run-command.ts';
import { areEqualSets, readServiceSet, type ServiceSet, writeServiceSet } from './service-set.ts';

export interface Generations {
  readonly directory: string;
  /** Ascending. */
  list(): Promise<readonly number[]>;
  /** The active one; undefined before the first switch has got to its end. */
  current(): Promise<number | undefined>;
  read(generation: number): Promise<ServiceSet>;
  /** The newest if it holds this set, else a new one. */
  keep(set: ServiceSet): Promise<{ readonly generation: number; readonly isNew: boolean }>;
  /**
   * Keeps Nix's garbage collector from taking what the generation runs, if `source` is in a Nix store.
   *
   * @returns Why it could not, as a sentence; undefined otherwise.
   */
  protect(generation: number, source: string): Promise<string | undefined>;
  activate(generation: number): Promise<void>;
  /** Removes the oldest but for `count`, never the active one. */
  prune(count: number): Promise<void>;
  applied(): Promise<Applied>;
  writeApplied(applied: Applied): Promise<void>;
  /** Removes everything, but for the lock that the caller holds. */
  forget(): Promise<void>;
}

export function generationsIn(stateDir: string, run: RunCommand): Generations {
  const directory = join(stateDir, 'generations');
  const at = (name: string | number) => join(directory, String(name));

  const list = async () =>
    (await readdir(directory).catch(absent<string[]>([])))
      .filter((name) => /^[1-9]\d*$/.test(name))
      .map(Number)
      .sort((one, other) => one - other);

  const current = async () => {
    const target = await readlink(at('current')).catch(absent(''));
    return (await list()).find((generation) => String(generation) === target);
  };

  return {
    directory,
    list,
    current,
    read: (generation) => readServiceSet(at(generation)),

    async keep(set) {
      const newest = (await list()).at(-1);
      if (newest !== undefined) {
        const kept = await readServiceSet(at(newest)).catch(() => undefined);
        if (kept !== undefined && areEqualSets(kept, set)) return { generation: newest, isNew: false };
      }
      const generation = (newest ?? 0) + 1;
      // Under a name that is no number until it is whole.
      const half = at('.new');
      await rm(half, { recursive: true, force: true });
      await writeServiceSet(half, set);
      await rename(half, at(generation));
      await fsyncDirectory(directory);
      return { generation, isNew: true };
    },

    async protect(generation, source) {
      const storePath = /^.*\/store\/[0-9a-z]{32}-[^/]+/.exec(await realpath(source))?.[0];
      const root = join(at(generation), 'root');
      if (storePath === undefined || (await exists(root))) return undefined;
      const command = ['nix-store', '--realise', storePath, '--add-root', root, '--indirect'];
      const result = await run(command);
      if (result.kind === 'ended' && result.code === 0) return undefined;
      return `a garbage collection of Nix may take what generation ${generation} runs: ${command.join(' ')} ${
        result.kind === 'missing' ? 'could not be run' : `failed: ${result.stderr.trim()}`
      }`;
    },

    async activate(generation) {
      if ((await current()) === generation) return;
      const half = at('.current');
      await rm(half, { force: true });
      await symlink(String(generation), half);
      await rename(half, at('current'));
      await fsyncDirectory(directory);
    },

    async prune(count) {
      const active = await current();
      for (const generation of (await list()).slice(0, -count)) {
        if (generation !== active) await rm(at(generation), { recursive: true, force: true });
      }
    },

    async applied() {
      const text = await readFile(at('applied.json'), 'utf8').catch(absent('{}'));
      try {
        const value: unknown = JSON.parse(text);
        if (isObject(value))
          return Object.fromEntries(
            Object.entries(value).flatMap(([name, hash]) => (typeof hash === 'string' ? [[name, hash]] : [])),
          );
      } catch {
        // Lost: everything counts as changed, and is started once more.
      }
      return {};
    },

    async writeApplied(applied) {
      await ensureDirectory(directory);
      await writeFileAtomically(at('applied.json'), Buffer.from(`${JSON.stringify(applied, null, 2)}\n`));
    },

    async forget() {
      const names = (await readdir(directory).catch(absent<string[]>([]))).filter(
        (name) => !name.startsWith('lock'),
      );
      // What is active goes first: a run that was cut off here has nothing to go back to.
      const ordered = [...names].sort(
        (one, other) => Number(other === 'current') - Number(one === 'current'),
      );
      for (const name of ordered) await rm(at(name), { recursive: true, force: true });
    },
  };
}

/** For `catch`: what counts where there is no such file. */
function absent<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (errorCode(error) === 'ENOENT') return value;
    throw error;
  };
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
