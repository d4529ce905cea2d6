import { Command } from 'commander';
import { exitCodeOf, runChecks } from '../doctor/check.ts';
import { openContext } from '../doctor/context.ts';
import { allChecks } from '../doctor/doctor.ts';
import type { Machine } from '../services/switch.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { doctorJson, printResult, printVerdict } from '../terminal/doctor.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withHelp } from './command-help.ts';
import { type Act, type CommonOptions, commonOptions, EXIT, STORE_KINDS } from './options.ts';
import { machineFor } from './services.ts';

interface DoctorOptions extends CommonOptions {
  readonly fix?: boolean;
}

/** The command line of `doctor`. */
export function defineDoctor(act: Act): Command {
  const command = commonOptions(new Command('doctor'))
    .description('Looks at everything that can be wrong on this machine, and says what to type.')
    .option(
      '--fix',
      'put right what is safe to put right: rights, missing directories, what killed runs left',
    )
    .option('--json', 'print one JSON document on stdout')
    .action((options: DoctorOptions) => act(options, (terminal) => doctorCommand(options, terminal)));
  return withHelp(command, {
    notes: `Nothing is changed but by --fix, and but for what the checks themselves need for a moment: an object below
sync/probe/ in the store, and a hidden file in the watched directories, where services wait for changes.`,
    exitCodes: {
      [EXIT.done]: 'all is well, or there are warnings',
      [EXIT.failed]: 'something failed',
      [EXIT.tryAgain]: 'only the store is out of reach',
      [EXIT.configuration]: 'something is configured wrongly',
    },
    examples: [['cliproxyapi-sync doctor'], ['cliproxyapi-sync doctor --fix']],
  });
}

/** `doctor`: makes all checks. */
export async function doctorCommand(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const { envFile, store, json = false, fix = false } = options;
  const source = {
    env: process.env,
    ...(envFile !== undefined && { envFile }),
    ...(store !== undefined && { store: STORE_KINDS[store] }),
  };
  const context = await openContext(source, machineOrNone(), process.argv[1] ?? '');
  try {
    const results = await runChecks(allChecks(context), { fix }, (result) => {
      if (!json) printResult(result, terminal);
    });
    const exitCode = exitCodeOf(results);
    if (json) terminal.json(doctorJson(results, exitCode));
    else printVerdict(results, terminal);
    return exitCode;
  } finally {
    await context.close();
  }
}

function machineOrNone(): Machine | undefined {
  try {
    return machineFor(process.env);
  } catch (error) {
    // Without a home, no user has services.
    if (error instanceof SettingsError) return undefined;
    throw error;
  }
}
