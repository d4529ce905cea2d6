import { randomUUID } from 'node:crypto';
import type { CommitInfo, Side } from './branches.ts';
import { type Cache, CacheDamaged, isObjectId } from './cache.ts';

/** What CLIProxyAPI puts into a branch that it makes (internal/store/gitstore.go): no folder is ever empty. */
const PLACEHOLDERS: Readonly<Record<Side, readonly string[]>> = {
  credentials: ['auths/.gitkeep', 'config/.gitkeep'],
  records: [],
};

export interface NewCommit {
  readonly side: Side;
  /** The commit that it replaces; undefined for a new branch. */
  readonly replaces: CommitInfo | undefined;
  readonly edits: Iterable<readonly [string, Uint8Array | undefined]>;
  readonly message: string;
}

/**
 * Makes commits as CLIProxyAPI does: without a parent, in its name, with everything that the one before had and
 * that is not edited, whatever its kind. One process for all, their blobs and their trees.
 *
 * @returns The names of the commits, in their order.
 */
export async function makeCommits(cache: Cache, commits: readonly NewCommit[]): Promise<string[]> {
  // Refs of their own, since the importer would have a second commit of the same ref follow the first.
  const work = `refs/work/${randomUUID()}`;
  const seconds = Math.floor(Date.now() / 1000);
  function* script(): Generator<string | Uint8Array> {
    yield 'feature done\n';
    for (const [index, { side, replaces, edits, message }] of commits.entries()) {
      yield `commit ${work}/${index}\nmark :${index + 1}\n`;
      yield `committer CLIProxyAPI <cliproxy@local> ${seconds} +0000\n`;
      yield `data ${Buffer.byteLength(message)}\n${message}\n`;
      if (replaces) yield `M 040000 ${replaces.tree} ""\n`;
      else for (const path of PLACEHOLDERS[side]) yield `M 100644 inline ${quoted(path)}\ndata 0\n\n`;
      for (const [path, bytes] of edits) {
        if (bytes) {
          yield `M 100644 inline ${quoted(path)}\ndata ${bytes.length}\n`;
          yield bytes;
          yield '\n';
        } else yield `D ${quoted(path)}\n`;
      }
      yield `\nget-mark :${index + 1}\n`;
    }
    yield 'done\n';
  }
  const output = await cache.local(['fast-import', '--quiet', '--done', '--date-format=raw'], script());
  const made = output.toString().trim().split('\n');
  if (made.length !== commits.length || !made.every(isObjectId))
    throw new CacheDamaged('fast-import did not say what it made');
  return made;
}

/** As git-fast-import(1) reads a path. */
function quoted(path: string): string {
  return `"${path.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}
