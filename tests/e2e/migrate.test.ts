/** `migrate` and `--store` as a user types them. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { credential, run, s3Server, test } from './world.ts';

const LOGIN = credential('me@example.com');

describe('migrate', () => {
  test('from login files to a directory: a dry run, the run, a second one, a host that joins', async ({
    world,
  }) => {
    const home = await world.home('laptop');
    const old = join(world.root, 'old');
    await mkdir(join(old, 'objectstore/auths'), { recursive: true });
    await writeFile(join(old, 'claude-me.json'), LOGIN);
    await writeFile(join(old, 'objectstore/auths/mirror.json'), LOGIN);
    await writeFile(join(old, 'config.yaml'), 'port: 8317\n');
    const args = ['migrate', '--from', 'local', '--from-dir', old, '--to', 'local'];

    const dry = await run(home, 'cliproxyapi-sync', [...args, '--dry-run']);
    expect(dry).toMatchObject({ code: 0, stdout: '' });
    expect(dry.stderr).toContain(
      '1 credential (1 to copy); no versions of history; no deletions; config to copy',
    );
    expect(await world.store.keys()).toEqual([]);

    const real = await run(home, 'cliproxyapi-sync', args);
    expect(real.code).toBe(0);
    expect(real.stderr).toMatch(
      /1 credential \(1 copied\).*config copied; all read back\nNext: .*LOCALSTORE_PATH/s,
    );
    expect(await world.store.keys('auths/')).toEqual(['auths/claude-me.json']);

    const again = await run(home, 'cliproxyapi-sync', [...args, '--json']);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({
      format: 1,
      command: 'migrate',
      exitCode: 0,
      credentials: { total: 1, written: 0 },
      config: 'there',
      results: [],
      refused: null,
    });

    const joined = await world.home('desktop');
    expect((await run(joined, 'hydrate')).code).toBe(0);
    expect((await run(joined, 'cliproxyapi-sync', ['sync', '--json'])).stdout).toContain('"credentials":1');
  });

  test('into a store that is in use says what is there and how to go on', async ({ world }) => {
    const home = await world.home('laptop');
    await writeFile(join(home.authDir, 'theirs.json'), LOGIN);
    expect((await run(home, 'backup')).code).toBe(0);
    const old = join(world.root, 'old');
    await mkdir(old);
    await writeFile(join(old, 'claude-me.json'), LOGIN);
    const args = ['migrate', '--from', 'local', '--from-dir', old, '--to', 'local'];
    const refused = await run(home, 'cliproxyapi-sync', args);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/is not empty: theirs\.json\n.*--merge/);
    expect((await run(home, 'cliproxyapi-sync', [...args, '--merge'])).code).toBe(0);
    expect(await world.store.keys('auths/')).toEqual(['auths/claude-me.json', 'auths/theirs.json']);
  });

  test.for([
    [2, /same/, ['--from', 'local', '--to', 'local', '--from-env', 'STORE', '--to-env', 'STORE']],
    [2, /Allowed choices are postgres, s3, git, local/, ['--from', 'nfs', '--to', 'local']],
    [2, /--from-dir is for --from local/, ['--from', 's3', '--from-dir', '/tmp', '--to', 'local']],
    [2, /is no directory/, ['--from', 'local', '--from-dir', '/nowhere', '--to', 'local']],
    [2, /--to <kind>.* not specified/, ['--from', 'local']],
    [78, /S3 store is not configured: OBJECTSTORE_ENDPOINT/, ['--from', 's3', '--to', 'local']],
    [78, /\(--to-env\) does not exist/, ['--from', 'local', '--to', 's3', '--to-env', '/nowhere/x.env']],
    [1, /nothing to migrate/, ['--from', 'local', '--from-env', 'OTHER', '--to', 'local']],
  ] as const)('ends with %i and %s for %j', async ([code, said, args], { world }) => {
    const home = await world.home();
    const files = { STORE: join(world.root, 'store'), OTHER: join(world.root, 'other') };
    const given: string[] = [];
    for (const argument of args) {
      if (argument !== 'STORE' && argument !== 'OTHER') given.push(argument);
      else {
        const file = join(world.root, `${argument}.env`);
        await mkdir(files[argument], { recursive: true });
        await writeFile(file, `LOCALSTORE_PATH=${files[argument]}\n`, { mode: 0o600 });
        given.push(file);
      }
    }
    const ended = await run(home, 'cliproxyapi-sync', ['migrate', ...given]);
    expect(ended).toMatchObject({ code });
    expect(ended.stderr).toMatch(said);
  });
});

describe.skipIf(!s3Server)('with S3', () => {
  test('from one bucket to another by two env files, which stand for themselves', async ({ s3 }) => {
    const home = await s3.home('laptop');
    await writeFile(join(home.authDir, 'claude-me.json'), LOGIN);
    expect((await run(home, 'backup')).code).toBe(0);
    const { endpoint, bucket, accessKey, secretKey } = s3.settings;
    const write = async (name: string, into: string) => {
      const lines = [
        `OBJECTSTORE_ENDPOINT=${endpoint}`,
        `OBJECTSTORE_BUCKET=${into}`,
        `OBJECTSTORE_ACCESS_KEY=${accessKey}`,
        `OBJECTSTORE_SECRET_KEY=${secretKey}`,
      ];
      await writeFile(join(s3.root, name), `${lines.join('\n')}\n`, { mode: 0o600 });
      return join(s3.root, name);
    };
    const other = `other-${randomBytes(6).toString('hex')}`;
    const files = ['--from-env', await write('from.env', bucket), '--to-env', await write('to.env', other)];
    const args = ['migrate', '--from', 's3', '--to', 's3', ...files];
    const ended = await run(home, 'cliproxyapi-sync', args);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stderr).toMatch(
      /1 credential \(1 copied\); 1 version of history \(1 copied\).*all read back/,
    );
    const hydrated = await s3.home('new', { store: { ...s3.settings, bucket: other } });
    const report = await run(hydrated, 'hydrate', ['--json']);
    expect(JSON.parse(report.stdout)).toMatchObject({ exitCode: 0, credentials: 1 });
  });

  test('--store takes another store than the variables would', async ({ s3 }) => {
    const home = await s3.home('laptop');
    await writeFile(join(home.authDir, 'claude-me.json'), LOGIN);
    const ended = await run(home, 'cliproxyapi-sync', ['sync', '--store', 'local']);
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain('OBJECTSTORE_ENDPOINT has no effect: --store chooses the store');
    expect(ended.stderr).toContain(join(home.stateDir, 'store'));
    expect(await s3.store.keys()).toEqual([]);
  });
});
