import type { Tag } from '../store.ts';

/** A tag is an ETag without its quotes: some providers have them in one place and not in another. */
export function tagOf(etag: string): Tag {
  return etag.replace(/^(?:W\/)?"|"$/g, '');
}

/** The MD5 that a tag may be: 32 hex digits. Those of uploads in parts, and of some providers, are no digests. */
export function md5Of(tag: Tag): { readonly md5: string } | undefined {
  return /^[0-9a-f]{32}$/i.test(tag) ? { md5: tag.toLowerCase() } : undefined;
}
