/** The services that run here, whoever set them up: this user's, or else the system's. */
import type { ServiceManager, ServiceState } from './manager.ts';
import type { RunCommand } from './run-command.ts';
import { ServicesError } from './services-error.ts';
import type { Machine } from './switch.ts';
import { systemd } from './systemd.ts';

export interface FoundServices {
  readonly kind: 'systemd' | 'launchd';
  /** `system`: NixOS runs them, as a user of their own. Anyone may look, and root alone may start and stop. */
  readonly scope: 'user' | 'system';
  readonly manager: ServiceManager;
  readonly states: readonly ServiceState[];
}

/** Undefined where there are none, or no manager that can be asked. */
export async function findServices(machine: Machine | undefined): Promise<FoundServices | undefined> {
  if (!machine) return undefined;
  const isMac = process.platform === 'darwin';
  const kind = isMac ? 'launchd' : 'systemd';
  const own = await statesOf(machine.manager);
  if (own.length > 0) return { kind, scope: 'user', manager: machine.manager, states: own };
  if (isMac) return undefined;
  const run: RunCommand = (command, options) =>
    machine.run(
      command.filter((word) => word !== '--user'),
      options,
    );
  const manager = systemd({ configHome: '/etc', user: 'root', run });
  const states = await statesOf(manager);
  return states.length > 0 ? { kind, scope: 'system', manager, states } : undefined;
}

/** How a person types what the manager of these services is told, and where their messages are. */
export function typed({ kind, scope }: Pick<FoundServices, 'kind' | 'scope'>): {
  /** Starts those that should run all the time, now and from now on. */
  start(names: readonly string[]): string;
  /** Starts one again, whatever became of it. */
  restart(name: string): string;
  /** Shows what one has said. */
  log(name: string): string;
} {
  if (kind === 'launchd') {
    const restart = (name: string) => `launchctl kickstart -k gui/$(id -u)/${name.replace(/\.plist$/, '')}`;
    return {
      start: ([first = '']) => restart(first),
      restart,
      log: () => 'ls -t ~/Library/Logs/cliproxyapi*',
    };
  }
  const [systemctl, journalctl] =
    scope === 'system' ? ['sudo systemctl', 'journalctl'] : ['systemctl --user', 'journalctl --user'];
  return {
    start: (names) => `${systemctl} enable --now ${names.join(' ')}`,
    restart: (name) => `${systemctl} restart ${name}`,
    log: (name) => `${journalctl} -e -u ${name}`,
  };
}

async function statesOf(manager: ServiceManager): Promise<readonly ServiceState[]> {
  try {
    await manager.reach();
    const states = await manager.states(manager.known);
    return states.filter(({ state }) => state !== 'not-found' && state !== 'not loaded');
  } catch (error) {
    if (error instanceof ServicesError) return [];
    throw error;
  }
}
