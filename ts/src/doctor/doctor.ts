/** All checks, in the order in which a person would go: what is set, how the store is reached, what is here. */
import type { Check } from './check.ts';
import type { DoctorContext } from './context.ts';
import { credentialChecks } from './credential-checks.ts';
import { directoryChecks } from './directory-checks.ts';
import { networkChecks } from './network-checks.ts';
import { proxyChecks } from './proxy-checks.ts';
import { serviceChecks } from './service-checks.ts';
import { settingsChecks } from './settings-checks.ts';
import { stateChecks } from './state-checks.ts';
import { storeChecks } from './store-checks.ts';

export function allChecks(context: DoctorContext): readonly Check[] {
  const groups = [
    settingsChecks,
    networkChecks,
    storeChecks,
    directoryChecks,
    stateChecks,
    credentialChecks,
    proxyChecks,
    serviceChecks,
  ];
  return groups.flatMap((group) => group(context));
}
