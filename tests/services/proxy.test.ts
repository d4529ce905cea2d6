import { readFileSync } from 'node:fs';
import { readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isThere, makeUser, namesIn, sleep, type User, until, whyNot } from './user.ts';

/** RestartSec of the proxy's unit, in milliseconds. */
const RESTART_MS = 5000;

/** Of a process; empty if it is gone. */
const nameOf = (pid: string) => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
};

describe.skipIf(whyNot() !== undefined)('the proxy, under a real systemd', () => {
  let user: User;

  beforeAll(async () => {
    user = await makeUser({});
    const from = await user.render({ backup: false, sync: false });
    const { code, stderr } = await user.services(['switch', '--from', from]);
    expect(code, stderr).toBe(0);
  });
  afterAll(() => user?.stop());

  const property = (name: string) => user.systemd.property('cliproxyapi.service', name);
  const proxyRuns = async (count: number, timeoutMs: number) =>
    until(`run ${count} of the proxy`, async () => (await user.runs('proxy')) >= count, timeoutMs);
  const envFile = () => join(user.systemd.home, 'dotfiles/.env');

  it('runs with the config that was rendered for it, out of sight of the store', async () => {
    await proxyRuns(1, 10_000);
    const config = await readFile(join(user.systemd.home, '.cli-proxy-api/config.yaml'), 'utf8');
    expect(config).toContain(`auth-dir: "${user.authDir}"`);
    expect(await user.output()).toMatch(/^run proxy .*-config .*config\.yaml$/m);
  });

  it('is started again after a crash, and not at once; no core file has its secrets', async () => {
    const before = await user.runs('proxy');
    const pid = await property('MainPID');
    // The limits of whoever starts this test may be lower; the hard one is the unit's alone.
    expect(await readFile(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
    const cwd = await readlink(`/proc/${pid}/cwd`);
    await user.systemd.systemctl('kill', '--kill-who=main', '--signal=ABRT', 'cliproxyapi.service');
    await until('its end', async () => !isThere(`/proc/${pid}/cwd`));
    expect(namesIn(cwd).filter((name) => /^core(\.\d+)?$/.test(name))).toEqual([]);
    const from = Date.now();
    await proxyRuns(before + 1, RESTART_MS * 4);
    expect(Date.now() - from).toBeGreaterThan(RESTART_MS - 500);
    expect(await property('ActiveState')).toBe('active');
  });

  it('is started again when it ends with 0, as it does on nearly every failure', async () => {
    const before = await user.runs('proxy');
    await user.systemd.systemctl('kill', '--kill-who=main', '--signal=TERM', 'cliproxyapi.service');
    await proxyRuns(before + 1, RESTART_MS * 4);
  });

  it('is not started again on a configuration error until it is corrected', async () => {
    await writeFile(envFile(), 'OBJECTSTORE_ENDPOINT=https://s3.example.com\n', { mode: 0o600 });
    const starts = await user.runs('start');
    await user.systemd.systemctl('restart', 'cliproxyapi.service');
    await until('it to fail', async () => (await property('ActiveState')) === 'failed');
    expect(await property('ExecMainStatus')).toBe('78');
    await sleep(RESTART_MS + 3000);
    expect(await property('ActiveState')).toBe('failed');
    expect(await user.runs('start')).toBe(starts + 1);
    expect(await user.output()).toMatch(/error: .*OBJECTSTORE_/);

    const { stderr } = await user.services(['status']);
    expect(stderr).toContain('cliproxyapi.service failed');
    const before = await user.runs('proxy');
    await writeFile(envFile(), '', { mode: 0o600 });
    await user.systemd.systemctl('start', 'cliproxyapi.service');
    await proxyRuns(before + 1, 10_000);
  });

  it('is gone within seconds of being stopped, with all that it started', async () => {
    const from = Date.now();
    await user.systemd.systemctl('stop', 'cliproxyapi.service');
    expect(Date.now() - from).toBeLessThan(5000);
    expect(await property('ActiveState')).toBe('inactive');
  });

  it('has not failed when it was stopped, though SIGTERM itself ends it', async () => {
    const bin = await user.program('sleeping-proxy', 'exec sleep infinity');
    const from = await user.render({ backup: false, sync: false, proxy: join(bin, 'sleeping-proxy') });
    const { code, stderr } = await user.services(['switch', '--from', from]);
    expect(code, stderr).toBe(0);
    const pid = await property('MainPID');
    const children = () => readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    const isSleeping = async () =>
      [pid, ...(await children()).split(' ')].some((each) => nameOf(each) === 'sleep');
    await until('the proxy', isSleeping);
    await user.systemd.systemctl('stop', 'cliproxyapi.service');
    expect(await property('ActiveState')).toBe('inactive');
    expect(await property('Result')).toBe('success');
  });
});
