/** Rule: what would delete most of the credentials at once is an accident until a person says otherwise. */
import type { CredentialName } from '../../credential/name.ts';
import type { GuardReport } from '../model.ts';

/** The runs of this long count together. */
export const GUARD_WINDOW_MS = 24 * 60 * 60 * 1000;

/**
 * The guard's word on a run that would delete `deleting`: a report if it, with the deletions of the last day,
 * would delete more than half of the credentials and more than one. What is allowed by name does not count.
 *
 * @param existing Every credential that is there before the run.
 * @param recent Deletions that this host carried out, with their times in milliseconds since 1970.
 */
export function guard(
  deleting: readonly CredentialName[],
  existing: ReadonlySet<CredentialName>,
  recent: ReadonlyMap<CredentialName, number>,
  allowed: ReadonlySet<CredentialName>,
  now: number,
): GuardReport | undefined {
  const counted = deleting.filter((name) => !allowed.has(name));
  if (counted.length === 0) return undefined;
  const earlier = [...recent].filter(([, time]) => now - time < GUARD_WINDOW_MS).map(([name]) => name);
  const deleted = new Set([...earlier, ...counted]);
  const total = new Set([...existing, ...deleted]).size;
  return deleted.size > 1 && deleted.size > total / 2 ? { names: counted, total } : undefined;
}
