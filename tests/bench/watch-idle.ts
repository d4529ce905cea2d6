/**
 * What `watch` costs while nothing happens: `make watch-idle` (ten minutes; WATCH_IDLE_MINUTES=n for others).
 * On Linux, where /proc tells.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type HomeStore, makeHome, ownCache, type RunOptions, startBundle } from '../support/bundle.ts';
import { findWeed, startSeaweedFs } from '../support/seaweedfs.ts';
import { writeCredentials } from './credentials.ts';

export interface IdleFigures {
  readonly seconds: number;
  /** Of the time, in percent of one core. */
  readonly cpuPercent: number;
  /** When the time was over, and the most at any time. MB. */
  readonly rss: number;
  readonly peakRss: number;
}

/** Starts a watch over a few logins, lets it come to rest, and measures it for a while. */
export async function measureIdle(
  store: HomeStore,
  seconds: number,
  { node = process.execPath, args = [], env = {} }: RunOptions & { readonly args?: readonly string[] } = {},
): Promise<IdleFigures> {
  const root = await mkdtemp(join(tmpdir(), 'watch-idle-'));
  try {
    const home = await makeHome(root, 'idle', { store, ccs: true });
    await writeCredentials(home.authDir, 10);
    const watch = startBundle('cliproxyapi-sync', ['watch', ...args], home, {
      node,
      env: { XDG_CACHE_HOME: ownCache(root), ...env },
      timeoutMs: (seconds + 60) * 1000,
    });
    await sleep(5_000);
    const before = usage(watch.pid);
    await sleep(seconds * 1000);
    const after = usage(watch.pid);
    watch.kill('SIGTERM');
    const { code, stderr } = await watch.ended;
    if (code !== 0) throw new Error(`watch ended with ${code}: ${stderr}`);
    return {
      seconds,
      cpuPercent: ((after.cpuMs - before.cpuMs) / (seconds * 1000)) * 100,
      rss: after.rss,
      peakRss: after.peakRss,
    };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function usage(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (key: string) =>
    Math.round(Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 102.4) / 10;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // After the name in brackets: utime and stime are fields 14 and 15, in ticks of 10 ms (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const cpuMs = (Number(fields[11]) + Number(fields[12])) * 10;
  return { cpuMs, rss: megabytes('VmRSS'), peakRss: megabytes('VmHWM') };
}

async function main(): Promise<void> {
  const seconds = Number(process.env.WATCH_IDLE_MINUTES ?? 10) * 60;
  const weed = findWeed();
  const server = weed === undefined ? undefined : await startSeaweedFs(weed);
  if (!server) console.warn('SeaweedFS is not installed: measured on the directory store.');
  try {
    const store: HomeStore = server && {
      kind: 's3',
      endpoint: server.endpoint,
      bucket: 'watch-idle',
      ...server.admin,
    };
    const node = process.env.NODE24 ?? process.execPath;
    const { cpuPercent, rss, peakRss } = await measureIdle(store, seconds, { node });
    console.log(
      `watch at rest for ${seconds / 60} min, store looked at every 60 s: ${rss} MB (at most ${peakRss} MB), ` +
        `CPU ${cpuPercent.toFixed(3)} % of one core`,
    );
    if (rss >= 80 || cpuPercent >= 0.5) process.exitCode = 1;
  } finally {
    await server?.stop();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
