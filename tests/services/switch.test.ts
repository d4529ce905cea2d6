import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { credential, makeUser, namesIn, type User, until, whyNot } from './user.ts';

const UNITS = [
  'cliproxyapi-backup.path',
  'cliproxyapi-backup.service',
  'cliproxyapi-changed.service',
  'cliproxyapi-sync.service',
  'cliproxyapi-sync.timer',
  'cliproxyapi.service',
];

describe.skipIf(whyNot())('switch, under a real systemd', () => {
  let user: User;
  let plain: string;

  beforeAll(async () => {
    user = await makeUser({});
    plain = await user.render();
  });
  afterAll(() => user?.stop());

  const active = async (unit: string) => (await user.systemd.systemctl('is-active', unit)).stdout.trim();
  const invocation = (unit: string) => user.systemd.property(unit, 'InvocationID');
  const written = () => namesIn(user.unitDir).filter((name) => name.startsWith('cliproxyapi'));
  const switched = async (...args: string[]) => {
    const ended = await user.services([...args, '--no-wait']);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    return ended;
  };

  it('a dry run says what would be done, and does none of it', async () => {
    const { stderr } = await switched('switch', '--from', plain, '--dry-run');
    for (const name of UNITS) expect(stderr).toContain(`would write ${name}`);
    expect(written()).toEqual([]);
    expect(namesIn(user.authDir)).toEqual([]);
  });

  it('the first switch writes the units, makes the watched directories, starts and enables', async () => {
    const { stderr } = await switched('switch', '--from', plain);
    expect(stderr).toContain('started cliproxyapi.service');
    expect(stderr).toContain('this is generation 1');
    expect(stderr).toContain('hydrate: 0 credentials, all in step');
    expect(stderr).toMatch(/cliproxyapi\.service +active \(running\)/);
    expect(written()).toEqual(UNITS);
    for (const unit of ['cliproxyapi.service', 'cliproxyapi-backup.path', 'cliproxyapi-sync.timer']) {
      expect(await active(unit)).toBe('active');
      expect((await user.systemd.systemctl('is-enabled', unit)).stdout.trim()).toBe('enabled');
    }
    expect(await readFile(join(user.unitDir, 'cliproxyapi.service'), 'utf8')).toMatch(
      /^# Written by cliproxyapi-sync;/,
    );
    expect(namesIn(user.authDir)).toContain('.cliproxyapi-sync');
    expect(await user.runs('hydrate')).toBe(1);
    await until('the proxy', async () => (await user.runs('proxy')) === 1);
  });

  it('run again it changes nothing, starts nothing, and says so', async () => {
    const before = await Promise.all(UNITS.map(invocation));
    const { stderr } = await switched('switch', '--from', plain);
    expect(stderr).toContain('nothing to change: generation 1 is in place');
    expect(stderr).not.toMatch(/wrote|started/);
    expect(await Promise.all(UNITS.map(invocation))).toEqual(before);
  });

  it('a changed setting starts what it changes and nothing else', async () => {
    const before = await invocation('cliproxyapi.service');
    const { stderr } = await switched('switch', '--from', await user.render({ interval: 77 }));
    expect(stderr).toContain('started cliproxyapi-sync.timer');
    expect(stderr).not.toContain('started cliproxyapi.service');
    expect(stderr).toContain('this is generation 2');
    expect(await user.systemd.property('cliproxyapi-sync.timer', 'TimersMonotonic')).toContain('1min 17s');
    expect(await invocation('cliproxyapi.service')).toBe(before);
  });

  it('a changed package restarts the proxy and leaves a running oneshot alone', async () => {
    const before = await invocation('cliproxyapi.service');
    const { stderr } = await switched(
      'switch',
      '--from',
      await user.render({ interval: 77, environment: { PACKAGE: 'other' } }),
    );
    expect(stderr).toContain('wrote cliproxyapi-backup.service');
    expect(stderr).not.toContain('started cliproxyapi-backup.service');
    expect(stderr).toContain('started cliproxyapi.service');
    expect(stderr).not.toContain('started cliproxyapi-sync.timer');
    expect(await invocation('cliproxyapi.service')).not.toBe(before);
  });

  it('what is no longer wanted is stopped and removed', async () => {
    const { stderr } = await switched('switch', '--from', await user.render({ backup: false }));
    expect(stderr).toContain('removed cliproxyapi-backup.path');
    expect(written()).toEqual(UNITS.filter((name) => !/backup|changed/.test(name)));
    expect(await active('cliproxyapi-backup.path')).toBe('inactive');
    expect(namesIn(join(user.unitDir, 'paths.target.wants'))).toEqual([]);
  });

  it('rolls back to the generation before, and again to the one before that', async () => {
    const { stderr } = await switched('rollback');
    expect(stderr).toContain('this is generation 3');
    expect(await active('cliproxyapi-backup.path')).toBe('active');
    expect(await readFile(join(user.unitDir, 'cliproxyapi.service'), 'utf8')).toContain('PACKAGE=other');
    await switched('rollback');
    expect(await readFile(join(user.unitDir, 'cliproxyapi.service'), 'utf8')).not.toContain('PACKAGE=other');
    await switched('rollback');
    const ended = await user.services(['rollback']);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('generation 1 is the oldest');
  });

  it('status tells that all is well, and that a service was stopped', async () => {
    const well = await switched('status');
    expect(well.stdout).toMatch(/cliproxyapi\.service +active \(running\)/);
    await user.systemd.systemctl('stop', 'cliproxyapi.service');
    const ended = await user.services(['status']);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('cliproxyapi.service is stopped');
    await user.systemd.systemctl('start', 'cliproxyapi.service');
  });

  it('a run that was killed between files and services is completed by the next one', async () => {
    const before = await invocation('cliproxyapi.service');
    const wanted = await user.render({ environment: { PACKAGE: 'killed' } });
    // As after a kill once the files are written: the manager has not seen them, nothing says that they arrived.
    await switched('switch', '--from', plain);
    const marked = await readFile(join(user.unitDir, 'cliproxyapi.service'), 'utf8');
    const text = await readFile(join(wanted, 'systemd/user/cliproxyapi.service'), 'utf8');
    await writeFile(join(user.unitDir, 'cliproxyapi.service'), `${marked.split('\n')[0]}\n${text}`);
    expect((await user.services(['status'])).stderr).toContain('switch again');
    const { stderr } = await switched('switch', '--from', wanted);
    expect(stderr).toContain('started cliproxyapi.service');
    expect(await invocation('cliproxyapi.service')).not.toBe(before);
    expect(await user.systemd.property('cliproxyapi.service', 'Environment')).toContain('PACKAGE=killed');
    await switched('switch', '--from', plain);
  });

  it('a service that does not start is named, the others run, and the next switch tries it again', async () => {
    const broken = await user.render({ interval: 55, bin: '/nowhere' });
    const ended = await user.services(['switch', '--from', broken]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('cliproxyapi.service did not start');
    expect(ended.stderr).toContain('credentials were not fetched');
    expect(await user.systemd.property('cliproxyapi-sync.timer', 'TimersMonotonic')).toContain('55s');
    expect((await user.services(['switch', '--from', broken])).code).toBe(1);
    await switched('switch', '--from', plain);
    expect(await active('cliproxyapi.service')).toBe('active');
  });

  it('a service that ends at once is told, and started again by the next switch once its cause is gone', async () => {
    const envFile = join(user.systemd.home, 'dotfiles/.env');
    await writeFile(envFile, 'OBJECTSTORE_ENDPOINT=https://s3.example.com\n');
    await user.systemd.systemctl('stop', 'cliproxyapi.service');
    const changed = await user.render({ environment: { PACKAGE: 'ends' } });
    const ended = await user.services(['switch', '--from', changed]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('cliproxyapi.service did not start: it ended at once');
    expect(ended.stderr).toContain('credentials were not fetched (hydrate ended with 78)');
    await writeFile(envFile, '');
    const again = await user.services(['switch', '--from', changed]);
    expect(again, again.stderr).toMatchObject({ code: 0 });
    expect(again.stderr).toContain('started cliproxyapi.service');
    expect(again.stderr).not.toContain('wrote');
    expect(await active('cliproxyapi.service')).toBe('active');
    await switched('switch', '--from', plain);
  });

  it('unswitch takes away what was written and leaves credentials alone', async () => {
    const login = credential('me@example.com');
    await writeFile(join(user.authDir, 'claude-me@example.com.json'), login);
    await until('its backup', async () => (await active('cliproxyapi-backup.service')) === 'inactive');
    await writeFile(join(user.unitDir, 'cliproxyapi-own.service'), '[Service]\nExecStart=/bin/true\n');
    await switched('unswitch');
    expect(written()).toEqual(['cliproxyapi-own.service']);
    for (const unit of UNITS) expect(await active(unit)).toBe('inactive');
    const wants = ['default', 'paths', 'timers'].flatMap((name) =>
      namesIn(join(user.unitDir, `${name}.target.wants`)),
    );
    expect(wants).toEqual([]);
    expect(namesIn(join(user.stateDir, 'generations')).filter((name) => !name.startsWith('lock'))).toEqual(
      [],
    );
    expect(await readFile(join(user.authDir, 'claude-me@example.com.json'), 'utf8')).toBe(login);
    const { stderr } = await switched('unswitch');
    expect(stderr).toContain('nothing to remove');
  });

  describe('a service of that name that is not ours is refused, and nothing is changed', () => {
    const refused = async (words: string) => {
      const names = namesIn(user.unitDir);
      const ended = await user.services(['switch', '--from', plain]);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain(words);
      expect(ended.stderr).toContain('nothing was changed');
      expect(namesIn(user.unitDir)).toEqual(names);
    };
    const unit = () => join(user.unitDir, 'cliproxyapi.service');

    it('a file that a person wrote', async () => {
      await writeFile(unit(), '[Service]\nExecStart=/bin/sleep infinity\n');
      await user.systemd.systemctl('daemon-reload');
      await user.systemd.systemctl('start', 'cliproxyapi.service');
      const before = await invocation('cliproxyapi.service');
      await refused('is a file that others wrote');
      await switched('unswitch');
      expect(await invocation('cliproxyapi.service')).toBe(before);
      await user.systemd.systemctl('stop', 'cliproxyapi.service');
      await rm(unit());
    });

    it('a link, as home-manager makes it, or a mask', async () => {
      await symlink('/dev/null', unit());
      await refused('is a link to /dev/null');
      await rm(unit());
      await user.systemd.systemctl('daemon-reload');
    });

    it('a unit from another directory of systemd', async () => {
      const elsewhere = join(user.systemd.env.XDG_RUNTIME_DIR ?? '', 'systemd/user');
      await mkdir(elsewhere, { recursive: true });
      await writeFile(join(elsewhere, 'cliproxyapi.service'), '[Service]\nExecStart=/bin/true\n');
      await user.systemd.systemctl('daemon-reload');
      await refused(`is there already, as ${elsewhere}/cliproxyapi.service`);
      await rm(join(elsewhere, 'cliproxyapi.service'));
      await user.systemd.systemctl('daemon-reload');
    });
  });

  it('without systemctl, or without a user manager, it says what is missing and changes nothing', async () => {
    const without = await user.services(['switch', '--from', plain], { PATH: '/nowhere' });
    expect(without).toMatchObject({ code: 1 });
    expect(without.stderr).toContain('systemctl is not in PATH');
    const alone = await user.services(['switch', '--from', plain], { XDG_RUNTIME_DIR: '/nowhere' });
    expect(alone).toMatchObject({ code: 1 });
    expect(alone.stderr).toContain('loginctl enable-linger');
    expect(written()).toEqual(['cliproxyapi-own.service']);
  });

  it('a directory that holds no services is refused', async () => {
    const ended = await user.services(['switch', '--from', user.systemd.home]);
    expect(ended).toMatchObject({ code: 1 });
    expect(ended.stderr).toContain('manifest.json could not be read');
    expect((await user.services(['switch'])).code).toBe(2);
  });

  it('two switches at once end as one', async () => {
    const ended = await Promise.all([1, 2, 3].map(() => user.services(['switch', '--from', plain])));
    for (const { code, stderr } of ended) expect(code, stderr).toBe(0);
    expect(ended.filter(({ stderr }) => stderr.includes('nothing to change'))).toHaveLength(2);
    await switched('unswitch');
  });
});
