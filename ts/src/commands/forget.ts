import { Command } from 'commander';
import type { CredentialName } from '../credential/name.ts';
import { forgetting } from '../history/choices.ts';
import { candidates } from '../sync/candidates.ts';
import type { BaseEntry, CredentialSnapshot } from '../sync/model.ts';
import { placeNames, shellWord } from '../sync/words.ts';
import { confirm } from '../terminal/confirm.ts';
import { printReport, reportJson } from '../terminal/report.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withHelp } from './command-help.ts';
import { type Act, commonOptions, EXIT, type RunOptions, UsageError } from './options.ts';
import { looking, resolveName } from './session.ts';
import { runOnce, settingsFor } from './sync.ts';

interface ForgetOptions extends RunOptions {
  readonly yes?: boolean;
}

/** The command line of `forget`. */
export function defineForget(act: Act): Command {
  const command = commonOptions(
    new Command('forget')
      .description('Deletes credentials everywhere, on purpose; history keeps them.')
      .argument('<name...>', "a credential's name or email")
      .option('--yes', 'do not ask'),
  )
    .option('--json', 'print one JSON document on stdout')
    .option('--dry-run', 'change nothing, print what would be done')
    .action((names: string[], options: ForgetOptions) =>
      act(options, (terminal) => forgetCommand(names, options, terminal)),
    );
  return withHelp(command, {
    notes: `Each is recorded as deleted in the store first, so other hosts delete it with their next run. The mass-deletion guard
does not stop it. Nothing is logged out: the provider still honours the tokens.`,
    examples: [
      ['cliproxyapi-sync forget claude-old@example.com.json'],
      ['cliproxyapi-sync restore --deleted claude-old@example.com.json', 'brings it back'],
    ],
  });
}

/** `forget`: asks, and has the planner delete. */
async function forgetCommand(
  typed: readonly string[],
  options: ForgetOptions,
  terminal: Terminal,
): Promise<number> {
  const settings = await settingsFor(options, terminal);
  const dryRun = options.dryRun === true;
  const found = await looking(settings, async ({ look }) => {
    const names = new Set<CredentialName>();
    let failed = false;
    if (look.storeError) return { names, failed, storeError: look.storeError };
    for (const text of typed) {
      const resolved = resolveName(text, look);
      if (resolved.kind === 'unknown') {
        failed = true;
        terminal.error(`${text}: ${resolved.reason}`, 'See what there is: cliproxyapi-sync status');
        continue;
      }
      const { name } = resolved;
      const seen = look.snapshot.credentials.get(name);
      if (isThere(seen, look.base.credentials.get(name))) {
        names.add(name);
        const places = seen ? candidates(seen).flatMap((candidate) => candidate.places) : [];
        terminal.info(`${name}: will be deleted from ${placeNames(places)}, and from every other host`);
      } else if (seen?.tombstone) terminal.info(`${name} is deleted already`);
      else {
        failed = true;
        terminal.error(
          `${name}: no place has a credential of that name`,
          'What is no credential can be removed by hand.',
        );
      }
    }
    return { names, failed, storeError: undefined };
  });
  if (found.storeError) throw found.storeError;
  // All or none: what was mistyped may have been what mattered.
  if (found.failed || found.names.size === 0) {
    const exitCode = found.failed ? EXIT.failed : EXIT.done;
    if (found.failed && found.names.size > 0) terminal.info('nothing was deleted');
    if (options.json) terminal.json({ exitCode, forgotten: [] });
    return exitCode;
  }
  const names = [...found.names];
  if (!dryRun && !options.yes) {
    const answer = await confirm(names.length === 1 ? 'Delete it?' : `Delete these ${names.length}?`);
    if (answer === undefined) throw new UsageError('forget asks before it deletes anything: add --yes');
    if (!answer) {
      terminal.info('nothing was deleted');
      return EXIT.failed;
    }
  }
  const report = await runOnce('sync', settings, terminal, {
    dryRun,
    allowDelete: found.names,
    choices: forgetting(names, Date.now()),
  });
  if (options.json) terminal.json({ ...reportJson('forget', report, dryRun), forgotten: names });
  printReport('forget', report, { dryRun, json: options.json === true }, terminal);
  if (report.exitCode === EXIT.done && !dryRun)
    terminal.info(
      `to bring ${names.length === 1 ? 'it' : 'them'} back: cliproxyapi-sync restore --deleted ${names.map(shellWord).join(' ')}`,
    );
  return report.exitCode;
}

function isThere(seen: CredentialSnapshot | undefined, entry: BaseEntry | undefined): boolean {
  return (
    (seen !== undefined && candidates(seen).length > 0) || (!seen?.tombstone && entry?.agreed !== undefined)
  );
}
