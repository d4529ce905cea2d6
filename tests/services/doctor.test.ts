import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundlePath } from '../support/bundle.ts';
import { makeUser, namesIn, type User, until, whyNot } from './user.ts';

interface Check {
  readonly id: string;
  readonly status: string;
  readonly message: string;
  readonly remedy: string | null;
}

describe.skipIf(whyNot() !== undefined)('doctor, under a real systemd', () => {
  let user: User;
  let store: string;

  beforeAll(async () => {
    store = await mkdtemp(join(tmpdir(), 'doctor-store-'));
    user = await makeUser({ LOCALSTORE_PATH: store });
  });
  afterAll(async () => {
    await user?.stop();
    await rm(store, { recursive: true, force: true });
  });

  const shell = (program: string, args: readonly string[]): Promise<{ stdout: string; code: number }> =>
    new Promise((resolve) => {
      execFile(program, args, { env: user.systemd.env, encoding: 'utf8' }, (error, stdout) =>
        resolve({ stdout, code: typeof error?.code === 'number' ? error.code : 0 }),
      );
    });
  const doctor = async () => {
    const args = [bundlePath('cliproxyapi-sync'), 'doctor', '--json'];
    const { stdout, code } = await shell(process.execPath, args);
    const checks: readonly Check[] = JSON.parse(stdout).checks;
    return { code, of: (id: string) => checks.find((check) => check.id === id) };
  };

  it('says that there are none before there are any', async () => {
    const found = await doctor();
    expect(found.of('services')?.status).toBe('skipped');
    expect(found.of('watcher')?.status).toBe('skipped');
  });

  it('sees the watch fire, in both directories, and leaves nothing there', async () => {
    const { code, stderr } = await user.services(['switch', '--from', await user.render()]);
    expect(code, stderr).toBe(0);
    const runs = await user.runs('backup');
    const found = await doctor();
    expect(found.of('services')).toMatchObject({ status: 'ok' });
    expect(found.of('watcher')).toMatchObject({
      status: 'ok',
      message: expect.stringContaining(user.ccsDir),
    });
    expect(await user.runs('backup')).toBeGreaterThan(runs);
    for (const directory of [user.authDir, user.ccsDir])
      expect(namesIn(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('a path unit that was stopped is found, and what it says to type starts it again', async () => {
    await user.systemd.systemctl('stop', 'cliproxyapi-backup.path');
    const found = await doctor();
    expect(found.code).toBe(1);
    expect(found.of('services')).toMatchObject({
      status: 'failed',
      message: expect.stringContaining('cliproxyapi-backup.path should run'),
    });
    const { remedy } = found.of('watcher') ?? {};
    expect(remedy).toBe('systemctl --user restart cliproxyapi-backup.path');
    await shell('sh', ['-c', remedy ?? '']);
    expect((await doctor()).of('watcher')).toMatchObject({ status: 'ok' });
  });

  it('a path unit that watches another directory is found', async () => {
    const unit = join(user.unitDir, 'cliproxyapi-backup.path');
    const text = await readFile(unit, 'utf8');
    await writeFile(unit, text.replaceAll(/^PathChanged=.*$/gm, `PathChanged=${store}`));
    await user.systemd.systemctl('daemon-reload');
    await user.systemd.systemctl('restart', 'cliproxyapi-backup.path');
    const found = await doctor();
    expect(found.of('watcher')).toMatchObject({
      status: 'failed',
      message: expect.stringMatching(/did not start a backup within 15 s/),
    });
    await writeFile(unit, text);
    await user.systemd.systemctl('daemon-reload');
    await user.systemd.systemctl('restart', 'cliproxyapi-backup.path');
  }, 120_000);

  it('a run that failed is found, with the log to read', async () => {
    const own = join(user.unitDir, 'cliproxyapi-sync.service');
    const text = await readFile(own, 'utf8');
    await writeFile(own, text.replace(/^ExecStart=.*$/m, 'ExecStart=/bin/false'));
    await user.systemd.systemctl('daemon-reload');
    await user.systemd.systemctl('start', 'cliproxyapi-sync.service');
    await until(
      'it to have failed',
      async () => (await user.systemd.property('cliproxyapi-sync.service', 'Result')) === 'exit-code',
    );
    const found = await doctor();
    expect(found.of('services')).toMatchObject({
      status: 'failed',
      remedy: 'journalctl --user -e -u cliproxyapi-sync.service',
    });
    await writeFile(own, text);
    await user.systemd.systemctl('daemon-reload');
    await user.systemd.systemctl('start', 'cliproxyapi-sync.service');
    expect((await doctor()).of('services')).toMatchObject({ status: 'ok' });
  });
});
