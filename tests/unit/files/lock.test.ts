/** The lock of a directory, with holders that are processes of their own and end in the middle of taking it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { takeLock } from '../../../ts/src/files/lock.ts';
import { identify } from '../../../ts/src/files/process.ts';

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

let directory: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lock-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await rm(directory, { recursive: true, force: true });
});

/** A process that takes the lock, and gets a signal before it has noted that the lock is its own. */
function signalledInLock(signal: 'SIGKILL' | 'SIGSTOP'): ChildProcess {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const args = ['--import', tsx, file('../../scenarios/holder.mts'), directory];
  const env = {
    ...process.env,
    NODE_OPTIONS: `--require=${file('../../support/signal-in-lock.cjs')}`,
    SIGNAL_IN_LOCK: signal,
  };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

const claims = () => readdirSync(directory).filter((name) => name.startsWith('lock-claim-'));

describe('a holder that has not noted yet that the lock is its own', () => {
  test('and was killed: the lock is taken over long before it is old, and nothing of it is left', async () => {
    await once(signalledInLock('SIGKILL'), 'exit');
    expect(existsSync(join(directory, 'lock'))).toBe(true);
    expect(claims()).toHaveLength(1);
    const lock = await takeLock(directory, 5_000);
    expect(lock?.isHeld()).toBe(true);
    expect(claims()).toEqual([]);
    await lock?.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('and stands still: the lock is its own, whatever killed processes left beside it', async () => {
    const child = signalledInLock('SIGSTOP');
    await expect.poll(() => existsSync(join(directory, 'lock')), { timeout: 20_000 }).toBe(true);
    const gone = { ...identify(process.pid), host: hostname(), pid: 2 ** 22 + 1 };
    writeFileSync(join(directory, 'lock-claim-00.json'), JSON.stringify(gone));
    expect(await takeLock(directory, 3_000)).toBeUndefined();
    child.kill('SIGCONT');
    const [said] = await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data');
    expect(String(said)).toBe('held\n');
    expect(await takeLock(directory, 500)).toBeUndefined();
    expect(claims()).toEqual([]);
  });

  test('and is of another machine, or of another boot: in doubt the age of the lock decides', async () => {
    await once(signalledInLock('SIGKILL'), 'exit');
    const [claim = ''] = claims();
    const text = readFileSync(join(directory, claim), 'utf8');
    const elsewhere = { ...JSON.parse(text), realm: 'another-boot pid:[1]' };
    writeFileSync(join(directory, claim), JSON.stringify(elsewhere));
    expect(await takeLock(directory, 2_500)).toBeUndefined();
  });
});

test('the lock of a run on another machine is left alone, in a directory that both share', async () => {
  const ours = await takeLock(directory, 0);
  const note = join(directory, 'lock-owner.json');
  const theirs = {
    ...JSON.parse(readFileSync(note, 'utf8')),
    realm: 'another-boot pid:[1]',
    pid: 2 ** 22 + 1,
  };
  writeFileSync(note, JSON.stringify(theirs));
  expect(await takeLock(directory, 500)).toBeUndefined();
  expect(ours?.isHeld()).toBe(true);
  await ours?.release();
});
