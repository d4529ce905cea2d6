/** `doctor`, as its JSON tells it, on a machine that was well. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { RunOptions } from '../support/bundle.ts';
import { violations } from '../support/json-schema.ts';
import { freePort } from '../support/programs.ts';
import { credentials, done, type Ended, type Home, put, run, sync, type World } from './world.ts';

const SCHEMA = JSON.parse(readFileSync(new URL('../../docs/doctor.schema.json', import.meta.url), 'utf8'));

export interface Check {
  readonly id: string;
  readonly title: string;
  readonly status: string;
  readonly message: string;
  readonly remedy: string | null;
  readonly fixable: boolean;
  readonly fixed: boolean;
}

export interface Diagnosis extends Ended {
  readonly checks: readonly Check[];
  of(id: string): Check;
  /** Checks that failed, in order. */
  readonly failed: readonly string[];
  readonly warned: readonly string[];
}

export async function doctor(
  home: Home,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Diagnosis> {
  return diagnosed(await run(home, 'cliproxyapi-sync', ['doctor', '--json', ...args], options));
}

export function diagnosed(ended: Ended): Diagnosis {
  const document = JSON.parse(ended.stdout);
  expect(violations(SCHEMA, document)).toEqual([]);
  expect(document.exitCode).toBe(ended.code);
  const checks: readonly Check[] = document.checks;
  const ids = (status: string) => checks.filter((check) => check.status === status).map(({ id }) => id);
  return {
    ...ended,
    checks,
    of(id) {
      const check = checks.find((one) => one.id === id);
      if (!check) throw new Error(`there is no check ${id}`);
      return check;
    },
    failed: ids('failed'),
    warned: ids('warning'),
  };
}

/** A machine on which all is well: two logins in step, a config, a proxy that is not the stand-in's port. */
export async function wellHome(world: World, options: Parameters<World['home']>[1] = {}): Promise<Home> {
  // A port of its own: on 8317 a developer's proxy may answer.
  const home = await world.home('laptop', { template: `port: ${await freePort()}\n`, ...options });
  await put(home.authDir, credentials('a', 'b'));
  await done(sync(home));
  return home;
}
