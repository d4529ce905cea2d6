/** Telling a process from any other that gets its number later. */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { errorCode } from './atomic-write.ts';

/** Outlives `execve`: a process that becomes another program keeps all of it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own unit: a reused process id has another. Empty where that is not told. */
  readonly started: string;
  /** Process ids mean something within one boot and one process namespace only. */
  readonly realm: string;
}

export function identify(pid: number): ProcessIdentity {
  return { pid, started: startOf(pid) ?? '', realm: realm() };
}

/** Whether a process is there; undefined where that cannot be told (another container's). */
export function isAlive({ pid, started, realm: home }: ProcessIdentity): boolean | undefined {
  const here = realm();
  // A boot ends all of its processes; another namespace of this boot has numbers of its own.
  if (home !== here) return home === '' || here === '' || bootOf(home) === bootOf(here) ? undefined : false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return now === undefined || started === '' || now === started;
}

/** Field 22 of /proc/PID/stat, proc(5); where there is no /proc, what ps says. Undefined if neither tells. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    if (process.platform === 'linux') return undefined;
  }
  try {
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    const args = ['-o', 'lstart=', '-p', String(pid)];
    return execFileSync('/bin/ps', args, { encoding: 'utf8', env, stdio: 'pipe' }).trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Boot and process namespace; empty where neither is told. */
export function realm(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

function bootOf(home: string): string {
  return home.split(' ')[0] ?? '';
}
