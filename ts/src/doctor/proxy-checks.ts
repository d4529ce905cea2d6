import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { errorCode } from '../files/atomic-write.ts';
import { findProxyProgram } from '../proxy/program.ts';
import { renderConfig } from '../proxy/render-config.ts';
import { findServices } from '../services/found.ts';
import { runCommand } from '../services/run-command.ts';
import type { Machine } from '../services/switch.ts';
import { proxyEnvironment } from '../settings/proxy-environment.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsError } from '../settings/settings-error.ts';
import { raw } from '../settings/variables.ts';
import { shellWord } from '../sync/words.ts';
import type { Check, Finding } from './check.ts';
import type { DoctorContext } from './context.ts';

/** The proxy's default (its config.example.yaml). */
const DEFAULT_PORT = 8317;

/** The proxy's program, its config, and its port. */
export function proxyChecks({ settings, proxySelf, machine }: DoctorContext): readonly Check[] {
  if (!settings) return [];
  return [
    { id: 'proxy', title: 'proxy', look: () => program(settings, proxySelf, machine) },
    { id: 'config', title: 'config', look: () => config(settings) },
    { id: 'port', title: 'port', look: () => port(settings) },
  ];
}

async function program(settings: Settings, self: string, machine: Machine | undefined): Promise<Finding> {
  let path: string;
  try {
    path = await findProxyProgram(settings, self);
  } catch (error) {
    // A service may name one that is in nobody's PATH.
    const states = (await findServices(machine))?.states ?? [];
    const runs = states.some(
      ({ name, failed, stopped }) => /cliproxyapi(\.service)?$/.test(name) && !failed && !stopped,
    );
    if (runs && !settings.proxyProgram.includes('/'))
      return { status: 'ok', message: 'it is not in PATH here, but its service runs one' };
    return configurationFailure(error);
  }
  // It prints its version first, whatever it is asked; with -h it does nothing else.
  const env = { ...proxyEnvironment(settings), HOME: '/nonexistent' };
  const asked = await runCommand([path, '-h'], { env, timeoutMs: 5_000 });
  if (asked.kind === 'missing') {
    const message = `${path} cannot be run`;
    return { status: 'failed', because: 'configuration', message, remedy: `file ${shellWord(path)}` };
  }
  const version = /version:?\s*v?(\d+\.\d+\.\d+[\w.+-]*)/i.exec(asked.stdout + asked.stderr)?.[1];
  return { status: 'ok', message: `${path}${version === undefined ? '' : `, version ${version}`}` };
}

async function config(settings: Settings): Promise<Finding> {
  const { proxyHome, authDir, environment, configTemplate } = settings;
  const path = join(proxyHome, 'config.yaml');
  const template = configTemplate ?? join(proxyHome, 'config.template.yaml');
  const home = raw(environment, 'HOME');
  const authDirAliases = home && authDir.startsWith(`${home}/`) ? [`~${authDir.slice(home.length)}`] : [];
  try {
    const [templateText, text] = await Promise.all([readText(template), readText(path)]);
    if (templateText !== undefined) {
      const variable = (name: string) => raw(environment, name) ?? raw(environment, `${name}_FILE`);
      const source = { text: templateText, name: template, authDir, previous: undefined, variable };
      const { warnings } = await renderConfig(source);
      const [first] = warnings;
      if (first !== undefined)
        return { status: 'warning', message: warnings.join('; '), remedy: 'Set it in the env file.' };
    }
    if (text === undefined) {
      return templateText === undefined
        ? {
            status: 'warning',
            message: `there is neither ${template} nor ${path}: the store's is taken, if it has one`,
            remedy: `Write ${template}, or name one in CLIPROXY_CONFIG_TEMPLATE.`,
          }
        : { status: 'ok', message: `${template} is in order; the next start makes ${path} from it` };
    }
    // Rendered without a change, it says what it should, the auth dir above all.
    const rendered = await renderConfig({ text, name: path, authDir, authDirAliases, previous: text });
    if (rendered.text !== undefined) {
      return {
        status: 'warning',
        message: `${path} does not name ${authDir} as auth-dir: a proxy that runs by it uses other logins`,
        remedy: 'Start the proxy with `cliproxyapi-sync start`, which corrects it.',
      };
    }
    return { status: 'ok', message: `${path} is valid, and its auth-dir is ours` };
  } catch (error) {
    return configurationFailure(error);
  }
}

async function port(settings: Settings): Promise<Finding> {
  const number = await configuredPort(join(settings.proxyHome, 'config.yaml'));
  if (!(await isTaken(number))) return { status: 'ok', message: `${number} is free: no proxy runs` };
  const answer = await fetch(`http://127.0.0.1:${number}/`, { signal: AbortSignal.timeout(5_000) }).then(
    (response) => response.text(),
    () => '',
  );
  if (/CLI ?Proxy ?API/i.test(answer)) return { status: 'ok', message: `CLIProxyAPI answers on ${number}` };
  const who =
    process.platform === 'darwin' ? `lsof -nP -iTCP:${number} -sTCP:LISTEN` : `ss -ltnp 'sport = :${number}'`;
  const template = settings.configTemplate ?? join(settings.proxyHome, 'config.template.yaml');
  const hasTemplate = (await readText(template).catch(() => undefined)) !== undefined;
  const source = hasTemplate ? template : join(settings.proxyHome, 'config.yaml');
  return {
    status: 'failed',
    message: `something that is not CLIProxyAPI answers on ${number}`,
    remedy: `\`${who}\` shows which program: end it, or set another port in ${source}, then \`cliproxyapi-sync start\`.`,
  };
}

/** Of version 7 or 8 of the config; the default where it is not told. */
async function configuredPort(path: string): Promise<number> {
  const { parse } = await import('yaml');
  try {
    const value: unknown = parse((await readText(path)) ?? '', { logLevel: 'silent' });
    const member = (holder: unknown, key: string): unknown =>
      typeof holder === 'object' && holder !== null ? Reflect.get(holder, key) : undefined;
    const found = Number(member(member(value, 'server'), 'port') ?? member(value, 'port'));
    return Number.isInteger(found) && found > 0 && found < 65_536 ? found : DEFAULT_PORT;
  } catch {
    return DEFAULT_PORT;
  }
}

function isTaken(number: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: number, timeout: 3_000 });
    const end = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw new SettingsError(
      `${path} cannot be read (${errorCode(error) ?? 'unknown error'})`,
      `ls -l ${shellWord(path)}`,
    );
  });
}

function configurationFailure(error: unknown): Finding {
  if (!(error instanceof SettingsError)) throw error;
  return { status: 'failed', because: 'configuration', message: error.message, remedy: error.remedy };
}
