/** The commands that the documentation tells people to type. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { marked } from 'marked';

/** As much of a token as is looked at: lists have items, quotes and items have tokens. */
interface Part {
  readonly type: string;
  readonly text?: string;
  readonly lang?: string | undefined;
  readonly tokens?: readonly Part[] | undefined;
  readonly items?: readonly Part[];
}

export const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

export interface Typed {
  /** `docs/everyday.md`. */
  readonly page: string;
  /** A line of a shell block, without its comment. */
  readonly line: string;
}

/** README.md and all below docs/, whatever is added there. */
export function pages(): readonly string[] {
  const below = readdirSync(join(CHECKOUT, 'docs'), { recursive: true, encoding: 'utf8' });
  return [
    'README.md',
    ...below
      .filter((name) => name.endsWith('.md'))
      .sort()
      .map((name) => `docs/${name}`),
  ];
}

/** The lines of all shell blocks of a page, in order, also of those in lists and quotes. */
export function typedOn(page: string): readonly Typed[] {
  const blocks: string[] = [];
  const walk = (tokens: readonly Part[]) => {
    for (const token of tokens) {
      if (token.type === 'code' && /^(sh|bash|shell|console)\b/.test(token.lang ?? ''))
        blocks.push(token.text ?? '');
      for (const inside of [token.tokens, token.items]) walk(inside ?? []);
    }
  };
  walk(marked.lexer(readFileSync(join(CHECKOUT, page), 'utf8')));
  return blocks.flatMap((block) =>
    block
      // A line that ends in a backslash goes on.
      .replaceAll(/\\\n\s*/g, ' ')
      .split('\n')
      .map((line) =>
        line
          .replace(/(^|\s+)#( .*)?$/, '')
          .replace(/^\$ /, '')
          .trim(),
      )
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => ({ page, line })),
  );
}
