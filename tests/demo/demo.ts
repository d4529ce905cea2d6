/**
 * `make demo`: the main job, from a login to a crash, with two homes, the real programs, and a real S3 server. It
 * needs no settings and leaves nothing behind. CLIPROXY_BIN: the proxy to run instead of the stand-in.
 * DEMO_STORE=directory: without S3, as where SeaweedFS is missing.
 */
import { narrator } from './narrator.ts';
import { tell } from './story.ts';
import { makeWorld, type World } from './world.ts';

async function main(): Promise<number> {
  const started = Date.now();
  let world: World | undefined;
  const write = (text: string) => {
    if (!world?.interrupted()) process.stdout.write(text);
  };
  const say = narrator(process.stdout, write, (text) => shorten(text, world));
  say.text('cliproxyapi-sync keeps the OAuth logins of CLIProxyAPI safe and in step across machines.');
  say.text('This is a laptop and a server: two home directories in a temporary directory of this machine.');
  try {
    world = await makeWorld();
    const checks = await tell(world, say);
    write('\nChecked on both disks and in the store\n');
    for (const { text, ok } of checks) say.check(text, ok);
    const failed = checks.filter(({ ok }) => !ok).length;
    const seconds = Math.round((Date.now() - started) / 1000);
    write(`\n${checks.length - failed} of ${checks.length} checks ok, in ${seconds} s\n`);
    return failed === 0 ? 0 : 1;
  } catch (error) {
    if (world?.interrupted()) await new Promise(() => undefined);
    process.stdout.write(
      `\nFAILED: the demo could not go on: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    return 1;
  } finally {
    await world?.close();
  }
}

/** Paths as a user of one of the two homes sees them. */
function shorten(text: string, world: World | undefined): string {
  if (!world) return text;
  return text
    .replaceAll(world.laptop.path, '~')
    .replaceAll(world.server.path, '~')
    .replaceAll(`${world.root}/`, '/');
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
