import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startUserSystemd, whyNoSystemd } from '../support/systemd.ts';
import { hostFlake } from './support/host-flake.ts';
import { inTree, nix, root, tools, tree } from './support/nix.ts';

const run = describe.skipIf(!tools.nix || tree === undefined);
const MINUTES = 60_000;

run('the flake, with the tree for its nixpkgs', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'flake-'));
  let host: ReturnType<typeof hostFlake>;
  const isStandIn = existsSync(join(tree ?? '', 'corepkgs'));
  beforeAll(() => {
    host = hostFlake();
  });
  afterAll(() => {
    host.remove();
    rmSync(scratch, { recursive: true });
  });

  /** `--impure`: a stand-in reads this machine's certificates. */
  const flake = (
    command: readonly string[],
    inputs: Record<string, string> = {},
    rest: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ) => {
    const nixpkgs = isStandIn ? host.path : `${tree}`;
    const overrides = Object.entries({ nixpkgs, ...inputs }).flatMap(([name, path]) => [
      '--override-input',
      name,
      `path:${path}`,
    ]);
    const args = [...command, '--impure', '--no-write-lock-file', ...overrides, ...rest];
    return nix('nix', args, { HOME: scratch, ...env, XDG_CACHE_HOME: join(scratch, 'cache') });
  };

  it(
    'builds the package: five programs, man pages, completions for three shells',
    () => {
      const result = join(scratch, 'result');
      const { status, stderr } = flake(['build', '.#default', '--out-link', result]);
      expect(status, stderr).toBe(0);
      for (const path of [
        ...['hydrate', 'backup', 'start', 'cliproxyapi', 'cliproxyapi-sync'].map((name) => `bin/${name}`),
        'share/man/man1/cliproxyapi-sync.1.gz',
        'share/man/man1/cliproxyapi-sync-restore.1.gz',
        'share/man/man1/cliproxyapi.1.gz',
        'share/bash-completion/completions/cliproxyapi-sync.bash',
        'share/zsh/site-functions/_cliproxyapi-sync',
        'share/fish/vendor_completions.d/cliproxyapi-sync.fish',
      ])
        expect(existsSync(join(result, path)), path).toBe(true);
      // git and node by absolute path: it runs with neither in PATH.
      const program = join(result, 'bin/cliproxyapi-sync');
      expect(readFileSync(program, 'utf8')).toMatch(/PATH.*\/nix\/store\/[^/]*git/);
      const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8', env: { PATH: '/nowhere' } });
      expect(stdout).toMatch(/^cliproxyapi-sync \d/);
      // Node does not take it for its own: then it would be 9.
      const missing = spawnSync(program, ['sync', '--env-file', '/nowhere/.env'], { encoding: 'utf8' });
      expect(missing.stderr).toContain('/nowhere/.env');
      expect(missing.status).toBe(78);
    },
    10 * MINUTES,
  );

  it.each(['hydrate', 'backup', 'start', 'cliproxyapi-sync'])(
    'nix run .#%s',
    (name) => {
      const { status, stdout, stderr } = flake(['run', `.#${name}`], {}, ['--', '--help']);
      expect(status, stderr).toBe(0);
      expect(stdout).toContain(`Usage: ${name}`);
    },
    5 * MINUTES,
  );

  it(
    'nix run .#hydrate brings an empty home up to date from a store',
    () => {
      const { status, stderr } = flake(['run', '.#hydrate']);
      expect(status, stderr).toBe(0);
    },
    5 * MINUTES,
  );

  it(
    'nix run .#cliproxyapi logs in with the proxy from nixpkgs, and the login is in the store',
    () => {
      const { status, stderr } = flake(['run', '.#cliproxyapi'], {}, ['--', '--codex-login']);
      expect(status, stderr).toBe(0);
      const store = join(scratch, '.local/state/cliproxyapi-sync/store');
      expect(readdirSync(join(store, 'auths'))).toEqual(['codex-me@example.com.json']);
    },
    5 * MINUTES,
  );

  it.skipIf(whyNoSystemd())(
    'nix run .#switch: services on this machine, and again nothing to change; then none',
    async () => {
      const systemd = await startUserSystemd();
      try {
        const run = (action: string) => {
          const ended = flake(['run', '.#switch'], {}, ['--', action], systemd.env);
          expect(ended.status, ended.stderr).toBe(0);
          return ended.stderr;
        };
        const first = run('switch');
        expect(first).toContain('this is generation 1');
        expect(first).toMatch(/cliproxyapi\.service +active \(running\)/);
        expect(run('switch')).toContain('nothing to change');
        run('status');
        expect(run('unswitch')).toContain('removed cliproxyapi.service');
        expect(await systemd.property('cliproxyapi.service', 'ActiveState')).toBe('inactive');
      } finally {
        await systemd.stop();
      }
    },
    10 * MINUTES,
  );

  it(
    'nix flake show: every output for the four systems',
    () => {
      const { status, stdout, stderr } = flake(['flake', 'show', '--json']);
      expect(status, stderr).toBe(0);
      const outputs = JSON.parse(stdout) as Record<string, Record<string, Record<string, unknown>>>;
      const systems = ['aarch64-darwin', 'aarch64-linux', 'x86_64-darwin', 'x86_64-linux'];
      for (const output of ['packages', 'apps', 'checks', 'devShells'])
        expect(Object.keys(outputs[output] ?? {}).sort()).toEqual(systems);
      expect(Object.keys(outputs.apps?.['x86_64-linux'] ?? {})).toEqual(
        expect.arrayContaining([
          'backup',
          'cliproxyapi',
          'cliproxyapi-sync',
          'default',
          'hydrate',
          'start',
          'switch',
        ]),
      );
      expect(Object.keys(outputs.templates ?? {}).sort()).toEqual(['darwin', 'home-manager', 'nixos']);
      expect(outputs.nixosModules).toHaveProperty('default');
      expect(Object.keys(outputs)).toEqual(
        expect.arrayContaining(['darwinModules', 'homeModules', 'homeManagerModules', 'overlays']),
      );
    },
    5 * MINUTES,
  );

  it(
    'nix flake check',
    () => {
      const { status, stderr } = flake(['flake', 'check']);
      expect(status, stderr).toBe(0);
    },
    10 * MINUTES,
  );

  it(
    'nix flake check ./dev: the modules under home-manager and nix-darwin',
    () => {
      const inputs = { 'home-manager': inTree('home-manager'), 'nix-darwin': inTree('nix-darwin') };
      const { status, stderr } = flake(['flake', 'check', './dev'], inputs);
      expect(status, stderr).toBe(0);
    },
    10 * MINUTES,
  );

  it.each(['nixos', 'home-manager', 'darwin'])('the template for %s can be copied and is Nix', (name) => {
    const text = readFileSync(join(root, `templates/${name}/flake.nix`), 'utf8');
    expect(text.split('\n').length).toBeLessThan(40);
    const { status, stderr } = nix('nix-instantiate', ['--parse', `templates/${name}/flake.nix`]);
    expect(status, stderr).toBe(0);
  });
});

describe.skipIf(!tools.nix)('locks', () => {
  it("nix/deps.json is what the lock file's production dependencies come to", () => {
    const { status, stdout, stderr } = spawnSync('nix/deps-hash.sh', { cwd: root, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    expect(stdout, 'stale: run `make deps-hash`').toBe(readFileSync(join(root, 'nix/deps.json'), 'utf8'));
  });

  it('users get one input, and development the same nixpkgs', () => {
    const nodes = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')).nodes;
    expect(Object.keys(nodes('flake.lock')).sort()).toEqual(['nixpkgs', 'root']);
    expect(nodes('dev/flake.lock').nixpkgs).toEqual(nodes('flake.lock').nixpkgs);
    type Node = { locked?: { narHash: string; rev: string } };
    for (const { locked } of Object.values<Node>(nodes('dev/flake.lock'))) {
      if (locked === undefined) continue;
      expect(locked.narHash).toMatch(/^sha256-[A-Za-z0-9+/]{43}=$/);
      expect(locked.rev).toMatch(/^[0-9a-f]{40}$/);
    }
  });

  it('each file is Nix that parses', () => {
    const files = spawnSync('git', ['ls-files', '*.nix'], { cwd: root, encoding: 'utf8' })
      .stdout.trim()
      .split('\n');
    const { status, stderr } = nix('nix-instantiate', ['--parse', ...files]);
    expect(status, stderr).toBe(0);
  });
});
