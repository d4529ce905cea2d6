import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { evaluatePure, toNix, tools } from './support/nix.ts';
import { table } from './support/settings.ts';

type Texts = Record<string, string>;

const units = (settings: object) =>
  evaluatePure(
    `(import ./modules/render.nix).unitFiles (import ./modules/services.nix ${toNix(settings)}).systemd`,
  ) as Texts;
const agents = (settings: object) =>
  evaluatePure(
    `(import ./modules/render.nix).agentFiles (import ./modules/services.nix ${toNix(settings)}).launchd.agents`,
  ) as Texts;

const scratch = mkdtempSync(join(tmpdir(), 'units-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const onLinux = Object.entries(table).filter(([name]) => name !== 'macos');

describe.skipIf(!tools.nix)('the services, as they are written down', () => {
  it.each(onLinux)('%s: units', async (name, settings) => {
    for (const [file, text] of Object.entries(units(settings)))
      await expect(text).toMatchFileSnapshot(`golden/${name}/${file}`);
  });

  it('macos: agents', async () => {
    for (const [file, text] of Object.entries(agents(table.macos)))
      await expect(text).toMatchFileSnapshot(`golden/macos/${file}`);
  });
});

describe.skipIf(!tools.nix || !tools.systemdAnalyze)('systemd', () => {
  /** Units on disk whose commands exist, since `verify` looks. */
  function written(name: string, settings: object): string[] {
    const runnable = JSON.parse(
      JSON.stringify(settings).replaceAll(/\+?\/nix\/store\/[\w./-]+/g, '/bin/true'),
    );
    const directory = mkdtempSync(join(scratch, `${name}-`));
    return Object.entries(units({ ...runnable, bin: '/bin' })).map(([file, text]) => {
      const path = join(directory, file);
      writeFileSync(path, text.replaceAll(/^ExecStart=\S+/gm, 'ExecStart=/bin/true'));
      return path;
    });
  }
  const manager = (settings: object) => ('scope' in settings ? '--system' : '--user');
  const env = { ...process.env, XDG_RUNTIME_DIR: scratch, SYSTEMD_LOG_LEVEL: 'warning' };

  it.each(onLinux)('%s: finds nothing to complain about', (name, settings) => {
    // Written for 256, this machine may have 252.
    const files = written(name, { ...settings, systemdVersion: 252 });
    const result = spawnSync('systemd-analyze', ['verify', '--man=no', manager(settings), ...files], {
      encoding: 'utf8',
      env,
    });
    const ours = result.stderr.split('\n').filter((line) => line.includes('cliproxyapi'));
    expect(ours).toEqual([]);
  });

  it('complains about a unit that is broken, so that the test above means something', () => {
    const [file = ''] = written('broken', table['user-bare']).filter((path) => path.endsWith('sync.service'));
    writeFileSync(file, '[Service]\nType=nonsense\nExecStart=relative\n');
    const result = spawnSync('systemd-analyze', ['verify', '--man=no', '--user', file], {
      encoding: 'utf8',
      env,
    });
    expect(result.stderr).toContain('cliproxyapi-sync.service');
  });

  // What facts are known of: user units cannot drop what only the system's manager can.
  const most = {
    'user-bare': 6.2,
    'user-full': 6.2,
    'user-proxy-only': 6.2,
    'system-bare': 1.3,
    'system-full': 1.4,
  };
  it.each(Object.entries(most))('%s: exposure is at most %d', (name, limit) => {
    const settings = table[name as keyof typeof most];
    const files = written(name, settings).filter((file) => file.endsWith('.service'));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      // Without --user, whose scale leaves out what a user unit cannot change, and so says more for the same list.
      const args = ['security', '--offline=true', '--no-pager', file];
      const result = spawnSync('systemd-analyze', args, { encoding: 'utf8', env });
      const [, exposure] = /Overall exposure level for .*: ([0-9.]+)/.exec(result.stdout) ?? [];
      expect(Number(exposure), `${file}: ${result.stdout.slice(-300)}${result.stderr}`).toBeLessThanOrEqual(
        limit,
      );
    }
  });
});

describe.skipIf(!tools.nix || !tools.python)('property lists', () => {
  const parse = (text: string): unknown =>
    JSON.parse(
      execFileSync(
        'python3',
        ['-c', 'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))'],
        { input: text, encoding: 'utf8' },
      ),
    );

  it('say what the agents are', () => {
    const attributes = evaluatePure(
      `(import ./modules/services.nix ${toNix(table.macos)}).launchd.agents`,
    ) as Record<string, { Label: string }>;
    const files = agents(table.macos);
    for (const agent of Object.values(attributes)) {
      expect(parse(files[`${agent.Label}.plist`] ?? '')).toEqual(agent);
    }
    expect(Object.keys(files)).toHaveLength(3);
  });
});

describe.skipIf(!tools.nix)('values that systemd would read otherwise', () => {
  it('are escaped: percent, dollar, quotes, spaces', () => {
    const text = units(table['user-full'])['cliproxyapi.service'] ?? '';
    expect(text).toContain('Environment="CLIPROXY_HOME=/home/ada/100%% proxy"');
    expect(text).toContain('"OBJECTSTORE_BUCKET=a \\"quoted\\" $bucket"');
    expect(text).toContain('"-flag=$$x y"');
  });

  it("agenix's runtime directory becomes %t, which systemd expands", () => {
    const text = units(table['user-full'])['cliproxyapi-sync.service'] ?? '';
    expect(text).toContain('"CLIPROXY_ENV_FILE=%t/agenix/store:/run/secrets/more env"');
  });

  it('an empty list of env files is not the default file', () => {
    const text = units(table['system-bare'])['cliproxyapi-sync.service'] ?? '';
    expect(text).toContain('CLIPROXY_ENV_FILE=/dev/null');
  });
});
