import { mkdir, readdir } from 'node:fs/promises';
import type { OutsideStore } from '../support/outside.ts';
import { type Bucket, type Contestant, startUp, type Workplace } from './contestants.ts';
import { credentialName, rotate, writeCredentials } from './credentials.ts';
import type { Meter, Sample } from './measure.ts';

/** One thing that is timed, and what each contestant took in each round. */
export interface Measured {
  readonly task: TaskName;
  readonly credentials: number;
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
}

export type TaskName = 'no-op backup' | 'backup of one change' | 'hydrate' | '--version' | 'node -e 0';

export interface Surroundings {
  readonly root: string;
  readonly meter: Meter;
  /** A bucket that is not there yet. */
  bucket(name: string): Bucket;
  lookInto(bucket: Bucket): OutsideStore;
  progress(text: string): void;
}

/** Each contestant in a bucket and a directory of its own, all with the same credentials, in step. */
export interface Stage {
  readonly count: number;
  readonly places: readonly {
    readonly contestant: Contestant;
    readonly place: Workplace;
    readonly bucket: Bucket;
  }[];
}

export async function setStage(
  contestants: readonly Contestant[],
  count: number,
  { root, meter, bucket, lookInto, progress }: Surroundings,
): Promise<Stage> {
  const places: Stage['places'][number][] = [];
  for (const [index, contestant] of contestants.entries()) {
    progress(`${count} credentials for ${contestant.name}`);
    const name = `stage-${count}-${index}`;
    const own = bucket(name);
    const outside = lookInto(own);
    await outside.make();
    await outside.close();
    const place = await contestant.workplace(root, name, own);
    await mkdir(place.directory, { recursive: true });
    await writeCredentials(place.directory, count);
    await meter.run(place.backup);
    // What is in step is found out by a second run; the first may have more to remember than to write.
    await meter.run(place.backup);
    places.push({ contestant, place, bucket: own });
  }
  return { count, places };
}

export async function timeNoOp(stage: Stage, rounds: number, around: Surroundings): Promise<Measured> {
  around.progress(`no-op backup of ${stage.count}`);
  return measured('no-op backup', stage, rounds, async ({ place }) => around.meter.run(place.backup));
}

export async function timeOneChange(stage: Stage, rounds: number, around: Surroundings): Promise<Measured> {
  around.progress(`backup of one change in ${stage.count}`);
  return measured('backup of one change', stage, rounds, async ({ contestant, place, bucket }, round) => {
    const index = round % stage.count;
    const bytes = await rotate(place.directory, index, round);
    const sample = await around.meter.run(place.backup);
    const store = around.lookInto(bucket);
    for (const prefix of ['auths/', 'backup/auths/']) {
      const arrived = await store.read(prefix + credentialName(index));
      if (!arrived?.equals(bytes)) throw new Error(`${contestant.name} did not bring a change to ${prefix}`);
    }
    await store.close();
    return sample;
  });
}

/** All of them from one bucket, that of the stage's first. */
export async function timeHydrate(
  stage: Stage,
  contestants: readonly Contestant[],
  rounds: number,
  around: Surroundings,
): Promise<Measured> {
  around.progress(`hydrate of ${stage.count}`);
  const [first] = stage.places as [Stage['places'][number]];
  const places = await Promise.all(
    contestants.map(async (contestant, index) => {
      const name = `new-${stage.count}-${index}`;
      return {
        contestant,
        place: await contestant.workplace(around.root, name, first.bucket),
        bucket: first.bucket,
      };
    }),
  );
  return measured('hydrate', { ...stage, places }, rounds, async ({ contestant, place }) => {
    await place.reset();
    const sample = await around.meter.run(place.hydrate);
    const got = (await readdir(place.directory)).filter((name) => name.endsWith('.json')).length;
    if (got !== stage.count)
      throw new Error(`${contestant.name} brought ${got} of ${stage.count} credentials`);
    await place.reset();
    return sample;
  });
}

export async function timeStartUp(stage: Stage, rounds: number, around: Surroundings): Promise<Measured[]> {
  around.progress('start-up');
  const own = { ...stage, places: stage.places.filter(({ contestant }) => contestant.ours) };
  const version = new Map<string, Sample[]>();
  const nothing = await measured('node -e 0', own, rounds, async ({ contestant, place }) => {
    const commands = startUp(place);
    const sample = await around.meter.run([commands.nothing]);
    const samples = version.get(contestant.name) ?? [];
    version.set(contestant.name, [...samples, await around.meter.run([commands.version])]);
    return sample;
  });
  return [
    { task: '--version', credentials: 0, samples: version },
    { ...nothing, credentials: 0 },
  ];
}

/** Every contestant once in each round, so that what else the machine does meets all alike. */
async function measured(
  task: TaskName,
  { count, places }: Stage,
  rounds: number,
  once: (place: Stage['places'][number], round: number) => Promise<Sample>,
): Promise<Measured> {
  const samples = new Map(places.map(({ contestant }) => [contestant.name, [] as Sample[]]));
  for (let round = 1; round <= rounds; round++) {
    for (const place of places) samples.get(place.contestant.name)?.push(await once(place, round));
  }
  return { task, credentials: count, samples };
}
