import type { Freshness } from './freshness.ts';
import { isObject, type JsonObject } from './json.ts';
import { counted, MAX_AHEAD_MS, parseInstant } from './time.ts';

/**
 * The mark of a version that a person restored: a field of the credential, which makes it a new version.
 *
 * Why a new version: a version that was replaced never wins again, on no host, whether it knows that from history or
 * from its own list. That protects every refresh from proxies that write back what they held, so it must not have an
 * exception that a proxy could meet by accident. The alternative, a record in the store that takes a version off
 * those lists, would have to reach every host before the version does, hosts that are offline included; one that
 * missed it would put the old order right again, and two hosts could do so to each other without end.
 *
 * Why a field: CLIProxyAPI keeps fields that it does not know, at all levels, and writes them back; it reads none of
 * this name. The times that it does read stay as they were, so that it refreshes when it should.
 *
 * Why with times of its own: whoever still holds what was replaced, with a field more or less (a proxy that adds its
 * `claude_device_ids`, a host that was offline), has a version that history does not know and that is fresher than the
 * restored one. So that one counts as refreshed when it was restored: what is older loses to it by the ordinary
 * rules, a refresh or a login after that wins. It never gets a kind of time that neither it nor what it replaces has:
 * else the next login of a provider without `last_refresh`, or the next service-account key, would count as older.
 *
 * A mark is for the tokens that it was made with: after a refresh it says nothing.
 */
export const RESTORED_FIELD = 'cliproxyapi_sync_restored';

/** The content as it is restored at `at`, so that it counts as fresher than each of `over`. Milliseconds since 1970. */
export function restoredContent(
  content: JsonObject,
  own: Freshness,
  over: readonly Freshness[],
  at: number,
): JsonObject {
  const { [RESTORED_FIELD]: _, ...plain } = content;
  return {
    ...plain,
    [RESTORED_FIELD]: {
      at: new Date(at).toISOString(),
      counts_as: times(fresherThan(own, over, at)),
      tokens: Object.fromEntries(
        TIMES.flatMap((field) => (plain[field] === undefined ? [] : [[field, plain[field]]])),
      ),
    },
  };
}

/** The times that a restored content counts with; undefined if it is none, or was refreshed since. */
export function restoredFreshness(content: Readonly<Record<string, unknown>>): Freshness | undefined {
  const mark = content[RESTORED_FIELD];
  if (!isObject(mark) || !isObject(mark.counts_as) || !isObject(mark.tokens)) return undefined;
  for (const field of TIMES) {
    if (parseInstant(content[field]) !== parseInstant(mark.tokens[field])) return undefined;
  }
  const lastRefresh = parseInstant(mark.counts_as.last_refresh);
  const expired = parseInstant(mark.counts_as.expired);
  return { ...(lastRefresh !== undefined && { lastRefresh }), ...(expired !== undefined && { expired }) };
}

const TIMES = ['last_refresh', 'expired'] as const;

/**
 * The times of a version that counts as fresher than each of `over`, and than all that was refreshed before `at`. It
 * has no kind of time that none of them has.
 */
export function fresherThan(own: Freshness, over: readonly Freshness[], at: number): Freshness {
  const latest = (kind: keyof Freshness) => {
    const instants = [own, ...over].flatMap((freshness) => counted(freshness[kind], at) ?? []);
    return instants.length > 0 ? Math.floor(Math.max(...instants)) + 1 : undefined;
  };
  const most = at + MAX_AHEAD_MS;
  const refreshed = latest('lastRefresh');
  if (refreshed !== undefined) return { ...own, lastRefresh: Math.min(Math.max(at, refreshed), most) };
  const expiring = latest('expired');
  return expiring === undefined ? own : { ...own, expired: Math.min(expiring, most) };
}

function times({ lastRefresh, expired }: Freshness): JsonObject {
  return {
    ...(lastRefresh !== undefined && { last_refresh: instant(lastRefresh) }),
    ...(expired !== undefined && { expired: instant(expired) }),
  };
}

function instant(time: number): string {
  return new Date(Math.ceil(time)).toISOString();
}
