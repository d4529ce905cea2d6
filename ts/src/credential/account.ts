import { isObject } from './json.ts';
import type { CredentialName } from './name.ts';

/** Whose login a credential is, for people: any text may be in it, so `printable` before it is shown. */
export interface Account {
  /** CLIProxyAPI's `type`: `claude`, `codex` ... */
  readonly provider: string;
  /** The email; without one, what the file's name says. */
  readonly account: string;
  readonly disabled: boolean;
}

/** The account in a content; where that is not at hand, as far as the name tells it (`claude-me@example.com.json`). */
export function accountOf(name: CredentialName, content?: Readonly<Record<string, unknown>>): Account {
  const plain = name.replace(/\.json$/, '');
  const [, start = '', rest = ''] = /^([a-z]+)-(.+)$/.exec(plain) ?? [];
  if (!content) return { provider: start, account: rest || plain, disabled: false };
  const { type, email, disabled, project_id: project } = content;
  const named = [email, project].find((value): value is string => typeof value === 'string' && value !== '');
  return {
    provider: typeof type === 'string' ? type : start,
    account: named ?? (isObject(content) && start === type ? rest : plain),
    disabled: disabled === true,
  };
}
