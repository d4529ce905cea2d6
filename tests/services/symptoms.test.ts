/** As `tests/e2e/symptoms.test.ts`, for services under a real systemd: what `status` prints starts them again. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Home } from '../support/bundle.ts';
import { type Person, personAt } from '../support/person.ts';
import { makeUser, type User, until, whyNot } from './user.ts';

describe.skipIf(whyNot() !== undefined)('services that do not run, by what status prints', () => {
  let user: User;
  let store: string;
  let person: Person;

  beforeAll(async () => {
    store = await mkdtemp(join(tmpdir(), 'symptoms-store-'));
    user = await makeUser({ LOCALSTORE_PATH: store });
    const { code, stderr } = await user.services(['switch', '--from', await user.render()]);
    expect(code, stderr).toBe(0);
    const { home, env } = user.systemd;
    const { authDir, ccsDir, stateDir } = user;
    const asHome: Home = {
      name: 'laptop',
      path: home,
      proxyHome: join(home, '.cli-proxy-api'),
      authDir,
      ccsDir,
      stateDir,
      envFile: join(home, 'dotfiles/.env'),
      env,
    };
    person = await personAt(asHome);
    expect((await person.type('cliproxyapi-sync sync')).code).toBe(0);
  });
  afterAll(async () => {
    await user?.stop();
    await rm(store, { recursive: true, force: true });
  });

  const isActive = async (unit: string) => (await user.systemd.property(unit, 'ActiveState')) === 'active';

  it.each(['cliproxyapi-backup.path', 'cliproxyapi-sync.timer', 'cliproxyapi.service'])(
    '%s, stopped by hand',
    async (unit) => {
      await user.systemd.systemctl('stop', unit);
      expect(await person.follow()).toEqual([`systemctl --user enable --now ${unit}`]);
      expect(await isActive(unit)).toBe(true);
    },
  );

  it('a path unit that has failed', async () => {
    const unit = join(user.unitDir, 'cliproxyapi-backup.path');
    const text = await readFile(unit, 'utf8');
    await writeFile(unit, text.replaceAll(/^PathChanged=.*$/gm, 'PathExists=/\nTriggerLimitBurst=1'));
    await user.systemd.systemctl('daemon-reload');
    await user.systemd.systemctl('restart', 'cliproxyapi-backup.path');
    await until(
      'it to have failed',
      async () => (await user.systemd.property('cliproxyapi-backup.path', 'ActiveState')) === 'failed',
    );
    await writeFile(unit, text);
    await user.systemd.systemctl('daemon-reload');
    expect(await person.follow()).toEqual(['systemctl --user restart cliproxyapi-backup.path']);
    expect(await isActive('cliproxyapi-backup.path')).toBe(true);
  });
});
