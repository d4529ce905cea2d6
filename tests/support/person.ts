/**
 * Somebody who has the README and nothing else: reads what a program prints, types the commands that it names, as it
 * names them, and puts the values that it asks for into the env file. They know no more than that.
 */
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bundlePath, type Home } from './bundle.ts';
import { commandOnTerminal, type Shown } from './on-terminal.ts';

export interface Person {
  /** Types a line into a shell, on a terminal, and says yes to what is asked. */
  type(line: string): Promise<Shown>;
  /**
   * Types `first`, and does what is printed, until it ends with 0 and `isWell`.
   *
   * @returns What was typed and set, in order, without `first` itself.
   * @throws With all that was typed and printed, if what is printed leads no further.
   */
  follow(first?: string, isWell?: (shown: string) => boolean): Promise<readonly string[]>;
}

export interface PersonOptions {
  /** What they can look up, at their provider or in their notes: variables of the env file. */
  readonly knows?: Readonly<Record<string, string>>;
  /** Scripts that stand for programs of the machine which cannot be run in a test, by name: `timedatectl`. */
  readonly machine?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** What they do by hand where a text asks for it, in words: `Wait a minute`. */
  readonly hands?: readonly (readonly [asked: RegExp, act: (found: RegExpExecArray) => unknown])[];
  /** What stands before every command line: to be another user. */
  readonly as?: readonly string[];
}

/** More than this, and nobody would go on. */
const MOST_STEPS = 8;

export async function personAt(
  home: Home,
  { knows = {}, machine = {}, env = {}, as = [], hands = [] }: PersonOptions = {},
): Promise<Person> {
  const bin = await programsOf(home, machine);
  const path = `${bin}:${home.env.PATH}`;
  const said: string[] = [];
  let byHand = 0;

  const type = async (line: string) => {
    const shown = await commandOnTerminal(home, [...as, 'sh', '-c', line], {
      columns: 200,
      rows: 100,
      env: { ...env, PATH: path, NO_COLOR: '1' },
      type: ['[y/N]', 'y\n'],
      seconds: 120,
    });
    said.push(`$ ${line}\n${shown.shown}[${shown.code}]\n`);
    for (const [asked, act] of hands) {
      const found = asked.exec(shown.shown);
      if (!found) continue;
      await act(found);
      byHand++;
    }
    return shown;
  };

  return {
    type,
    async follow(first = 'cliproxyapi-sync status', isWell = () => true) {
      const done: string[] = [];
      for (;;) {
        const soFar = byHand;
        const before = await type(first);
        if (before.code === 0 && isWell(before.shown)) return done;
        const step = await nextStep(
          advice(before.shown),
          new Set(done.filter((one) => !ONLY_TELLS.test(one))),
          byHand,
        );
        if ((step === undefined && byHand === soFar) || done.length >= MOST_STEPS)
          throw new Error(`what is printed leads no further:\n${said.join('')}`);
      }

      /** Does the first thing that was not done before; what only tells more is read, and leads on. */
      async function nextStep(
        found: readonly Advice[],
        tried: Set<string>,
        soFar: number,
      ): Promise<Advice | undefined> {
        for (const one of found) {
          const what = one.kind === 'type' ? one.line : `${one.variable}=`;
          if (tried.has(what)) continue;
          tried.add(what);
          if (one.kind === 'set') {
            // `OBJECTSTORE_...` stands for all of them.
            const meant = Object.entries(knows).filter(
              ([name]) =>
                name === one.variable || (one.variable.endsWith('_') && name.startsWith(one.variable)),
            );
            const changed: string[] = [];
            for (const [name, value] of meant)
              if (await setVariable(home.envFile, name, value)) changed.push(`${name}=`);
            if (changed.length === 0) continue;
            done.push(...changed);
            said.push(`(sets ${changed.join(' ')})\n`);
            return one;
          }
          const { shown } = await type(one.line);
          if (byHand > soFar) return one;
          if (!ONLY_TELLS.test(one.line)) {
            done.push(what);
            return one;
          }
          const deeper = await nextStep(advice(shown), tried, soFar);
          if (deeper) {
            done.unshift(...(done.includes(what) ? [] : [what]));
            return deeper;
          }
        }
        return undefined;
      }
    },
  };
}

type Advice =
  | { readonly kind: 'type'; readonly line: string }
  | { readonly kind: 'set'; readonly variable: string };

/** Commands that change nothing. */
const ONLY_TELLS = /^(cliproxyapi-sync (doctor|history|status)|ls|ss|lsof|journalctl)\b(?!.*--fix)/;

/** What a text asks its reader to do, in order. */
export function advice(text: string): readonly Advice[] {
  return text.split('\n').flatMap((line): Advice[] => {
    const parts = line.matchAll(/`(?<command>[^`]+)`|\b(?<variable>[A-Z][A-Z0-9]*_[A-Z0-9_]+)\b/g);
    const found = [...parts].map(
      ({ groups: { command, variable } = {} }): Advice =>
        command === undefined ? { kind: 'set', variable: variable ?? '' } : { kind: 'type', line: command },
    );
    // What doctor has below a finding is the command itself.
    const remedy = /^ {10}(?<command>[a-z].*[^.])$/.exec(line)?.groups?.command;
    if (remedy !== undefined && !remedy.includes('`')) return [{ kind: 'type', line: remedy }];
    return found;
  });
}

/**
 * Writes a variable into an env file, in the place of its old value.
 *
 * @returns Whether anything changed by it.
 */
export async function setVariable(envFile: string, variable: string, value: string): Promise<boolean> {
  const text = await readFile(envFile, 'utf8').catch(() => '');
  const line = `${variable}='${value}'`;
  const lines = text.split('\n').filter((one) => one !== '');
  if (lines.includes(line)) return false;
  const others = lines.filter((one) => !one.startsWith(`${variable}=`));
  await mkdir(dirname(envFile), { recursive: true });
  await writeFile(envFile, `${[...others, line].join('\n')}\n`, { mode: 0o600 });
  return true;
}

/** A directory for PATH with our programs under the names that they are installed as. */
export async function programsOf(
  home: Home,
  machine: Readonly<Record<string, string>> = {},
): Promise<string> {
  const bin = join(home.path, 'bin');
  await mkdir(bin, { recursive: true });
  for (const name of ['cliproxyapi-sync', 'hydrate', 'backup', 'start'] as const)
    await symlink(bundlePath(name), join(bin, name)).catch(() => undefined);
  await symlink(bundlePath('wrapper'), join(bin, 'cliproxyapi')).catch(() => undefined);
  // Nobody asks for a password here.
  for (const [name, script] of Object.entries({ sudo: 'exec "$@"', ...machine })) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(bin, name), 0o755);
  }
  return bin;
}
