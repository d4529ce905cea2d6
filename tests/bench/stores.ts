/** The same tasks on each kind of store, on this machine's own servers: what one costs more than another. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bundlePath, type Home, makeHome } from '../support/bundle.ts';
import { makeRepository } from '../support/git.ts';
import { startGitServer } from '../support/git-server.ts';
import { findPostgres, startPostgres } from '../support/postgres.ts';
import { rotate, writeCredentials } from './credentials.ts';
import { median, pairedRatio } from './figures.ts';
import type { Command, Sample } from './measure.ts';
import { table } from './tables.ts';
import type { Surroundings } from './tasks.ts';

const TASKS = [
  'first backup',
  'no-op backup',
  'backup of one change',
  'hydrate',
  'no-op backup of nothing',
] as const;
type StoreTask = (typeof TASKS)[number];

/** Per store, in the order of the columns, what each round of each task took. */
export type StoreColumns = ReadonlyMap<string, Readonly<Record<StoreTask, readonly Sample[]>>>;

/** Runs all tasks on all stores in turns. A store whose server is not installed is left out, loudly. */
export async function compareStores(
  count: number,
  rounds: number,
  around: Surroundings,
  cleanUps: (() => unknown)[],
): Promise<StoreColumns> {
  const stores = await variables(around, cleanUps);
  const columns = new Map(
    [...stores.keys()].map((name) => [
      name,
      Object.fromEntries(TASKS.map((task) => [task, [] as Sample[]])) as Record<StoreTask, Sample[]>,
    ]),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const [name, variablesOf] of stores) {
      around.progress(`${name}, round ${round} of ${rounds}`);
      const samples = columns.get(name);
      const store = { kind: 'variables', variables: await variablesOf(round) } as const;
      const home = (which: string) =>
        makeHome(around.root, `${name}-${round}-${which}`.replaceAll(' ', '-'), { store });
      const [nothing, first, second] = [await home('nothing'), await home('first'), await home('second')];
      // What is made on first use (a schema, a probe of the provider) is not the task.
      await around.meter.run(command('backup', nothing));
      samples?.['no-op backup of nothing'].push(await around.meter.run(command('backup', nothing)));
      await writeCredentials(first.authDir, count);
      samples?.['first backup'].push(await around.meter.run(command('backup', first)));
      samples?.['no-op backup'].push(await around.meter.run(command('backup', first)));
      await rotate(first.authDir, round % count, round);
      samples?.['backup of one change'].push(await around.meter.run(command('backup', first)));
      samples?.hydrate.push(await around.meter.run(command('hydrate', second)));
      const got = (await readdir(second.authDir)).filter((file) => file.endsWith('.json')).length;
      if (got !== count) throw new Error(`${name} brought ${got} of ${count} credentials`);
      for (const each of [nothing, first, second]) await rm(each.path, { recursive: true });
    }
  }
  return columns;
}

/** Tasks as rows, stores as columns. */
export function storesTable(columns: StoreColumns): string {
  const [[, first] = []] = columns;
  const rows = TASKS.map((task) => [
    task,
    ...[...columns.values()].map((samples) => {
      const ms = median(samples[task].map(({ wallMs }) => wallMs)).toFixed(0);
      const times = pairedRatio(samples[task], first?.[task] ?? []);
      return samples === first || times === undefined ? ms : `${ms} (${times.toFixed(1)})`;
    }),
  ]);
  return table(['task', ...columns.keys()], rows);
}

/** How each store is configured; called with a number to give a fresh one. */
async function variables(
  { root, bucket }: Surroundings,
  cleanUps: (() => unknown)[],
): Promise<ReadonlyMap<string, (round: number) => Promise<Record<string, string>>>> {
  const stores = new Map<string, (round: number) => Promise<Record<string, string>>>();
  stores.set('directory', async (round) => ({ LOCALSTORE_PATH: join(root, `store-${round}`) }));
  stores.set('S3', async (round) => {
    const { endpoint, bucket: name, accessKey, secretKey } = bucket(`stores-${round}`);
    return {
      OBJECTSTORE_ENDPOINT: endpoint,
      OBJECTSTORE_BUCKET: name,
      OBJECTSTORE_ACCESS_KEY: accessKey,
      OBJECTSTORE_SECRET_KEY: secretKey,
    };
  });
  const programs = findPostgres();
  if (programs) {
    const server = await startPostgres(programs);
    cleanUps.push(server.stop);
    stores.set('PostgreSQL', async (round) => ({
      PGSTORE_DSN: server.uri,
      PGSTORE_SCHEMA: `bench_${round}`,
    }));
  } else process.stderr.write('SKIPPED: PostgreSQL is not installed: no column for it.\n');
  const repositories = join(root, 'repositories');
  await mkdir(repositories);
  const server = await startGitServer(repositories);
  cleanUps.push(server.stop);
  stores.set('Git over HTTP', async (round) => {
    await makeRepository(join(repositories, `${round}.git`), 'main');
    return { GITSTORE_GIT_URL: `${server.origin}/${round}.git`, GITSTORE_GIT_TOKEN: server.token };
  });
  return stores;
}

function command(bundle: 'backup' | 'hydrate', home: Home): Command[] {
  return [{ argv: [process.execPath, bundlePath(bundle)], env: home.env }];
}
