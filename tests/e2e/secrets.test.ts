/**
 * Whoever shares the machine: what they see of our programs and of all that these start, in /proc, in the directory for
 * temporary files, in what is printed. (Units and core files: tests/nix/, tests/services/proxy.test.ts.)
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { postgresServer } from '../support/postgres-outside.ts';
import {
  type BundleName,
  credential,
  credentials,
  decent,
  type Home,
  KINDS,
  put,
  test,
  type World,
} from './world.ts';

/** Tokens of credentials, the keys of all stores, and what the config template is filled with. */
const SECRET = /S3CR3T|admin-secret|:[^:@/]*pass\w*@/i;

interface Seen {
  /** Command lines of all processes. */
  readonly commands: Set<string>;
  /** Of those that we started: `git<tab>NAME=value`, one for each variable. */
  readonly variables: Set<string>;
  /** Files in TMPDIR: `mode path`, or what secret they have. */
  readonly files: Set<string>;
}

/** Runs a program, and looks at it, at all that it starts and at TMPDIR as often as possible until it ends. */
async function watched(
  world: World,
  home: Home,
  program: BundleName,
  args: readonly string[],
): Promise<Seen> {
  const temporary = join(world.root, 'temporary');
  await mkdir(temporary, { recursive: true });
  const seen: Seen = { commands: new Set(), variables: new Set(), files: new Set() };
  const running = world.start(home, program, args, { env: { TMPDIR: temporary, KEY: undefined } });
  let isOver = false;
  const ended = running.ended.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    lookAt(running.pid, false, seen);
    lookInto(temporary, seen);
    await sleep(2);
  }
  expect(decent(await ended)).toMatchObject({ code: 0 });
  expect(readdirSync(temporary), 'left behind').toEqual([]);
  return seen;
}

function lookAt(pid: number | string, isChild: boolean, seen: Seen): void {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    seen.commands.add(command);
    if (isChild)
      for (const variable of readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'))
        seen.variables.add(`${command.split(' ')[0]}\t${variable}`);
    for (const task of readdirSync(`/proc/${pid}/task`))
      for (const child of readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' '))
        if (child !== '') lookAt(child, true, seen);
  } catch {
    // It has just ended.
  }
}

function lookInto(directory: string, seen: Seen): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    try {
      const mode = statSync(path).mode & 0o777;
      if ((mode & 0o077) !== 0) seen.files.add(`${mode.toString(8)} ${path}`);
      // What lies in a directory that is closed to others is closed too.
      else if (entry.isFile() && SECRET.test(readFileSync(path, 'utf8'))) seen.files.add(`secret ${path}`);
    } catch {
      // It has just gone.
    }
  }
}

describe
  .skipIf(process.platform !== 'linux')
  .each([...KINDS, ...(postgresServer ? ['postgres' as const] : [])])(
  'a secret of a run with a store (%s)',
  (kind) => {
    test.override({ kind });

    test('is in no argument, in no file that others may read, and in the environment of whom it is for alone', async ({
      world,
    }) => {
      const proxy = join(world.root, 'proxy');
      await writeFile(proxy, '#!/bin/sh\nsleep 0.3\n', { mode: 0o755 });
      const home = await world.home('laptop', { proxy, template: 'port: 1\napi-keys:\n  - __KEY__\n' });
      await writeFile(home.envFile, "KEY='k-S3CR3T'\n", { flag: 'a' });
      const all: Seen = { commands: new Set(), variables: new Set(), files: new Set() };
      const runs = [
        ['cliproxyapi-sync', 'sync'],
        ['hydrate'],
        ['wrapper'],
        ['cliproxyapi-sync', 'status'],
      ] as const;
      for (const [program, ...args] of runs) {
        await put(home.authDir, { ...credentials('a'), 'b.json': credential('b@example.com', 7) });
        const seen = await watched(world, home, program, args);
        for (const part of ['commands', 'variables', 'files'] as const)
          for (const each of seen[part]) all[part].add(each);
      }
      // That it looked at all: at our programs, and at what they start.
      expect([...all.commands].join('\n')).toMatch(/cliproxyapi-sync\.mjs sync/);
      expect([...all.commands].join('\n')).toMatch(/proxy/);
      expect(all.variables.size).toBeGreaterThan(5);
      expect([...all.commands].filter((command) => SECRET.test(command))).toEqual([]);
      expect([...all.files]).toEqual([]);
      const told = [...all.variables].filter((variable) => SECRET.test(variable));
      const names = new Set(told.map((variable) => /\t([^=]*)=/.exec(variable)?.[1]));
      // The proxy's variables are the proxy's; git's token is git's.
      const whom = kind === 'git' ? ['CLIPROXYAPI_SYNC_GIT_PASSWORD', 'KEY'] : ['KEY'];
      expect([...names].sort()).toEqual(whom);
      if (kind === 'git')
        // Nothing yet: one that is just becoming another program.
        for (const variable of told.filter((each) => each.includes('GIT_PASSWORD')))
          expect(variable.split('\t')[0]).toMatch(/^$|git|(^|\/)sh$/);
    });
  },
);
