import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { credential, makeUser, namesIn, sleep, type User, until, whyNot } from './user.ts';

/** Seconds. */
const INTERVAL = 2;

describe.skipIf(whyNot() !== undefined)('the timer, under a real systemd', () => {
  let user: User;
  let store: string;

  beforeAll(async () => {
    user = await makeUser({});
    store = join(user.stateDir, 'store');
    // What a person adds to a unit of ours stays theirs. It also spares the minute before the first run.
    const own = join(user.unitDir, 'cliproxyapi-sync.timer.d');
    await mkdir(own, { recursive: true });
    await writeFile(join(own, 'override.conf'), '[Timer]\nOnStartupSec=1s\nAccuracySec=100ms\n');
    const from = await user.render({ backup: false, interval: INTERVAL });
    const { code, stderr } = await user.services(['switch', '--from', from]);
    expect(code, stderr).toBe(0);
  });
  afterAll(() => user?.stop());

  it('brings what another host put into the store', async () => {
    await until('a first run', async () => namesIn(join(store, 'sync')).length > 0);
    await mkdir(join(store, 'auths'), { recursive: true });
    const login = credential('other@example.com');
    await writeFile(join(store, 'auths/claude-other@example.com.json'), login);
    const here = join(user.authDir, 'claude-other@example.com.json');
    await until('it to arrive', async () => (await readFile(here, 'utf8').catch(() => '')) === login);
  });

  it('fires at its interval, again and again', async () => {
    const before = await user.runs('cliproxyapi-sync');
    await sleep(INTERVAL * 4000);
    const runs = (await user.runs('cliproxyapi-sync')) - before;
    // A run takes a part of the interval, which counts from its beginning.
    expect(runs).toBeGreaterThanOrEqual(2);
    expect(runs).toBeLessThanOrEqual(5);
  });

  it('goes on after a run that failed', async () => {
    const env = join(user.systemd.home, 'dotfiles/.env');
    await writeFile(env, 'OBJECTSTORE_ENDPOINT=https://s3.example.com\n');
    const failed = async () =>
      (await user.systemd.property('cliproxyapi-sync.service', 'Result')) === 'exit-code';
    await until('a failed run', failed);
    await writeFile(env, '');
    await until('a run that works', async () => !(await failed()));
    expect(await user.systemd.property('cliproxyapi-sync.timer', 'ActiveState')).toBe('active');
  });

  it('an own addition to a unit survives unswitch', async () => {
    await user.services(['unswitch']);
    expect(await readFile(join(user.unitDir, 'cliproxyapi-sync.timer.d/override.conf'), 'utf8')).toContain(
      '[Timer]',
    );
  });
});
