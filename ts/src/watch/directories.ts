/**
 * Notices changes in directories that may be missing, deleted, made again or mounted over, on file systems with events
 * and without: events are taken as hints, at once, and a cheap look every other second finds what they miss.
 */
import { type FSWatcher, lstatSync, readdirSync, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';

export interface DirectoryWatch {
  /** What is there now is known: call it before it is read. Only what differs from it is told by a look. */
  seen(): void;
  close(): void;
}

/** Milliseconds between looks; longer where a look takes long, so that it costs a hundredth of the time at most. */
const LOOK_EVERY_MS = 2_000;
const LOOK_SHARE = 100;
/** No auth dir nests deeper, and no look goes further. */
const MAX_DEPTH = 16;

/**
 * Calls `onChange` whenever a credential file in one of the directories may have come, gone or changed; more often
 * than needed rather than too rarely. What hidden files do is not told: our own temporary files and markers are hidden.
 *
 * @param useEvents False: looks alone, for tests.
 */
export function watchDirectories(
  directories: readonly string[],
  onChange: () => void,
  { useEvents = true, everyMs = LOOK_EVERY_MS } = {},
): DirectoryWatch {
  const watches = directories.map((directory) => watchOne(directory, onChange, useEvents));
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const from = performance.now();
    for (const each of watches) each.look();
    const took = performance.now() - from;
    timer = setTimeout(look, Math.max(everyMs, took * LOOK_SHARE));
  };
  timer = setTimeout(look, everyMs);
  return {
    seen() {
      for (const each of watches) each.seen();
    },
    close() {
      clearTimeout(timer);
      for (const each of watches) each.close();
    },
  };
}

function watchOne(directory: string, onChange: () => void, useEvents: boolean) {
  let watchers: FSWatcher[] = [];
  let armedFor: string | undefined;
  let known = stampOf(directory);

  const disarm = () => {
    for (const watcher of watchers) watcher.close();
    watchers = [];
  };
  const listen = (path: string, isOurs: (name: string | null) => boolean) => {
    try {
      const watcher = watch(path, (_, name) => {
        if (isOurs(name)) onChange();
        // The directory itself may have gone, come, or been replaced.
        arm();
      });
      // Gone, or no more watches to be had: the looks go on.
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    } catch {
      // As above.
    }
  };
  /** Watches what has the directory's name now, and what is above it, which tells when that is another one. */
  const arm = () => {
    const identity = identityOf(directory);
    const above = nearest(dirname(directory));
    const wanted = `${identity} below ${above}`;
    if (!useEvents || armedFor === wanted) return;
    const isFirst = armedFor === undefined;
    disarm();
    armedFor = wanted;
    if (identity !== MISSING) listen(directory, (name) => name === null || isTold(name));
    listen(above, () => false);
    if (!isFirst) onChange();
  };
  arm();

  return {
    look() {
      arm();
      const now = stampOf(directory);
      if (now === known) return;
      known = now;
      onChange();
    },
    seen() {
      known = stampOf(directory);
    },
    close: disarm,
  };
}

const MISSING = 'missing';

/** Which directory it is; another one after it was deleted and made again. */
function identityOf(directory: string): string {
  const found = statSync(directory, { bigint: true, throwIfNoEntry: false });
  return found?.isDirectory() ? `${found.dev} ${found.ino} ${found.birthtimeNs}` : MISSING;
}

/** The path, or the first above it that is there. */
function nearest(path: string): string {
  return path === dirname(path) || identityOf(path) !== MISSING ? path : nearest(dirname(path));
}

/** Names that a credential, or a folder of some, may have. */
function isTold(name: string): boolean {
  return !name.startsWith('.');
}

/** What changes whenever a file below is written, replaced or removed. */
function stampOf(directory: string): string {
  const stamps: string[] = [identityOf(directory)];
  const walk = (path: string, depth: number) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (!isTold(entry.name)) continue;
      const below = join(path, entry.name);
      if (entry.isDirectory() && depth > 0) walk(below, depth - 1);
      if (!entry.name.endsWith('.json')) continue;
      const found = lstatSync(below, { bigint: true, throwIfNoEntry: false });
      stamps.push(`${below} ${found?.ino} ${found?.size} ${found?.mtimeNs}`);
    }
  };
  try {
    walk(directory, MAX_DEPTH);
  } catch {
    // Missing, or it went meanwhile: as much as was seen.
  }
  return stamps.join('\n');
}
