/** What `restore` and `forget` ask the planner for. */

import { ownFreshness } from '../credential/freshness.ts';
import type { CredentialName } from '../credential/name.ts';
import { restoredContent } from '../credential/restored.ts';
import { contentOf, type Version, versionOf } from '../credential/version.ts';
import { candidates } from '../sync/candidates.ts';
import { askedOnce, type Choices } from '../sync/look.ts';
import { effectiveBase } from '../sync/plan.ts';
import type { Choice } from '../sync/rules/choice.ts';
import { shortId } from '../sync/words.ts';

/**
 * Makes these versions current everywhere.
 *
 * @param at Now, in milliseconds since 1970: what was refreshed before it loses to them.
 */
export function restoring(versions: ReadonlyMap<CredentialName, Version>, host: string, at: number): Choices {
  return askedOnce((snapshot, base) => {
    const choices = new Map<CredentialName, Choice>();
    for (const [name, version] of versions) {
      const seen = snapshot.credentials.get(name);
      const agreed = effectiveBase(base, snapshot, name)?.agreed;
      const over = [
        ...(seen ? candidates(seen).map((candidate) => candidate.version.freshness) : []),
        ...(seen?.tombstone?.kind === 'tombstone' ? [seen.tombstone.tombstone.freshness] : []),
        ...(agreed ? [agreed.freshness] : []),
      ];
      const content = contentOf(version);
      choices.set(name, {
        kind: 'restore',
        version: versionOf(restoredContent(content, ownFreshness(content), over, at)),
        of: version.id,
        reason: `restored by ${host} from version ${shortId(version.id)}`,
      });
    }
    return choices;
  });
}

/** Deletes these credentials everywhere. */
export function forgetting(names: readonly CredentialName[], at: number): Choices {
  return askedOnce(() => new Map(names.map((name) => [name, { kind: 'forget', time: at }])));
}
