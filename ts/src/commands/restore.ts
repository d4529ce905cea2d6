import { Command, Option } from 'commander';
import type { CredentialName } from '../credential/name.ts';
import { contentOf, type Version } from '../credential/version.ts';
import { restoring } from '../history/choices.ts';
import { type CredentialHistory, collectHistory, readVersion } from '../history/collect.ts';
import { parseWhen, pickVersion, type Wish } from '../history/pick.ts';
import type { Settings } from '../settings/settings.ts';
import { freshnessWords, instantWords, shellWord, shortId } from '../sync/words.ts';
import { confirm } from '../terminal/confirm.ts';
import { printReport, reportJson } from '../terminal/report.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withHelp } from './command-help.ts';
import { type Act, commonOptions, EXIT, type RunOptions, UsageError } from './options.ts';
import { looking, resolveName } from './session.ts';
import { runOnce, settingsFor } from './sync.ts';

interface RestoreOptions extends RunOptions {
  readonly at?: string;
  /** As `--version` comes in. */
  readonly version?: string;
  readonly deleted?: boolean;
  readonly yes?: boolean;
}

/** The command line of `restore`. */
export function defineRestore(act: Act): Command {
  const command = commonOptions(
    new Command('restore')
      .description(
        'Makes an earlier version of a credential current everywhere, or brings deleted ones back.',
      )
      .argument('[name...]', "a credential's name or email")
      .addOption(new Option('--at <time>', 'the version that was the newest then').conflicts('version'))
      .option('--version <id>', 'the version whose id begins so')
      .option('--deleted', 'bring back what was deleted: all of it, or these')
      .option('--yes', 'do not ask'),
  )
    .option('--json', 'print one JSON document on stdout')
    .option('--dry-run', 'change nothing, print what would be done')
    .action((names: string[], options: RestoreOptions) =>
      act(options, (terminal) => restoreCommand(names, options, terminal)),
    );
  return withHelp(command, {
    notes: `Without --at and --version it is the version before the current one, so a second restore undoes the first.
Times: 2026-11-22, 2026-11-22 14:30, RFC 3339, or how long ago: 3h, 2d.`,
    examples: [
      ['cliproxyapi-sync history claude-me@example.com.json'],
      ['cliproxyapi-sync restore claude-me@example.com.json --version 3f2a9c'],
      ['cliproxyapi-sync restore me@example.com --at 2d'],
      ['cliproxyapi-sync restore --deleted'],
    ],
  });
}

interface Restoration {
  readonly name: CredentialName;
  readonly version: Version;
  readonly history: CredentialHistory;
}

/** `restore`: picks the versions, asks, and has the planner make them current. */
async function restoreCommand(
  typed: readonly string[],
  options: RestoreOptions,
  terminal: Terminal,
): Promise<number> {
  const wish = wishOf(options);
  if (typed.length === 0 && !options.deleted)
    throw new UsageError('restore needs the name of a credential, or --deleted');
  if (typed.length > 1 && wish.version !== undefined) throw new UsageError('--version is for one credential');
  const settings = await settingsFor(options, terminal);
  const dryRun = options.dryRun === true;
  const picked = await pick(typed, wish, options, settings, terminal);
  if (picked.storeError) throw picked.storeError;

  const { restorations, failed } = picked;
  if (restorations.length === 0) {
    if (options.json) terminal.json({ exitCode: failed ? EXIT.failed : EXIT.done, restored: [] });
    return failed ? EXIT.failed : EXIT.done;
  }
  for (const restoration of restorations) terminal.info(words(restoration));
  if (!dryRun && !options.yes) {
    const question = restorations.length === 1 ? 'Restore it?' : `Restore these ${restorations.length}?`;
    const answer = await confirm(question);
    if (answer === undefined) throw new UsageError('restore asks before it changes anything: add --yes');
    if (!answer) {
      terminal.info('nothing was changed');
      return EXIT.failed;
    }
  }
  const versions = new Map(restorations.map(({ name, version }) => [name, version]));
  const choices = restoring(versions, settings.hostName, Date.now());
  const report = await runOnce('sync', settings, terminal, { dryRun, choices });
  const exitCode = failed && report.exitCode === EXIT.done ? EXIT.failed : report.exitCode;
  if (options.json) {
    terminal.json({
      ...reportJson('restore', report, dryRun),
      exitCode,
      restored: restorations.map(({ name, version }) => ({ name, version: version.id })),
    });
  }
  printReport('restore', report, { dryRun, json: options.json === true }, terminal);
  if (report.exitCode === EXIT.done && !dryRun)
    for (const restoration of restorations) advise(restoration, terminal);
  return exitCode;
}

function wishOf({ at, version }: RestoreOptions): Wish {
  if (version !== undefined && !/^[0-9a-f]{4,64}$/i.test(version))
    throw new UsageError('--version needs at least the first 4 characters of an id, as history shows it');
  const time = at === undefined ? undefined : parseWhen(at, Date.now());
  if (at !== undefined && time === undefined)
    throw new UsageError(`--at ${at} is no time: such as 2026-11-22, "2026-11-22 14:30", 3h or 2d`);
  return { ...(time !== undefined && { at: time }), ...(version !== undefined && { version }) };
}

/** The versions that are meant. What cannot be restored is said. */
async function pick(
  typed: readonly string[],
  wish: Wish,
  { deleted }: RestoreOptions,
  settings: Settings,
  terminal: Terminal,
) {
  return looking(settings, async ({ look, store }) => {
    const restorations: Restoration[] = [];
    let failed = false;
    const fail = (message: string, remedy: string) => {
      failed = true;
      terminal.error(message, remedy);
    };
    // Without the store no other host would learn of it.
    if (look.storeError) return { restorations, failed, storeError: look.storeError };
    const histories = await collectHistory(look, store, settings.stateDir);
    const wanted: CredentialName[] = [];
    for (const text of typed) {
      const found = resolveName(text, look, histories.keys());
      if (found.kind === 'found') wanted.push(found.name);
      else fail(`${text}: ${found.reason}`, 'See what there is: cliproxyapi-sync history');
    }
    const isDeleted = (name: CredentialName) => {
      const history = histories.get(name);
      return history !== undefined && (history.tombstone !== undefined || history.isMissingHere);
    };
    if (deleted && typed.length === 0) wanted.push(...[...histories.keys()].filter(isDeleted));
    if (deleted && wanted.length === 0 && !failed) terminal.info('no credential is deleted');
    for (const name of new Set(wanted)) {
      const history = histories.get(name);
      if (deleted && !isDeleted(name)) {
        terminal.info(`${name} is not deleted`);
        continue;
      }
      const choice = history && pickVersion(history, wish);
      if (!history || !choice) {
        fail(
          `${name}: history has nothing of it`,
          'Is it the right store? `cliproxyapi-sync status` says which one it is. If so: log in again.',
        );
      } else if (choice.kind === 'none') fail(`${name} ${choice.reason}`, choice.remedy);
      else if (choice.kind === 'current')
        terminal.info(`${name}: version ${shortId(choice.id)} is the current one already`);
      else {
        const version = await readVersion(name, choice, store, settings.stateDir);
        if (version) restorations.push({ name, version, history });
        else
          fail(
            `${name}: version ${shortId(choice.id)} is not in history any more`,
            `Choose another one: cliproxyapi-sync history ${shellWord(name)}`,
          );
      }
    }
    return { restorations, failed, storeError: undefined };
  });
}

function words({ name, version, history }: Restoration): string {
  const { current, tombstone, isMissingHere } = history;
  const kept = history.versions.find(({ id }) => id === version.id);
  const from = kept?.host ? ` from ${kept.host}` : '';
  const inPlace = tombstone
    ? `it was deleted on ${tombstone.host} at ${instantWords(tombstone.time)}`
    : isMissingHere
      ? 'it is gone from this host'
      : current === undefined
        ? 'no place has it now'
        : `in the place of version ${shortId(current)}`;
  return `${name}: version ${shortId(version.id)}${from}, ${freshnessWords(version.freshness)}; ${inPlace}`;
}

function advise({ name, version, history }: Restoration, terminal: Terminal): void {
  const { refresh_token: token } = contentOf(version);
  if (typeof token === 'string' && token !== '') {
    terminal.warn(
      `${name}: a refresh token is good for one use, and this old one may be spent. If the proxy cannot refresh it, log in again.`,
    );
  }
  const undo =
    history.tombstone || history.isMissingHere
      ? `cliproxyapi-sync forget ${shellWord(name)}`
      : history.current &&
        `cliproxyapi-sync restore ${shellWord(name)} --version ${shortId(history.current)}`;
  if (undo) terminal.info(`to undo it: ${undo}`);
}
