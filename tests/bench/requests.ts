import { cp, mkdir } from 'node:fs/promises';
import { type RequestKind, type S3Request, startFaultProxy } from '../support/fault-proxy.ts';
import type { Bucket } from './contestants.ts';
import { rotate } from './credentials.ts';
import type { Stage, Surroundings, TaskName } from './tasks.ts';

/** What one task asked of the store. */
export interface Requests {
  readonly task: TaskName;
  readonly credentials: number;
  readonly contestant: string;
  readonly counts: Readonly<Partial<Record<RequestKind, number>>>;
  /** Kind and place (`PUT auths/`), for what is not a LIST. */
  readonly places: Readonly<Record<string, number>>;
}

/**
 * Counts requests in runs of their own, through a proxy, which takes time. Ours ask the same on every Node, so one
 * of them is enough.
 */
export async function countRequests(stage: Stage, around: Surroundings): Promise<Requests[]> {
  const found: Requests[] = [];
  const counted = stage.places.filter(
    ({ contestant }, index) =>
      !contestant.ours || stage.places.findIndex((place) => place.contestant.ours) === index,
  );
  for (const [index, { contestant, place: timed, bucket: direct }] of counted.entries()) {
    around.progress(`requests of ${contestant.name} with ${stage.count}`);
    const proxy = await startFaultProxy(direct.endpoint, direct.secretKey);
    try {
      const bucket: Bucket = { ...direct, endpoint: proxy.endpoint };
      const place = await contestant.workplace(around.root, `counted-${stage.count}-${index}`, bucket);
      await mkdir(place.directory, { recursive: true });
      await cp(timed.directory, place.directory, {
        recursive: true,
        preserveTimestamps: true,
        filter: notOurs,
      });
      const name = contestant.ours ? 'ours' : contestant.name;
      const count = async (task: TaskName, run: () => Promise<unknown>) => {
        proxy.forget();
        await run();
        found.push({
          task,
          credentials: stage.count,
          contestant: name,
          counts: countsOf(proxy.requests),
          places: placesOf(proxy.requests),
        });
      };
      await around.meter.run(place.backup);
      await around.meter.run(place.backup);
      await count('no-op backup', () => around.meter.run(place.backup));
      await rotate(place.directory, 0, 1000);
      await count('backup of one change', () => around.meter.run(place.backup));
      await place.reset();
      await count('hydrate', () => around.meter.run(place.hydrate));
      await place.reset();
    } finally {
      await proxy.stop();
    }
  }
  return found;
}

/** A copy of a directory is another place: without its marker. */
function notOurs(path: string): boolean {
  return !path.endsWith('/.cliproxyapi-sync');
}

function countsOf(requests: readonly S3Request[]): Partial<Record<RequestKind, number>> {
  const counts: Partial<Record<RequestKind, number>> = {};
  for (const request of requests) counts[kindOf(request)] = (counts[kindOf(request)] ?? 0) + 1;
  return counts;
}

/** The older form of a listing looks like any request to the bucket. */
function kindOf({ kind, query }: S3Request): RequestKind {
  return kind === 'BUCKET' && ('prefix' in query || 'delimiter' in query) ? 'LIST' : kind;
}

function placesOf(requests: readonly S3Request[]): Record<string, number> {
  const places: Record<string, number> = {};
  for (const request of requests) {
    const { key } = request;
    const kind = kindOf(request);
    if (kind === 'LIST') continue;
    const folder = /^(auths|backup\/auths|sync\/[^/]+)\//.exec(key)?.[0] ?? key;
    places[`${kind} ${folder}`] = (places[`${kind} ${folder}`] ?? 0) + 1;
  }
  return places;
}
