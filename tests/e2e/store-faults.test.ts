/**
 * Whole runs in which one kind of request to the store fails, once or each time, in every way that a network or a server
 * has: the run says so and loses nothing, and a run after it, in which nothing fails, converges.
 *
 * `make test` tries some of all points; STORE_FAULTS=60 tries so many of each store, STORE_FAULTS=all all of them, and
 * STORE_FAULTS_ONLY='s3, DELETE auths' those whose name begins so.
 */
import { describe, expect } from 'vitest';
import { type Home, type HomeStore, startBundle } from '../support/bundle.ts';
import type { GitFault } from '../support/git-server.ts';
import { type Fault as PostgresFault, startPostgresNetwork } from '../support/postgres-network.ts';
import { postgres, postgresServer } from '../support/postgres-outside.ts';
import { expectConverged, expectWhole, makeChanges } from './changes.ts';
import {
  decent,
  type Fault,
  type GitWorld,
  inWorld,
  type S3World,
  s3Server,
  test,
  type World,
} from './world.ts';

const ONLY = process.env.STORE_FAULTS_ONLY;
const SAMPLE = process.env.STORE_FAULTS === 'all' ? undefined : Number(process.env.STORE_FAULTS ?? 5);

/** What lies between a home and its store. */
interface Line<F> {
  readonly store: HomeStore;
  /** From now on; what is asked is told in words that are the same in every run. */
  spoil(rule: (asked: string) => F | undefined): void;
}

/** Ways to fail, by name. */
type Ways<F> = Readonly<
  Record<
    string,
    {
      readonly fault: F;
      /** Whether it costs a time-out: tried where all are. */
      readonly isSlow?: boolean;
      /** Whether it may pass for done, to something like a removal: then the next run finds that it is not. */
      readonly lies?: boolean;
    }
  >
>;

const answer = (status: number, code: string, lies = false) => ({
  fault: { kind: 'answer', status, code } satisfies Fault as Fault,
  lies,
});

const S3_WAYS: Ways<Fault> = {
  'a reset': { fault: { kind: 'reset' } },
  'half a body': { fault: { kind: 'half' } },
  'a lost answer': { fault: { kind: 'lost-answer' } },
  '403': answer(403, 'AccessDenied'),
  '404': answer(404, 'NoSuchKey', true),
  '409': answer(409, 'ConditionalRequestConflict'),
  '412': answer(412, 'PreconditionFailed'),
  '429': answer(429, 'TooManyRequests'),
  '500': answer(500, 'InternalError'),
  '503': answer(503, 'SlowDown'),
  '507': answer(507, 'InsufficientCapacity'),
  'a web page': { fault: { kind: 'body', body: '<html>Log in</html>' }, lies: true },
  'an empty 200': { fault: { kind: 'body', body: '' }, lies: true },
  'another object': {
    fault: { kind: 'body', body: '{"type":"claude"}', type: 'application/json' },
    lies: true,
  },
  silence: { fault: { kind: 'silence' }, isSlow: true },
  'a slow drip': { fault: { kind: 'drip', every: 2_000 }, isSlow: true },
};

const POSTGRES_WAYS: Ways<PostgresFault> = {
  'a connection that breaks': { fault: 'lost' },
  'a lost answer': { fault: 'lost-answer' },
  'a connection that breaks while the server goes on': { fault: 'lost-midway' },
  'no right': { fault: { error: '42501' } },
  'a full disk': { fault: { error: '53100' } },
  'no memory': { fault: { error: '53200' } },
  'a deadlock': { fault: { error: '40P01' } },
  'a serialization failure': { fault: { error: '40001' } },
  'a statement that was cancelled': { fault: { error: '57014' } },
  'an administrator who ends it': { fault: { error: '57P01' } },
  'a server that only reads': { fault: { error: '25006' } },
  'an error of its own': { fault: { error: 'XX000' } },
  silence: { fault: 'silence', isSlow: true },
};

const status = (code: number) => ({ fault: { kind: 'answer', status: code } satisfies GitFault as GitFault });

const GIT_WAYS: Ways<GitFault> = {
  'a reset': { fault: { kind: 'reset' } },
  'a lost answer': { fault: { kind: 'lose-answer' } },
  '401': status(401),
  '403': status(403),
  '404': status(404),
  '409': status(409),
  '412': status(412),
  '429': status(429),
  '500': status(500),
  '503': status(503),
  'a web page': { fault: { kind: 'answer', status: 200, body: '<html>Log in</html>' } },
  'an empty 200': { fault: { kind: 'answer', status: 200 } },
  silence: { fault: { kind: 'silence' }, isSlow: true },
};

interface Point<F> {
  readonly asked: string;
  readonly way: string;
  readonly fault: F;
  readonly lies: boolean;
  /** Whether each such request fails, or the first alone. */
  readonly always: boolean;
}

/** Tries the points of one kind of store: each in a world of its own. */
async function tryAll<F>(
  kind: 's3' | 'postgres' | 'git',
  ways: Ways<F>,
  lineOf: (world: World) => Promise<Line<F>>,
): Promise<void> {
  const asked = new Set<string>();
  await inWorld(kind, async (world) => {
    const line = await lineOf(world);
    const home = await world.home('laptop', { store: line.store });
    const changes = await makeChanges(world, home);
    line.spoil((what) => void asked.add(what));
    expect(await syncOnce(home)).toMatchObject({ code: 0 });
    await expectConverged(world, home, changes);
  });
  const points = [...asked].flatMap((what) =>
    Object.entries(ways).flatMap(([way, { fault, isSlow = false, lies = false }]) =>
      isSlow && SAMPLE !== undefined && ONLY === undefined
        ? []
        : [false, true].map((always): Point<F> => ({ asked: what, way, fault, lies, always })),
    ),
  );
  expect(asked.size).toBeGreaterThan(3);
  const nameOf = ({ asked: what, way, always }: Point<F>) =>
    `${kind}, ${what}, ${way}, ${always ? 'always' : 'once'}`;
  const step = points.length / (SAMPLE ?? points.length);
  const chosen = points.filter((point, at) =>
    ONLY === undefined ? Math.floor(at % step) === 0 : nameOf(point).startsWith(ONLY),
  );
  console.log(`${kind}: ${chosen.length} of ${points.length} points, ${asked.size} kinds of requests`);
  const wrong: string[] = [];
  for (const point of chosen) {
    await inWorld(kind, async (world) => tried(world, await lineOf(world), point)).catch((error: unknown) => {
      wrong.push(`${nameOf(point)}: ${String(error)}`);
      if (SAMPLE !== 5 || ONLY !== undefined) console.log(wrong.at(-1));
    });
  }
  expect(wrong.join('\n\n')).toBe('');
}

async function tried<F>(
  world: World,
  line: Line<F>,
  { asked, fault, lies, always }: Point<F>,
): Promise<void> {
  const home = await world.home('laptop', { store: line.store });
  const changes = await makeChanges(world, home);
  let count = 0;
  line.spoil((what) => (what === asked && (count++ === 0 || always) ? fault : undefined));
  const ended = await syncOnce(home);
  line.spoil(() => undefined);
  expect(count, 'that it was asked').toBeGreaterThan(0);
  expect([0, 1, 75], ended.stderr).toContain(ended.code);
  const isQuiet = !/^(error|warning):/m.test(ended.stderr);
  expect(ended.code === 0 || !isQuiet, ended.stderr).toBe(true);
  await expectWhole(world, home, changes);
  if (ended.code === 0 && isQuiet && !lies) await expectConverged(world, home, changes);
  const next = await syncOnce(home);
  expect(next.code, `the next run: ${next.stderr}\nthe run before: ${ended.stderr}`).toBe(0);
  await expectConverged(world, home, changes);
}

/** A store that is silent is given up after its time limits. */
const syncOnce = async (home: Home) =>
  decent(await startBundle('cliproxyapi-sync', ['sync'], home, { timeoutMs: 300_000 }).ended);

const TIMEOUT = {
  timeout:
    SAMPLE === undefined || ONLY !== undefined ? 7_200_000 : Math.min(120_000 + SAMPLE * 30_000, 86_400_000),
};

describe.concurrent('with one kind of request that fails: it says so, loses nothing, and converges at the next run', () => {
  test.skipIf(!s3Server)('S3', TIMEOUT, () =>
    tryAll('s3', S3_WAYS, async (world) => {
      const { network, throughNetwork } = world as S3World;
      return {
        store: throughNetwork,
        spoil: (rule) => network.spoil(({ kind, key }) => rule(`${kind} ${withoutNames(key)}`)),
      };
    }),
  );

  test.skipIf(!postgresServer)('PostgreSQL', TIMEOUT, () =>
    tryAll('postgres', POSTGRES_WAYS, async (world) => {
      const { port, uri } = postgres();
      const network = await startPostgresNetwork(port);
      world.after(network.stop);
      const dsn = uri.replace(`:${port}/`, `:${network.port}/`);
      expect(dsn).not.toBe(uri);
      return {
        store: { ...world.settings, dsn } as HomeStore,
        spoil: (rule) => network.spoil((text) => rule(statementIn(text))),
      };
    }),
  );

  test('Git', TIMEOUT, () =>
    tryAll('git', GIT_WAYS, async (world) => {
      const { server, settings } = world as GitWorld;
      return {
        store: settings,
        spoil(rule) {
          // The same request comes more than once, for another thing each time.
          const counts = new Map<string, number>();
          server.spoil(({ method, service }) => {
            const request = `${method} ${service}`;
            counts.set(request, (counts.get(request) ?? 0) + 1);
            return rule(`${request} ${counts.get(request)}`);
          });
        },
      };
    }),
  );
});

/** Which part of the store a key is in. */
function withoutNames(key: string): string {
  return key.replace(/[^/]+\.json(?=\/|$)/g, '*').replace(/^sync\/probe\/.*/, 'sync/probe/*');
}

/** What tells a statement from the others, whatever the schema. */
function statementIn(text: string): string {
  const [statement = ''] = text
    .replace(/^[^\0]*\0(?=.)/s, (name) => (name.length > 1 ? name : ''))
    .split('\0');
  return statement
    .replace(/"[^"]*"\./g, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 90);
}
