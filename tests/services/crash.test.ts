import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ended, makeUser, namesIn, type User, whyNot } from './user.ts';

/** A switch asks systemctl for fewer changes than this. */
const MOST_CALLS = 20;

describe.skipIf(whyNot() !== undefined)('a switch that is killed', () => {
  let user: User;
  let one: string;
  let other: string;
  let bin: string;

  beforeAll(async () => {
    user = await makeUser({});
    one = await user.render({ hydrate: false });
    // Of everything: a changed service, a changed timer, units that go.
    other = await user.render({
      hydrate: false,
      interval: 99,
      environment: { WHICH: 'other' },
      backup: false,
    });
    bin = await user.program(
      'systemctl',
      // Kills who calls it, at that call of those that change something.
      `case "$*" in *is-system-running*|*\\ show\\ *) ;; *)
  left=$(cat '${user.systemd.home}/calls')
  echo $((left - 1)) > '${user.systemd.home}/calls'
  [ "$left" = 1 ] && { kill -9 $PPID; exit 1; } ;;
esac
exec /usr/bin/env PATH='${user.systemd.env.PATH}' systemctl "$@"`,
    );
  });
  afterAll(() => user?.stop());

  const killedAt = async (call: number, args: readonly string[]): Promise<Ended> => {
    await writeFile(join(user.systemd.home, 'calls'), `${call}\n`);
    return user.services([...args, '--no-wait'], { PATH: `${bin}:${user.systemd.env.PATH}` });
  };
  const switchTo = async (from: string) => {
    const { code, stderr } = await user.services(['switch', '--from', from, '--no-wait']);
    expect(code, stderr).toBe(0);
  };
  const service = () => readFile(join(user.unitDir, 'cliproxyapi.service'), 'utf8').catch(() => '');
  const units = () => namesIn(user.unitDir).filter((name) => name.startsWith('cliproxyapi'));
  /** Of the process that runs, not of the unit. */
  const environment = async () =>
    readFile(`/proc/${await user.systemd.property('cliproxyapi.service', 'MainPID')}/environ`, 'utf8');
  /** Runs `work` killed at its first call of systemctl, then at its second, until it gets through. */
  const atEveryCall = async (
    before: () => Promise<void>,
    args: readonly string[],
    after: (call: number, code: number) => Promise<void>,
  ) => {
    let call = 1;
    for (; call < MOST_CALLS; call++) {
      await before();
      const { code } = await killedAt(call, args);
      await after(call, code);
      if (code === 0) break;
    }
    expect(call).toBeGreaterThan(3);
    expect(call).toBeLessThan(MOST_CALLS);
  };
  const isWhole = async (call: number, active: readonly string[]) => {
    const { code, stderr } = await user.services(['status']);
    expect(code, `killed at call ${call}: ${stderr}`).toBe(0);
    for (const unit of active) expect(await user.systemd.property(unit, 'ActiveState')).toBe('active');
  };

  it('is completed by the next one, wherever it was killed', async () => {
    await atEveryCall(
      () => switchTo(one),
      ['switch', '--from', other],
      async (call) => {
        await switchTo(other);
        await isWhole(call, ['cliproxyapi.service', 'cliproxyapi-sync.timer']);
        expect(await environment()).toContain('WHICH=other');
        expect(units()).not.toContain('cliproxyapi-backup.path');
        expect(await user.systemd.property('cliproxyapi-backup.path', 'ActiveState')).toBe('inactive');
      },
    );
  }, 300_000);

  it('is undone by a roll-back that was itself killed and run again', async () => {
    await atEveryCall(
      async () => {
        await switchTo(one);
        await switchTo(other);
      },
      ['rollback'],
      async (call, code) => {
        if (code !== 0) {
          const again = await user.services(['rollback', '--no-wait']);
          expect(again.code, `killed at call ${call}: ${again.stderr}`).toBe(0);
        }
        await isWhole(call, ['cliproxyapi.service', 'cliproxyapi-backup.path', 'cliproxyapi-sync.timer']);
        expect(await environment()).not.toContain('WHICH');
      },
    );
  }, 300_000);

  it('is taken away by an unswitch that was itself killed and run again', async () => {
    await atEveryCall(
      () => switchTo(one),
      ['unswitch'],
      async (call) => {
        const { code, stderr } = await user.services(['unswitch']);
        expect(code, `killed at call ${call}: ${stderr}`).toBe(0);
        expect(units()).toEqual([]);
        expect(await service()).toBe('');
        const active = await user.systemd.property('cliproxyapi.service', 'ActiveState');
        expect(active).toBe('inactive');
      },
    );
  }, 300_000);
});
