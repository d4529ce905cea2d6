/** What can happen in a world, as data, and in words. */
import type { HistoryKeep } from '../../ts/src/sync/rules/expendable.ts';
import type { Fault } from './machine/process.ts';

/** A story: who is there at the start, and what happens then, one after another. */
export interface Story {
  readonly hosts: readonly { readonly ccs: boolean }[];
  /** How many credentials there are at the start, on the first host. */
  readonly credentials: number;
  /** Whether all hosts have agreed on them already. */
  readonly agreed: boolean;
  /** The provider honours conditions. */
  readonly conditions: boolean;
  readonly tags: 'content' | 'writes';
  /** How much history is kept; undefined: all. */
  readonly keep?: HistoryKeep | undefined;
  readonly steps: readonly Step[];
}

export type LocalPlace = 'auth' | 'ccs';

/** What people, proxies, disks and clocks do. `host` and `name` are numbers, taken modulo how many there are. */
export type Happening =
  | {
      readonly kind: 'login';
      readonly host: number;
      readonly name: number;
      readonly dates: Dates;
      /** Its file is not on the disk yet: it would not survive a loss of power. */
      readonly isUnsynced?: boolean | undefined;
    }
  | { readonly kind: 'rotate'; readonly host: number; readonly name: number; readonly place: LocalPlace }
  | {
      readonly kind: 'edit';
      readonly host: number;
      readonly name: number;
      readonly place: LocalPlace;
      readonly field: 'note' | 'disabled';
    }
  | { readonly kind: 'remove'; readonly host: number; readonly name: number; readonly place: LocalPlace }
  | { readonly kind: 'write back'; readonly host: number; readonly name: number; readonly age: number }
  | { readonly kind: 'pause' | 'unpause'; readonly host: number; readonly name: number }
  | { readonly kind: 'truncate'; readonly host: number; readonly name: number; readonly place: LocalPlace }
  | { readonly kind: 'half'; readonly host: number; readonly name: number; readonly place: LocalPlace }
  | { readonly kind: 'finish'; readonly host: number }
  | { readonly kind: 'state'; readonly host: number; readonly damage: StateDamage }
  | { readonly kind: 'clock'; readonly host: number; readonly hours: number }
  | { readonly kind: 'time'; readonly seconds: number }
  | { readonly kind: 'outage'; readonly on: boolean }
  | { readonly kind: 'native write'; readonly host: number; readonly name: number; readonly how: Native }
  | { readonly kind: 'native delete'; readonly name: number }
  | { readonly kind: 'image' | 'restore image'; readonly host: number }
  | {
      readonly kind: 'directory';
      readonly host: number;
      readonly place: LocalPlace;
      readonly how: 'emptied' | 'remade';
    }
  | { readonly kind: 'store lost'; readonly what: 'objects' | 'all' };

export type Dates = 'refreshed' | 'expiring' | 'none' | 'far ahead';
export type StateDamage = 'lost' | 'base torn' | 'intents torn' | 'base gone' | 'remembered' | 'rolled back';
export type Native = 'new' | 'old' | 'garbage';

/** One run of ours, and what befalls it. */
export interface Run {
  readonly host: number;
  readonly command: 'sync' | 'backup' | 'hydrate';
  /** What a person asks of it by name; with `sync`. */
  readonly choice?: PersonsChoice | undefined;
  /** Asked to end (SIGTERM, or its time is up) at its nth call. */
  readonly abortAt?: number | undefined;
  /** Killed before its nth write. */
  readonly crashAt?: number | undefined;
  /** The machine loses power then; which of what was not synced survives is drawn from this number. */
  readonly powerLoss?: number | undefined;
  readonly faults: readonly { readonly at: number; readonly fault: Fault }[];
  readonly interrupts: readonly { readonly at: number; readonly happening: Happening }[];
}

/** `age`: of the versions in history the so-manieth from the last. */
export type PersonsChoice =
  | { readonly kind: 'restore'; readonly name: number; readonly age: number }
  | { readonly kind: 'forget'; readonly name: number };

export type Step =
  | Happening
  /** Runs at the same time, their turns drawn from the seed; 0: in the order in which they ask. */
  | { readonly kind: 'runs'; readonly runs: readonly Run[]; readonly seed: number };

export const HOSTS = ['laptop', 'desktop', 'server', 'tablet'] as const;
export const NAMES = ['a.json', 'b.json', 'c.json', 'team/d.json', 'e.json', 'f.json'] as const;

export function hostName(number: number, { hosts }: Pick<Story, 'hosts'>): string {
  return HOSTS[number % hosts.length] as string;
}

export function credentialName(number: number): string {
  return NAMES[number % NAMES.length] as string;
}

/** A whole story for a person. */
export function tell(story: Story): string {
  const hosts = story.hosts.map(({ ccs }, index) => `${HOSTS[index]}${ccs ? '' : ' (no CCS)'}`).join(', ');
  const start = `${hosts}; ${story.credentials} credentials${story.agreed ? ', agreed on by all' : ' on the first host'}`;
  const store = `${story.conditions ? '' : '; the store ignores conditions'}; tags of ${story.tags}`;
  const keep = story.keep
    ? `; history is kept for ${story.keep.versions} versions and ${story.keep.days} days`
    : '';
  return [`${start}${store}${keep}`, ...story.steps.map((step) => tellStep(step, story))].join('\n  ');
}

/** One step for a person. */
export function tellStep(step: Step, story: Pick<Story, 'hosts'>): string {
  if (step.kind !== 'runs') return tellHappening(step, story);
  const [first, ...others] = step.runs.map((run) => tellRun(run, story));
  return others.length === 0 ? `${first}` : `at once (turns ${step.seed}): ${[first, ...others].join(' | ')}`;
}

function tellRun(
  { host, command, choice, abortAt, crashAt, powerLoss, faults, interrupts }: Run,
  story: Pick<Story, 'hosts'>,
) {
  const parts = [`${hostName(host, story)}: ${choice ? tellChoice(choice) : command}`];
  if (abortAt !== undefined) parts.push(`asked to end at its call ${abortAt}`);
  for (const { at, happening } of interrupts)
    parts.push(`at its call ${at} (${tellHappening(happening, story)})`);
  for (const { at, fault } of faults) parts.push(`its call ${at} fails with ${fault}`);
  if (crashAt !== undefined)
    parts.push(
      powerLoss === undefined
        ? `killed before its write ${crashAt}`
        : `power lost at its write ${crashAt} (${powerLoss})`,
    );
  return parts.join(', ');
}

function tellChoice(choice: PersonsChoice): string {
  const name = credentialName(choice.name);
  return choice.kind === 'forget' ? `forget ${name}` : `restore ${name}, ${choice.age} versions back`;
}

function tellHappening(step: Happening, story: Pick<Story, 'hosts'>): string {
  const host = 'host' in step ? hostName(step.host, story) : '';
  const name = 'name' in step ? credentialName(step.name) : '';
  const dir = 'place' in step ? (step.place === 'auth' ? 'auth dir' : 'CCS dir') : '';
  switch (step.kind) {
    case 'login':
      return `${host}: login ${name} (dates: ${step.dates}${step.isUnsynced ? ', not on the disk yet' : ''})`;
    case 'rotate':
      return `${host}: ${name} is refreshed in the ${dir}`;
    case 'edit':
      return `${host}: ${step.field} of ${name} is edited in the ${dir}`;
    case 'remove':
      return `${host}: ${name} is deleted from the ${dir}`;
    case 'write back':
      return `${host}: the proxy writes back an old ${name} (${step.age} versions old)`;
    case 'pause':
    case 'unpause':
      return `${host}: ${step.kind}s ${name}`;
    case 'truncate':
      return `${host}: ${name} is truncated in the ${dir}`;
    case 'half':
      return `${host}: half of a new ${name} is written in the ${dir}`;
    case 'finish':
      return `${host}: what was half-written is finished`;
    case 'state':
      return `${host}: its state is ${step.damage}`;
    case 'clock':
      return `${host}: its clock is ${step.hours} hours ahead`;
    case 'time':
      return `${step.seconds} s pass`;
    case 'outage':
      return step.on ? 'the store goes out of reach' : 'the store is back';
    case 'native write':
      return `a native proxy (${host}) writes ${step.how === 'garbage' ? 'garbage as' : `${step.how === 'new' ? 'a new' : 'an old'}`} ${name} to the store`;
    case 'native delete':
      return `a native proxy deletes ${name} from the store`;
    case 'image':
      return `${host}: an image of its disk is taken`;
    case 'restore image':
      return `${host}: comes back from the image of its disk`;
    case 'directory':
      return `${host}: its ${dir} is ${step.how}`;
    case 'store lost':
      return step.what === 'all' ? 'the store is wiped' : 'the objects in the store are wiped';
  }
}
