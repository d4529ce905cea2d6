/** How the services stand that run the proxy, backup and sync on this host, whoever set them up. */
import type { ServiceState } from '../services/manager.ts';
import { inspect, type Machine } from '../services/switch.ts';

export interface ServicesStatus {
  /** `none`: no manager that can be asked, or none of these services. */
  readonly manager: 'systemd' | 'launchd' | 'none';
  readonly services: readonly ServiceState[];
}

/** Under these names they run where home-manager, NixOS or nix-darwin set them up. */
const NAMES = {
  systemd: [
    'cliproxyapi.service',
    'cliproxyapi-backup.path',
    'cliproxyapi-backup.service',
    'cliproxyapi-sync.timer',
    'cliproxyapi-sync.service',
  ],
  launchd: ['org.nix-community.home', 'org.nixos'].flatMap((prefix) =>
    ['cliproxyapi', 'cliproxyapi-backup', 'cliproxyapi-sync'].map((name) => `${prefix}.${name}.plist`),
  ),
} as const;

/** Never throws: a host without services, or whose manager does not answer, has none that run. */
export async function servicesStatus(machine: Machine, kind: 'systemd' | 'launchd'): Promise<ServicesStatus> {
  const ours = await inspect(machine).then(
    ({ states }) => states,
    () => undefined,
  );
  // Not even the manager answers.
  if (ours === undefined) return { manager: 'none', services: [] };
  const services = ours.length > 0 ? ours : await others(machine, kind);
  return { manager: services.length > 0 ? kind : 'none', services };
}

async function others({ manager }: Machine, kind: 'systemd' | 'launchd'): Promise<readonly ServiceState[]> {
  const states = await manager.states(NAMES[kind]).catch(() => []);
  return states.filter(({ state }) => state !== 'not-found' && state !== 'not loaded');
}
