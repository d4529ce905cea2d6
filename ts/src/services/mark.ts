/** How a file that we wrote is told from one that a person or another program wrote: by a line at its top. */
import type { ManagerKind } from './service-set.ts';

const MARK = 'Written by cliproxyapi-sync;';
const TEXT = {
  systemd: `# ${MARK} the next switch replaces it. What is your own belongs into "systemctl --user edit".`,
  launchd: `<!-- ${MARK} the next switch replaces it. -->`,
};

/** The text with the mark. In a property list, nothing may come before the XML declaration. */
export function marked(text: string, manager: ManagerKind): string {
  if (manager === 'systemd') return `${TEXT.systemd}\n${text}`;
  const [declaration = '', ...rest] = text.split('\n');
  return [declaration, TEXT.launchd, ...rest].join('\n');
}

/** Whether we wrote it, this version or another one. */
export function isMarked(text: string): boolean {
  return text.split('\n', 2).some((line) => /^(#|<!--) /.test(line) && line.includes(MARK));
}
