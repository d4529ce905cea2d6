import { describe, expect, it } from 'vitest';
import { inTree, nix, raw, toNix, tools, tree } from './support/nix.ts';

const HOSTS = ['nixos', 'home-manager', 'home-manager-darwin', 'darwin'] as const;
type Host = (typeof HOSTS)[number];
const run = describe.skipIf(!tools.nix || tree === undefined);

/** What `services.cliproxyapi = ...` gives on a host, or the error that a user of it sees. */
function evaluate(host: Host, options: unknown, more = '{ }'): { error?: string; result?: Result } {
  const expression = `import ./tests/nix/evaluate.nix {
    nixpkgs = ${tree};
    home-manager = ${inTree('home-manager')};
    nix-darwin = ${inTree('nix-darwin')};
    host = "${host}";
    modules = [ { services.cliproxyapi = ${toNix(options)}; } (${more}) ];
  }`;
  const { status, stdout, stderr } = nix('nix-instantiate', [
    '--eval',
    '--strict',
    '--json',
    '--expr',
    expression,
  ]);
  if (status !== 0) return { error: stderr };
  const { failed, result } = JSON.parse(stdout) as { failed: string[]; result: Result };
  return failed.length > 0 ? { error: failed.join('\n') } : { result };
}

/** Only what is asked below; each host has its own part of it. */
interface Result {
  readonly units: Record<string, string>;
  readonly tmpfiles: Record<string, unknown>;
  readonly ports: number[];
  readonly users: string[];
  readonly commands: string[];
  readonly services: Record<string, { Unit: Record<string, unknown>; Service: Record<string, unknown> }>;
  readonly activation: Record<string, string> & string;
  readonly order: Record<string, { after: string[]; before: string[] }>;
  readonly agents: Record<string, Record<string, unknown>>;
}

function good(host: Host, options: unknown, more?: string): Result {
  const { error, result } = evaluate(host, { enable: true, ...(options as object) }, more);
  if (result === undefined) throw new Error(`${host}: ${error}`);
  return result;
}

run('enable = true and nothing else', () => {
  it('NixOS: services, a path unit and a timer, a user of its own, and a command', () => {
    const { units, users, commands, tmpfiles } = good('nixos', {});
    expect(Object.keys(units).sort()).toEqual([
      'cliproxyapi-backup.path',
      'cliproxyapi-backup.service',
      'cliproxyapi-changed.service',
      'cliproxyapi-hydrate.service',
      'cliproxyapi-sync.service',
      'cliproxyapi-sync.timer',
      'cliproxyapi.service',
    ]);
    expect(users).toEqual(['cliproxyapi']);
    expect(commands).toHaveLength(1);
    expect(Object.keys(tmpfiles)).toContain('/var/lib/cliproxyapi/objectstore/auths');
    expect(units['cliproxyapi-hydrate.service']).toContain('WantedBy=cliproxyapi.service');
    expect(units['cliproxyapi-hydrate.service']).toContain('Before=cliproxyapi.service');
    expect(units['cliproxyapi.service']).not.toContain('Requires');
    expect(units['cliproxyapi-sync.service']).toContain('X-RestartIfChanged=false');
    expect(units['cliproxyapi.service']).not.toContain('X-RestartIfChanged=false');
  });

  it('home-manager on Linux: user services, hydrated after the files are linked and before they start', () => {
    const { services, order, activation, commands } = good('home-manager', {});
    expect(Object.keys(services).sort()).toEqual([
      'cliproxyapi',
      'cliproxyapi-backup',
      'cliproxyapi-changed',
      'cliproxyapi-sync',
    ]);
    expect(services['cliproxyapi-backup']?.Unit['X-SwitchMethod']).toBe('keep-old');
    expect(order.cliproxyapi?.after).toContain('writeBoundary');
    expect(order.cliproxyapiHydrate).toEqual({
      after: ['cliproxyapi'],
      before: ['reloadSystemd', 'setupLaunchAgents'],
    });
    // home-manager's `run` prints in a dry run instead of running; a failure is a warning.
    expect(activation.cliproxyapiHydrate).toMatch(/\nrun .*\n.*timeout 30 .*\/hydrate \|\|\n\s*warnEcho/);
    expect(commands).toHaveLength(1);
  });

  it('home-manager on macOS: launchd agents, and no units', () => {
    const { agents, units } = good('home-manager-darwin', {});
    expect(Object.keys(agents).sort()).toEqual(['cliproxyapi', 'cliproxyapi-backup', 'cliproxyapi-sync']);
    expect(agents['cliproxyapi-backup']?.WatchPaths).toEqual([
      '/Users/ada/.cli-proxy-api/objectstore/auths',
      '/Users/ada/.ccs/cliproxy/auth',
    ]);
    expect(agents.cliproxyapi?.StandardOutPath).toBe('/Users/ada/Library/Logs/cliproxyapi.log');
    expect(units).toEqual([]);
  });

  it('nix-darwin: agents of the primary user, that wait for the Nix store; activation cannot fail', () => {
    const { agents, activation } = good('darwin', {});
    expect(agents.cliproxyapi?.ProgramArguments).toEqual([
      '/bin/sh',
      '-c',
      expect.stringContaining('wait4path /nix/store && exec '),
    ]);
    expect(activation).toMatch(
      /launchctl asuser "\$\(id -u -- ada\)" sudo --user=ada --set-home -- .*\n.*hydrate \|\|\n/,
    );
  });

  it.each(HOSTS)('%s: off again, nothing is left', (host) => {
    const { result } = evaluate(host, { enable: false });
    expect(Object.keys(result?.units ?? result?.services ?? result?.agents ?? {})).toEqual([]);
  });
});

run('settings', () => {
  it('the proxy listens where `settings` says, and that port is opened', () => {
    expect(good('nixos', { openFirewall: true }).ports).toContain(8317);
    expect(good('nixos', { openFirewall: true, port: 9000 }).ports).toContain(9000);
    expect(good('nixos', { openFirewall: true, port: 9000, settings: { port: 9001 } }).ports).toContain(9001);
    expect(
      good('nixos', { openFirewall: true, settings: { 'config-version': 8, server: { port: 9002 } } }).ports,
    ).toContain(9002);
  });

  it('a secret is a credential on NixOS, a file elsewhere, and in no unit', () => {
    const settings = { 'api-keys': [{ _secret: '/run/secrets/key' }], b: { _secret: '/run/secrets/other' } };
    const unit = good('nixos', { settings }).units['cliproxyapi.service'];
    expect(unit).toContain('LoadCredential=CLIPROXY_SECRET_0:/run/secrets/key');
    expect(unit).toContain('LoadCredential=CLIPROXY_SECRET_1:/run/secrets/other');
    expect(unit).toContain('Environment="CLIPROXY_SECRET_0_FILE=%d/CLIPROXY_SECRET_0"');
    const service = good('home-manager', { settings }).services.cliproxyapi?.Service.Environment;
    expect(service).toContain('CLIPROXY_SECRET_1_FILE=/run/secrets/other');
  });

  it('errors about an env file can name the option', () => {
    const assignment = 'CLIPROXY_ENV_FILE_OPTION=services.cliproxyapi.environmentFiles';
    expect(good('nixos', {}).units['cliproxyapi-sync.service']).toContain(assignment);
    const { Service } = good('home-manager', {}).services['cliproxyapi-sync'] ?? {};
    expect(Service?.Environment).toContain(assignment);
  });

  it("without settings a home's own config goes first; on NixOS there is none", () => {
    const variables = (options: object) => {
      const list = good('home-manager', options).services.cliproxyapi?.Service.Environment as string[];
      return list.map((assignment) => assignment.split('=')[0]);
    };
    expect(variables({})).toContain('CLIPROXY_CONFIG_DEFAULT');
    expect(variables({ settings: { debug: true } })).toContain('CLIPROXY_CONFIG_TEMPLATE');
    expect(variables({ port: 9000 })).toContain('CLIPROXY_CONFIG_TEMPLATE');
    expect(good('nixos', {}).units['cliproxyapi.service']).toContain('CLIPROXY_CONFIG_TEMPLATE=');
  });

  it('files that must be there are checked before every service on NixOS', () => {
    const { units } = good('nixos', {
      environmentFile: '/run/secrets/a.env',
      environmentFiles: ['/run/secrets/b.env'],
    });
    for (const name of ['cliproxyapi', 'cliproxyapi-hydrate', 'cliproxyapi-backup', 'cliproxyapi-sync']) {
      const unit = units[`${name}.service`];
      expect(unit).toMatch(/ExecStartPre=\+\/nix\/store\/\S+check-files/);
      expect(unit).toContain('EnvironmentFile=-/run/secrets/a.env');
      expect(unit).toContain('LoadCredential=environment-0:/run/secrets/b.env');
    }
  });

  it('switched-off parts are not there', () => {
    const off = {
      backup: { enable: false },
      sync: { enable: false },
      hydrate: { enable: false },
      createWrapper: false,
    };
    expect(Object.keys(good('nixos', off).units)).toEqual(['cliproxyapi.service']);
    expect(good('nixos', off).commands).toEqual([]);
    expect(Object.keys(good('home-manager', off).activation)).toEqual(['cliproxyapi']);
    expect(Object.keys(good('darwin', off).agents)).toEqual(['cliproxyapi']);
  });

  it.each(HOSTS)('%s: imported twice is imported once', (host) => {
    const file = { nixos: 'nixos', darwin: 'darwin' }[host as string] ?? 'home-manager';
    expect(() => good(host, {}, `{ imports = [ ./modules/${file}.nix ]; }`)).not.toThrow();
  });
});

/** [what, options, hosts, what the error has in it] */
const BAD: [string, unknown, readonly Host[], RegExp[]][] = [
  [
    'a secret path in the Nix store',
    { environmentFile: '/nix/store/abc-secret.env' },
    HOSTS,
    [/services\.cliproxyapi\.environmentFile/, /path outside the Nix store/],
  ],
  [
    'a secret file beside the configuration, which Nix would copy into the store',
    { environmentFiles: [raw('./README.md')] },
    HOSTS,
    [/services\.cliproxyapi\.environmentFiles/, /path outside the Nix store.*not \.\//s],
  ],
  [
    'a _secret in the Nix store',
    { settings: { 'api-keys': [{ _secret: '/nix/store/abc-key' }] } },
    HOSTS,
    [/services\.cliproxyapi\.settings\.api-keys\.0\._secret is not a path outside the Nix store/],
  ],
  [
    'both configFile and settings',
    { configFile: '/etc/proxy.yaml', settings: { debug: true } },
    HOSTS,
    [/services\.cliproxyapi\.settings and services\.cliproxyapi\.configFile are set.*keep one/],
  ],
  ['an unknown option', { prot: 9000 }, HOSTS, [/option `services\.cliproxyapi\.prot' does not exist/]],
  [
    'a relative directory',
    { dataDir: 'proxy' },
    HOSTS,
    [/services\.cliproxyapi\.dataDir/, /absolute path of a directory/],
  ],
  [
    'a directory with a tilde',
    { ccsDir: '~/.ccs' },
    HOSTS,
    [/services\.cliproxyapi\.ccsDir/, /absolute path/],
  ],
  [
    'a port outside its range',
    { port: 70000 },
    HOSTS,
    [/services\.cliproxyapi\.port/, /between 0 and 65535/],
  ],
  [
    'an interval of nothing',
    { sync: { interval: 0 } },
    HOSTS,
    [/services\.cliproxyapi\.sync\.interval/, /positive/],
  ],
  [
    'a key in plain text',
    { environment: { objectstore_secret_key: 'hunter2' } },
    HOSTS,
    [/services\.cliproxyapi\.environment\.objectstore_secret_key would put a secret.*environmentFiles/],
  ],
  [
    'a password in an address',
    { environment: { GITSTORE_GIT_URL: 'https://me:hunter2@example.com/x' } },
    HOSTS,
    [/services\.cliproxyapi\.environment\.GITSTORE_GIT_URL would put a secret/],
  ],
  [
    'a variable that an option sets',
    { environment: { CLIPROXY_HOME: '/srv' } },
    HOSTS,
    [/environment\.CLIPROXY_HOME is set by the module: use services\.cliproxyapi\.dataDir/],
  ],
  [
    'an option that the host lacks',
    { openFirewall: true },
    ['home-manager', 'home-manager-darwin', 'darwin'],
    [/services\.cliproxyapi\.openFirewall has no effect in (home-manager|nix-darwin)/],
  ],
  [
    'another user in a home',
    { user: 'bob' },
    ['home-manager'],
    [/user has no effect in home-manager.*remove it/],
  ],
  [
    'a log directory on Linux',
    { logDir: '/x' },
    ['nixos', 'home-manager'],
    [/logDir has no effect.*journal/],
  ],
  [
    "agenix's path on macOS",
    { environmentFiles: ['$(getconf DARWIN_USER_TEMP_DIR)/agenix/x'] },
    ['home-manager-darwin', 'darwin'],
    [/environmentFiles has .*not expanded here: give the secret an absolute path/],
  ],
  [
    "CCS's directory in a home that the service's user cannot read",
    { ccsDir: '/home/ada/.ccs/cliproxy/auth' },
    ['nixos'],
    [/services\.cliproxyapi\.ccsDir .*set services\.cliproxyapi\.user to the owner/],
  ],
];

run('what is wrong is an error that names the option and the remedy', () => {
  it.each(
    BAD.flatMap(([what, options, hosts, errors]) => hosts.map((host) => ({ what, host, options, errors }))),
  )('$host: $what', ({ host, options, errors }) => {
    const { error } = evaluate(host, { enable: true, ...(options as object) });
    for (const expected of errors) expect(error).toMatch(expected);
    expect(error).not.toContain('hunter2');
  });

  it.each([
    ['nixos', 'home-manager'],
    ['home-manager', 'nixos'],
    ['darwin', 'home-manager'],
  ] as const)('%s: the module of %s is another class of module', (host, other) => {
    const { error } = evaluate(host, { enable: true }, `{ imports = [ ./modules/${other}.nix ]; }`);
    expect(error).toMatch(/class/);
  });
});
