import { knownNames } from '../completion/names.ts';
import { foldName, parseName, printable } from '../credential/name.ts';
import type { Settings } from '../settings/settings.ts';
import { elsewhere, loginsElsewhere } from '../status/elsewhere.ts';
import { openStore } from '../stores/open.ts';
import { listLocal } from '../sync/local.ts';
import { type RunReport, run } from '../sync/run.ts';
import { problemSubject, shellWord } from '../sync/words.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

/** What a dry run may take. Milliseconds. */
const DRY_RUN_MS = 20_000;

/** The logins themselves: what the next run would do, and what it could not. */
export function credentialChecks(context: DoctorContext): readonly Check[] {
  const { settings, problem } = context;
  if (!settings) return [];
  return [
    {
      id: 'credentials',
      title: 'logins',
      after: ['auth-dir', 'ccs-dir', 'state-dir'],
      async look() {
        // Without its store, at least the files here.
        const store = problem
          ? ({ kind: 'directory', path: `${settings.stateDir}/none` } as const)
          : settings.store;
        const report = await run({
          permissions: { store: true },
          authDir: settings.authDir,
          otherAuthDirs: settings.otherAuthDirs,
          ccsDir: settings.ccsDir,
          stateDir: settings.stateDir,
          hostName: settings.hostName,
          lockWaitMs: 0,
          dryRun: true,
          allowDelete: new Set(),
          openStore: (state) => openStore(store, state.memory, settings.stateDir),
          signal: AbortSignal.timeout(DRY_RUN_MS),
        });
        return stateOf(report, problem === undefined);
      },
    },
    { id: 'twins', title: 'twins', look: () => twins(context) },
    {
      id: 'elsewhere',
      title: 'logins elsewhere',
      after: ['auth-dir', 'state-dir'],
      look: () => loginsInProxyHome(settings),
    },
  ];
}

function stateOf(report: RunReport, isStoreKnown: boolean): Finding {
  const { problems, held, guard, credentials, results, storeError, stopped } = report;
  const wrong = [
    ...problems
      .filter(({ place }) => place !== 'state')
      .map((one) => `${printable(problemSubject(one))} ${one.reason}`),
    ...held.filter(({ waitsFor }) => waitsFor === 'person').map(({ name, reason }) => `${name}: ${reason}`),
  ];
  if (wrong.length > 0) {
    const [first] = [
      ...problems.filter(({ place }) => place !== 'state'),
      ...held.filter(({ waitsFor }) => waitsFor === 'person'),
    ];
    const remedy = first?.remedy ?? 'cliproxyapi-sync sync';
    return { status: 'failed', message: wrong.join('; '), remedy };
  }
  if (guard) {
    const { names, total } = guard;
    return {
      status: 'failed',
      message: `the mass-deletion guard holds: ${names.length} of ${total} would be deleted`,
      remedy: `\`cliproxyapi-sync sync\` puts them back. If they are meant to go: \`cliproxyapi-sync forget ${names.map(shellWord).join(' ')}\``,
    };
  }
  if (storeError || stopped !== undefined || !isStoreKnown)
    return { status: 'skipped', message: 'the store could not be asked; the files here are in order' };
  const changes = results.length;
  return changes === 0
    ? { status: 'ok', message: `${credentials}, all in step` }
    : {
        status: 'warning',
        message: `${credentials}, of which the next run would change ${changes}`,
        remedy: 'cliproxyapi-sync sync --dry-run',
      };
}

async function loginsInProxyHome(settings: Settings): Promise<Finding> {
  const { proxyHome } = settings;
  const known = new Set(await knownNames(settings));
  const found = await loginsElsewhere(proxyHome, (name) => known.has(name));
  const problem = elsewhere(found, settings);
  return problem
    ? { status: 'warning', message: problem.reason, remedy: problem.remedy }
    : { status: 'ok', message: `none in ${proxyHome} itself` };
}

/** Names that one file would hold on a Mac. */
async function twins({ settings, store }: DoctorContext): Promise<Finding> {
  const names = new Set<string>();
  if (settings) {
    for (const name of (await listLocal('auth', settings.authDir)).sightings.keys()) names.add(name);
    if (settings.ccsDir !== undefined)
      for (const name of (await listLocal('ccs', settings.ccsDir)).sightings.keys()) names.add(name);
  }
  const listed = await store?.listing().catch(() => undefined);
  for (const name of listed?.current.keys() ?? []) if (parseName(name).ok) names.add(name);
  const byFolded = new Map<string, string[]>();
  for (const name of names) byFolded.set(foldName(name), [...(byFolded.get(foldName(name)) ?? []), name]);
  const [twin] = [...byFolded.values()].filter((same) => same.length > 1);
  if (!twin) return { status: 'ok', message: 'no two names differ in case alone' };
  const [one = '', other = ''] = twin;
  return {
    status: 'warning',
    message: `${one} and ${other} differ in case alone: a Mac has one file for both, and leaves them alone`,
    remedy: `cd ${shellWord(settings?.authDir ?? '.')} && mv ${shellWord(other)} ${shellWord(other.replace(/\.json$/, '-2.json'))} && cliproxyapi-sync sync`,
  };
}
