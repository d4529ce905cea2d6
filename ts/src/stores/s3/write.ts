import type { Tag } from '../store.ts';
import type { Bucket, PutOptions } from './bucket.ts';
import { conditionHeaders, type Dialect } from './dialect.ts';

/**
 * Writes and removals that depend on what is there, in the provider's dialect. A refusal is checked against what
 * the store holds: it may be this program's own request that had arrived, and whose answer was lost.
 */
export interface Writer {
  /** Writes if the object still has the tag `seen`, or is absent if `seen` is undefined. */
  put(
    key: string,
    bytes: Uint8Array,
    seen: Tag | undefined,
    options?: Omit<PutOptions, 'headers'>,
  ): Promise<Written>;
  /** Writes if nothing is there, and is as content if something is: for keys that say what is in them. */
  create(key: string, bytes: Uint8Array, options?: Omit<PutOptions, 'headers'>): Promise<void>;
  /** Removes if the object still has the tag `seen`. One that is gone already is done. */
  remove(key: string, seen: Tag): Promise<Removed>;
}

export type Written = { readonly kind: 'done'; readonly tag: Tag } | { readonly kind: 'lost' };
export type Removed = { readonly kind: 'done' } | { readonly kind: 'lost' };

export function writerFor(bucket: Bucket, dialect: Dialect): Writer {
  /** The tag of the object if it already is what was to be written, whoever wrote it. */
  async function settled(key: string, bytes: Uint8Array): Promise<Written> {
    const answer = await bucket.get(key);
    if (answer.kind === 'denied') throw answer.error;
    const same = answer.kind === 'object' && Buffer.compare(answer.bytes, bytes) === 0;
    return same ? { kind: 'done', tag: answer.tag } : { kind: 'lost' };
  }

  /** No condition to rely on: look just before, and read back just after. */
  async function lookWriteRead(...[key, bytes, seen, options]: Parameters<Writer['put']>): Promise<Written> {
    const found = await bucket.head(key);
    if (found?.tag !== seen) return settled(key, bytes);
    await bucket.put(key, bytes, options);
    return settled(key, bytes);
  }

  async function put(...[key, bytes, seen, options]: Parameters<Writer['put']>): Promise<Written> {
    if (dialect.conditions === 'none') return lookWriteRead(key, bytes, seen, options);
    // A generation is in no listing: it is looked up by the tag that was seen.
    const found = dialect.generation
      ? await bucket.head(key)
      : seen === undefined
        ? undefined
        : { tag: seen };
    if (found?.tag !== seen) return settled(key, bytes);
    const answer = await bucket.put(key, bytes, { ...options, headers: conditionHeaders(dialect, found) });
    switch (answer.kind) {
      case 'written':
        return { kind: 'done', tag: answer.tag };
      case 'refused':
        return settled(key, bytes);
      case 'unsupported':
        // The provider has changed since the probe.
        return lookWriteRead(key, bytes, seen, options);
    }
  }

  async function create(...[key, bytes, options]: Parameters<Writer['create']>): Promise<void> {
    if (dialect.conditions === 'honoured') {
      for (let attempt = 1; attempt <= 3; attempt++) {
        const answer = await bucket.put(key, bytes, {
          ...options,
          headers: conditionHeaders(dialect, undefined),
        });
        if (answer.kind === 'written') return;
        if (answer.kind === 'unsupported') break;
        // 412 says that it is there, 409 that another request was under way, which may have failed. What is kept here is
        // about to be replaced elsewhere: that it is there is seen, not believed.
        if (await bucket.head(key)) return;
      }
    }
    if (!(await bucket.head(key))) await bucket.put(key, bytes, options);
  }

  async function remove(key: string, seen: Tag): Promise<Removed> {
    const conditional = dialect.conditions === 'honoured' && dialect.conditionalDelete;
    let found: { readonly tag: Tag; readonly generation?: string } | undefined = { tag: seen };
    if (!conditional || dialect.generation) found = await bucket.head(key);
    if (found === undefined) return { kind: 'done' };
    if (found.tag !== seen) return { kind: 'lost' };
    const answer = await bucket.remove(key, conditional ? conditionHeaders(dialect, found) : {});
    if (answer.kind === 'denied') throw answer.error;
    if (answer.kind === 'removed') return { kind: 'done' };
    return (await bucket.head(key)) ? { kind: 'lost' } : { kind: 'done' };
  }

  return { put, create, remove };
}
