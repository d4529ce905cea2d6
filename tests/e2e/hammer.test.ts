/** Many runs at once: on one host, and of many hosts on one store while logins change. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { randomFrom } from '../support/random.ts';
import {
  asThere,
  credential,
  credentials,
  decent,
  done,
  expectInStep,
  type Home,
  held,
  KINDS,
  postgresServer,
  put,
  run,
  stored,
  sync,
  test,
  type World,
} from './world.ts';

/** How long the hosts go on. */
const SECONDS = Number(process.env.HAMMER_SECONDS ?? 8);
/** `HAMMER_SEED=N` for the same choices again; which host is when at the store is the machine's. */
const SEED = Number(process.env.HAMMER_SEED ?? Date.now() % 1_000_000);
const HOSTS = 8;

const SERVERS = [...KINDS.filter((kind) => kind === 's3'), ...(postgresServer ? ['postgres' as const] : [])];

test('50 runs at once on one host take turns, and each does its part', { timeout: 300_000 }, async ({
  world,
}) => {
  const home = await world.home();
  const files = credentials('a', 'b', 'c');
  await put(home.authDir, files);
  const commands = ['sync', 'backup', 'hydrate'] as const;
  const options = { env: { CLIPROXY_LOCK_WAIT: '240' }, timeoutMs: 280_000 };
  const runs = Array.from({ length: 50 }, (_, index) =>
    run(home, 'cliproxyapi-sync', [commands[index % commands.length] ?? 'sync'], options),
  );
  // Logins go on meanwhile.
  const more = { 'd.json': credential('d@example.com'), 'a.json': credential('a@example.com', 9) };
  await put(home.authDir, more);
  for (const ended of await Promise.all(runs)) expect(ended, ended.stderr).toMatchObject({ code: 0 });
  await done(sync(home));
  await expectInStep(world, [home], {
    ...more,
    'b.json': files['b.json'] ?? '',
    'c.json': files['c.json'] ?? '',
  } as Record<string, Buffer>);
});

describe.each(SERVERS)(`${HOSTS} hosts at one store (%s)`, (kind) => {
  test.override({ kind });

  test(`for ${SECONDS} s, with logins that change meanwhile: all agree in the end, and nothing that any run saw is lost`, {
    timeout: SECONDS * 1_000 + 300_000,
  }, async ({ world }) => {
    const ledger = newLedger();
    const homes = await Promise.all(Array.from({ length: HOSTS }, (_, index) => world.home(`host-${index}`)));
    const until = Date.now() + SECONDS * 1_000;
    const begun = Date.now();
    const hammering = homes.map((home, index) => hammer(home, index, until, ledger));
    // Who fails must not leave the others at work in homes that are being removed.
    await Promise.allSettled(hammering);
    const total = (await Promise.all(hammering)).flat();
    // When nothing happens any more, all hosts agree after a few rounds.
    let rounds = 0;
    for (; rounds < 6; rounds++) {
      for (const home of homes) {
        const { code, stderr } = await sync(home, [], { timeoutMs: 120_000 });
        expect([0, 75], stderr).toContain(code);
      }
      if (rounds > 0 && (await isAgreed(world, homes))) break;
    }
    const codes = Object.fromEntries(
      [0, 1, 75].map((code) => [code, total.filter((each) => each === code).length]),
    );
    console.log(
      `${kind}, seed ${SEED}: ${total.length} runs of ${HOSTS} hosts in ${Math.round((Date.now() - begun) / 1000)} s, ` +
        `exit codes ${JSON.stringify(codes)}, ${ledger.seen.size} versions, ${ledger.deleted.size} deletions, ` +
        `agreed after ${rounds + 1} rounds`,
    );
    await expectAgreed(world, homes);
    await expectNothingLost(world, homes, ledger);
  });
});

interface Ledger {
  /** What a run that was done had seen: text, by name and `last_refresh`. */
  readonly seen: Map<string, { readonly name: string; readonly refreshed: number }>;
  /** Names that were deleted, and the run after it was done. */
  readonly deleted: Set<string>;
  /** A clock for refreshes, so that each is later than the ones before. */
  tick(): string;
}

function newLedger(): Ledger {
  let seconds = 0;
  const start = Date.parse('2026-03-01T00:00:00Z');
  return {
    seen: new Map(),
    deleted: new Set(),
    tick: () => new Date(start + 1_000 * ++seconds).toISOString(),
  };
}

/** One host: changes something, runs, and takes down what the run saw. Gives the exit codes. */
async function hammer(home: Home, index: number, until: number, ledger: Ledger): Promise<(number | null)[]> {
  const random = randomFrom(SEED + index);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const codes: (number | null)[] = [];
  const leaving = new Set<string>();
  for (let count = 0; Date.now() < until; count++) {
    const here = Object.keys(held(home.authDir));
    const fresh = (name: string, more = {}) =>
      put(home.authDir, { [name]: credential(name, 0, { last_refresh: ledger.tick(), ...more }) });
    const what = random();
    const shared = pick(here.filter((name) => name.startsWith('shared')));
    const own = pick(here.filter((name) => name.startsWith(`own-${index}-`) && !leaving.has(name)));
    if (what < 0.3 || here.length < 4) await fresh(`own-${index}-${count}.json`);
    else if (what < 0.45) await fresh(`shared-${Math.floor(random() * 6)}.json`);
    else if (what < 0.75 && shared) await fresh(shared);
    else if (what < 0.85 && shared) {
      const text = held(home.authDir)[shared] ?? '';
      await put(home.authDir, { [shared]: Buffer.from(text.replace('"disabled":false', '"disabled":true')) });
    } else if (what < 0.93 && own && here.length > 10) {
      await rm(join(home.authDir, own));
      leaving.add(own);
    }
    const before = held(home.authDir);
    const command = random() < 0.6 ? 'sync' : random() < 0.7 ? 'backup' : 'hydrate';
    const ended = decent(await run(home, 'cliproxyapi-sync', [command], { timeoutMs: 120_000 }));
    codes.push(ended.code);
    expect([0, 75], ended.stderr).toContain(ended.code);
    if (ended.code !== 0 || command === 'hydrate') continue;
    for (const [name, text] of Object.entries(before))
      ledger.seen.set(text, { name, refreshed: Date.parse(JSON.parse(text).last_refresh) });
    for (const name of leaving) {
      ledger.deleted.add(name);
      leaving.delete(name);
    }
  }
  return codes;
}

async function isAgreed(world: World, homes: readonly Home[]): Promise<boolean> {
  try {
    await expectAgreed(world, homes);
    return true;
  } catch {
    return false;
  }
}

async function expectAgreed(world: World, homes: readonly Home[]): Promise<void> {
  const [first] = homes;
  const files = Object.entries(held(first?.authDir ?? '')).map(
    ([name, text]) => [name, Buffer.from(text)] as const,
  );
  await expectInStep(world, homes, Object.fromEntries(files));
}

/** All that a run saw is current or in history; nothing older is current; what was deleted is gone. */
async function expectNothingLost(world: World, homes: readonly Home[], ledger: Ledger): Promise<void> {
  const alike = (text: string) => asThere(world.settings, text);
  const current = await stored(world.store, 'auths/');
  const histories = homes.flatMap(({ stateDir }) => Object.values(held(stateDir)));
  const all = new Set(
    [
      ...Object.values(current),
      ...Object.values(await stored(world.store, 'sync/history/')),
      ...histories,
    ].map(alike),
  );
  const lost = [...ledger.seen].filter(([text]) => !all.has(alike(text))).map(([, { name }]) => name);
  expect(lost, 'lost').toEqual([]);
  const newest = new Map<string, number>();
  for (const { name, refreshed } of ledger.seen.values())
    newest.set(name, Math.max(newest.get(name) ?? 0, refreshed));
  const older = [...newest].filter(
    ([name, refreshed]) =>
      current[name] !== undefined && Date.parse(JSON.parse(current[name]).last_refresh) < refreshed,
  );
  expect(older, 'older than what a run had seen').toEqual([]);
  const missing = [...newest.keys()].filter(
    (name) => current[name] === undefined && !name.startsWith('own-'),
  );
  expect(missing, 'shared ones that are gone').toEqual([]);
  expect(
    [...ledger.deleted].filter((name) => name in current),
    'deleted ones that are back',
  ).toEqual([]);
}
