/** How the services stand that run the proxy, backup and sync on this host, whoever set them up. */
import { findServices, typed } from '../services/found.ts';
import type { ServiceState } from '../services/manager.ts';
import type { Machine } from '../services/switch.ts';
import type { StatusProblem } from './problem.ts';

export interface ServicesStatus {
  /** `none`: no manager that can be asked, or none of these services. */
  readonly manager: 'systemd' | 'launchd' | 'none';
  /** `system`: NixOS runs them for a user of their own. */
  readonly scope: 'user' | 'system';
  readonly services: readonly ServiceState[];
}

/** Never throws: a host without services, or whose manager does not answer, has none that run. */
export async function servicesStatus(machine: Machine): Promise<ServicesStatus> {
  const found = await findServices(machine).catch(() => undefined);
  if (!found) return { manager: 'none', scope: 'user', services: [] };
  return { manager: found.kind, scope: found.scope, services: found.states };
}

/** The timer would have put it right by then: three times its default. Milliseconds. */
const MENDS_ITSELF_MS = 15 * 60_000;

/**
 * What a person has to do about services. That the last run of one failed that runs every few minutes is none of it
 * where a run has succeeded since: a laptop's backup fails wherever there is no network.
 *
 * @param succeeded When a run last did all it had to, on this host. Milliseconds since 1970.
 */
export function serviceProblems(
  { manager, scope, services }: ServicesStatus,
  succeeded: number | undefined,
  now: number,
): readonly StatusProblem[] {
  if (manager === 'none') return [];
  const type = typed({ kind: manager, scope });
  const stopped = services.filter((service) => service.stopped);
  const names = stopped.map(({ name }) => name);
  const isMended = succeeded !== undefined && now - succeeded < MENDS_ITSELF_MS;
  const failed = services.filter(
    ({ name, failed: hasFailed }) =>
      hasFailed && !(isMended && /-(backup|sync)\.(service|plist)$/.test(name)),
  );
  return [
    ...(stopped.length === 0
      ? []
      : [
          {
            subject: names.join(', '),
            reason: 'should run, and does not',
            remedy: `Start what is stopped: \`${type.start(names)}\``,
          },
        ]),
    ...failed.map(({ name, state, detail }) => ({
      subject: name,
      reason: [state, detail].filter((part) => part !== '').join(', '),
      remedy: `Start it again: \`${type.restart(name)}\`. What it said: \`${type.log(name)}\``,
    })),
  ];
}
