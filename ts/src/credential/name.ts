/** The name of a credential: its path below the auth dir, `/`-separated, ending in `.json`. Checked by `parseName`. */
export type CredentialName = string & { readonly __brand: 'CredentialName' };

/** Longest name, in bytes of UTF-8: an S3 key has at most 1,024, and history puts a prefix and an id around it. */
export const MAX_NAME_BYTES = 900;
/** Longest part of a name between slashes, in bytes: the limit of ext4, APFS and NTFS. */
const MAX_SEGMENT_BYTES = 255;

export type NameCheck =
  | { readonly ok: true; readonly name: CredentialName }
  /** Not one of ours and nothing wrong with that: hidden, temporary, another ending. */
  | { readonly ok: false; readonly kind: 'ignored' }
  /** Would reach outside the auth dir, or cannot be a file name everywhere. Reported, never touched. */
  | { readonly ok: false; readonly kind: 'refused'; readonly reason: string };

/** Whether `text`, as found in a listing, may become a path below the auth dir. Pure; call before any file call. */
export function parseName(text: string): NameCheck {
  const refused = (reason: string): NameCheck => ({ ok: false, kind: 'refused', reason });
  if (text === '' || text.endsWith('/')) return { ok: false, kind: 'ignored' };
  if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) return refused('has control characters');
  if (!text.isWellFormed() || text.includes('\ufffd')) return refused('is not valid Unicode');
  if (text.includes('\\')) return refused('has a backslash');
  if (text.startsWith('/')) return refused('is an absolute path');
  if (/^[A-Za-z]:/.test(text)) return refused('starts with a drive letter');
  const segments = text.split('/');
  for (const segment of segments) {
    if (segment === '') return refused('has an empty part between slashes');
    if (segment === '.' || segment === '..') return refused(`has a part "${segment}"`);
  }
  if (!text.endsWith('.json') || segments.some((segment) => segment.startsWith('.'))) {
    return { ok: false, kind: 'ignored' };
  }
  if (segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)) {
    return refused(`has a part of more than ${MAX_SEGMENT_BYTES} bytes`);
  }
  if (Buffer.byteLength(text) > MAX_NAME_BYTES) return refused(`has more than ${MAX_NAME_BYTES} bytes`);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- checked above
  return { ok: true, name: text as CredentialName };
}

/** What two names share that one file on a file system that folds case and Unicode forms (APFS) would hold. */
export function foldName(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** A name, or any text from outside, made safe to print: control characters and bidirectional marks escaped. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
