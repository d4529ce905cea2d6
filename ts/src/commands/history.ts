import { Command } from 'commander';
import { type Freshness, ownFreshness } from '../credential/freshness.ts';
import { contentOf, type VersionId } from '../credential/version.ts';
import { type CredentialHistory, collectHistory, readVersion } from '../history/collect.ts';
import type { Store } from '../stores/store.ts';
import { historyJson, historyLines, overviewLines } from '../terminal/history.ts';
import { screenFor } from '../terminal/screen.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withHelp } from './command-help.ts';
import { type Act, commonOptions, EXIT, type RunOptions } from './options.ts';
import { looking, resolveName } from './session.ts';
import { settingsFor } from './sync.ts';

/** So many versions are read to tell when each was refreshed; older ones go without. */
const MAX_READ = 200;

/** The command line of `history`. */
export function defineHistory(act: Act): Command {
  const command = commonOptions(
    new Command('history')
      .description('Shows what versions there were, and why each was replaced. Writes nothing, anywhere.')
      .argument('[name]', "a credential's name or email; without it, one line for each"),
  )
    .option('--json', 'print one JSON document on stdout')
    .action((name: string | undefined, options: RunOptions) =>
      act(options, (terminal) => historyCommand(name, options, terminal)),
    );
  return withHelp(command, {
    exitCodes: { [EXIT.tryAgain]: 'the store is out of reach: what this host has itself is shown' },
    examples: [
      ['cliproxyapi-sync history'],
      ['cliproxyapi-sync history claude-me@example.com.json'],
      ['cliproxyapi-sync restore claude-me@example.com.json --version 3f2a9c', 'takes one back'],
    ],
  });
}

/** `history`: with the store out of reach, what this host has itself, and 75. */
async function historyCommand(
  typed: string | undefined,
  options: RunOptions,
  terminal: Terminal,
): Promise<number> {
  const settings = await settingsFor(options, terminal);
  return looking(settings, async ({ look, store }) => {
    const { storeError } = look;
    const all = await collectHistory(look, store, settings.stateDir);
    const found = typed === undefined ? undefined : resolveName(typed, look, all.keys());
    const one = found?.kind === 'found' ? all.get(found.name) : undefined;
    const chosen = typed === undefined ? [...all.values()] : one ? [one] : [];

    if (storeError)
      terminal.error(`${storeError.message} This is what this host knows itself.`, storeError.remedy);
    const isMissing = typed !== undefined && !one;
    if (isMissing) {
      const reason = found?.kind === 'unknown' ? found.reason : 'history has nothing of it';
      terminal.error(`${typed}: ${reason}`, 'See what there is: cliproxyapi-sync history');
    }
    const codes = { unreachable: EXIT.tryAgain, refused: EXIT.failed, configuration: EXIT.configuration };
    const exitCode = storeError ? codes[storeError.kind] : isMissing ? EXIT.failed : EXIT.done;

    const freshness = one
      ? await freshnessOfAll(one, store, settings.stateDir, storeError === undefined)
      : new Map();
    const screen = screenFor(process.stdout, process.env);
    const now = Date.now();
    if (options.json) {
      terminal.json(historyJson(chosen, new Map(one ? [[one.name, freshness]] : []), exitCode));
    } else if (one) terminal.data(`${historyLines(one, freshness, now, screen).join('\n')}\n`);
    else if (!isMissing)
      terminal.data(`${overviewLines(chosen, storeError === undefined, now, screen).join('\n')}\n`);
    return exitCode;
  });
}

async function freshnessOfAll(
  { name, versions }: CredentialHistory,
  store: Store,
  stateDir: string,
  reachable: boolean,
): Promise<ReadonlyMap<VersionId, Freshness>> {
  const found = new Map<VersionId, Freshness>();
  const readable = versions.slice(-MAX_READ).filter(({ onHost }) => onHost || reachable);
  await Promise.all(
    readable.map(async (version) => {
      const read = await readVersion(name, version, store, stateDir);
      if (read) found.set(version.id, ownFreshness(contentOf(read)));
    }),
  );
  return found;
}
