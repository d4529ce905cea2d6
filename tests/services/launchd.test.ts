/** launchd itself is on macOS alone: this is our part of it, against a stand-in that keeps launchctl(1)'s rules. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { generationsIn } from '../../ts/src/services/generations.ts';
import { launchd } from '../../ts/src/services/launchd.ts';
import { type RunCommand, runCommand } from '../../ts/src/services/run-command.ts';
import { type Machine, rollBack, switchTo, unswitch } from '../../ts/src/services/switch.ts';
import { missingNix, namesIn, renderedFiles } from './user.ts';

const LABELS = ['cliproxyapi', 'cliproxyapi-backup', 'cliproxyapi-sync'].map(
  (name) => `cliproxyapi-sync.${name}`,
);
const DOMAIN = 'gui/501';

/**
 * Records its calls. A service that is booted out is gone a moment later, and one that is there cannot be loaded
 * again (5). `path` is where it was loaded from.
 */
const LAUNCHCTL = `
echo "$*" >> "$STATE/calls"
label=\${2##*/}
case $1 in
  print)
    case $2 in ${DOMAIN}) [ ! -e "$STATE/no-session" ]; exit;; esac
    [ -e "$STATE/going-$label" ] && rm -f "$STATE/going-$label" "$STATE/loaded-$label" && exit 0
    [ -e "$STATE/loaded-$label" ] || exit 113
    printf '%s = {\\n\\tpath = %s\\n\\tstate = running\\n\\tlast exit code = (never exited)\\n}\\n' "$2" "$(cat "$STATE/loaded-$label")";;
  bootout) [ -e "$STATE/loaded-$label" ] || exit 3; touch "$STATE/going-$label";;
  bootstrap)
    label=$(basename "$3" .plist)
    [ -e "$STATE/loaded-$label" ] && { echo "Bootstrap failed: 5: Input/output error" >&2; exit 5; }
    [ -e "$STATE/broken-$label" ] && exit 78
    echo "$3" > "$STATE/loaded-$label";;
  enable) ;;
  *) exit 64;;
esac
`;

describe.skipIf(missingNix() !== undefined)('switch, with a stand-in for launchd', () => {
  let directory: string;
  let home: string;
  let state: string;
  let machine: Machine;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'launchd-'));
    // What XML would take for its own.
    home = join(directory, 'me & <you>');
    state = join(directory, 'state');
    const bin = join(directory, 'bin');
    for (const path of [home, state, bin]) await mkdir(path);
    await writeFile(join(bin, 'launchctl'), `#!/bin/sh\n${LAUNCHCTL}`, { mode: 0o755 });
    await writeFile(join(bin, 'hydrate'), '#!/bin/sh\necho "$CLIPROXY_HOME" > "$STATE/hydrated"\n', {
      mode: 0o755,
    });
    const env = { PATH: `${bin}:${process.env.PATH}`, STATE: state, HOME: home };
    const run: RunCommand = (command, options) =>
      runCommand(command, { ...options, env: { ...env, ...options?.env } });
    machine = {
      home,
      runtimeDir: undefined,
      env,
      run,
      generations: generationsIn(join(home, '.local/state/cliproxyapi-sync'), run),
      manager: launchd({ home, uid: 501, run, waitMs: 2000 }),
    };
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const render = async (settings: Readonly<Record<string, unknown>> = {}) => {
    const target = await mkdtemp(join(directory, 'rendered-'));
    const files = await renderedFiles('launchd', {
      bin: join(directory, 'bin'),
      proxy: '/proxy',
      ...settings,
    });
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(target, name)), { recursive: true });
      await writeFile(join(target, name), text);
    }
    return target;
  };
  const agents = () => namesIn(join(home, 'Library/LaunchAgents'));
  const loaded = () => namesIn(state).filter((name) => name.startsWith('loaded-'));
  const calls = async () => {
    const text = await readFile(join(state, 'calls'), 'utf8').catch(() => '');
    await rm(join(state, 'calls'), { force: true });
    return text.split('\n').filter((call) => !call.startsWith('print') && call !== '');
  };

  it('writes and loads the agents, with this home in them', async () => {
    await switchTo(await render(), false, machine);
    expect(agents()).toEqual(LABELS.map((label) => `${label}.plist`).sort());
    expect(await calls()).toEqual(
      expect.arrayContaining(
        LABELS.map((label) => `bootstrap ${DOMAIN} ${home}/Library/LaunchAgents/${label}.plist`),
      ),
    );
    const script = 'import plistlib,json,sys; print(json.dumps(plistlib.load(open(sys.argv[1], "rb"))))';
    const plist = join(home, 'Library/LaunchAgents/cliproxyapi-sync.cliproxyapi-backup.plist');
    expect(JSON.parse(execFileSync('python3', ['-c', script, plist], { encoding: 'utf8' }))).toMatchObject({
      Label: 'cliproxyapi-sync.cliproxyapi-backup',
      WatchPaths: [`${home}/.cli-proxy-api/objectstore/auths`, `${home}/.ccs/cliproxy/auth`],
      StandardErrorPath: `${home}/Library/Logs/cliproxyapi-backup.log`,
    });
    expect(await readFile(plist, 'utf8')).toMatch(/^<\?xml.*\n<!-- Written by cliproxyapi-sync;/);
    for (const path of ['.cli-proxy-api/objectstore/auths', '.ccs/cliproxy/auth', 'Library/Logs']) {
      expect(namesIn(dirname(join(home, path)))).toContain(path.split('/').at(-1));
    }
    expect(await readFile(join(state, 'hydrated'), 'utf8')).toBe(`${home}/.cli-proxy-api\n`);
  });

  it('run again it asks launchd for nothing', async () => {
    const from = await render();
    await switchTo(from, false, machine);
    await calls();
    expect((await switchTo(from, false, machine)).plan).toEqual({
      write: [],
      remove: [],
      changed: [],
      start: [],
    });
    expect(await calls()).toEqual([]);
  });

  it('a changed agent is unloaded, waited for and loaded again, and no other', async () => {
    await switchTo(await render(), false, machine);
    await calls();
    await switchTo(await render({ interval: 60 }), false, machine);
    expect(await calls()).toEqual([
      `enable ${DOMAIN}/cliproxyapi-sync.cliproxyapi-sync`,
      `bootout ${DOMAIN}/cliproxyapi-sync.cliproxyapi-sync`,
      `bootstrap ${DOMAIN} ${home}/Library/LaunchAgents/cliproxyapi-sync.cliproxyapi-sync.plist`,
    ]);
  });

  it('what is no longer wanted is unloaded and removed, and comes back with a roll-back', async () => {
    await switchTo(await render(), false, machine);
    await switchTo(await render({ backup: false }), false, machine);
    expect(agents()).not.toContain('cliproxyapi-sync.cliproxyapi-backup.plist');
    expect(loaded()).toHaveLength(2);
    await rollBack(false, machine);
    expect(loaded()).toHaveLength(3);
  });

  it('unswitch unloads and removes them all, and only them', async () => {
    await switchTo(await render(), false, machine);
    await writeFile(join(home, 'Library/LaunchAgents/org.example.own.plist'), 'mine');
    await unswitch(false, machine);
    expect(agents()).toEqual(['org.example.own.plist']);
    expect(loaded()).toEqual([]);
  });

  it('an agent that does not load is named, and tried again by the next switch', async () => {
    await writeFile(join(state, 'broken-cliproxyapi-sync.cliproxyapi'), '');
    const from = await render();
    const { failures } = await switchTo(from, false, machine);
    expect(failures.map(({ name }) => name)).toEqual(['cliproxyapi-sync.cliproxyapi.plist']);
    await rm(join(state, 'broken-cliproxyapi-sync.cliproxyapi'));
    expect((await switchTo(from, false, machine)).plan.start).toEqual(['cliproxyapi-sync.cliproxyapi.plist']);
    expect(loaded()).toHaveLength(3);
  });

  it('an agent of that name that is not ours is refused, and nothing is changed', async () => {
    const from = await render();
    const plist = join(home, 'Library/LaunchAgents/cliproxyapi-sync.cliproxyapi.plist');
    await mkdir(dirname(plist), { recursive: true });
    await writeFile(plist, 'mine');
    await expect(switchTo(from, false, machine)).rejects.toThrow('a file that others wrote');
    await rm(plist);
    await writeFile(join(state, 'loaded-cliproxyapi-sync.cliproxyapi'), '/Library/LaunchAgents/x.plist\n');
    await expect(switchTo(from, false, machine)).rejects.toThrow(
      'is there already, as /Library/LaunchAgents/x.plist',
    );
    expect(agents()).toEqual([]);
    expect(await calls()).toEqual([]);
  });

  it('without a session of the user it says so', async () => {
    await writeFile(join(state, 'no-session'), '');
    await expect(switchTo(await render(), false, machine)).rejects.toThrow(
      'launchd has no session of this user',
    );
    expect(agents()).toEqual([]);
  });
});
