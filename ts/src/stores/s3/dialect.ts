import { isObject } from '../../credential/json.ts';
import type { Tag } from '../store.ts';
import type { HeadAnswer } from './bucket.ts';
import type { WireHeaders } from './middleware.ts';

/** How far a provider's conditions can be trusted on this bucket, as the probe found it. */
export interface Dialect {
  /** Whether a write can be made to depend on what is there, in the one step that writes. */
  readonly conditions: 'honoured' | 'none';
  /** How If-Match wants an ETag: DigitalOcean Spaces without its quotes. */
  readonly etag: 'quoted' | 'unquoted';
  /** Whether the condition is Google Cloud Storage's generation instead of the ETag. */
  readonly generation: boolean;
  /** Whether a removal can depend on what is there. */
  readonly conditionalDelete: boolean;
}

/** The number of this form of what is remembered; another one means that the probe is run again. */
const SCHEMA = 1;

/** Providers learn: the probe is run again after this. */
const PROBE_AGAIN_MS = 30 * 24 * 60 * 60 * 1000;

export function rememberDialect(dialect: Dialect, now: number): Readonly<Record<string, unknown>> {
  return { schema: SCHEMA, probed: new Date(now).toISOString(), ...dialect };
}

/** What was remembered; undefined if there is nothing, it is too old, or it is of another form. */
export function recallDialect(entry: unknown, now: number): Dialect | undefined {
  if (!isObject(entry)) return undefined;
  const { schema, probed, conditions, etag, generation, conditionalDelete } = entry;
  const age = typeof probed === 'string' ? now - Date.parse(probed) : Number.NaN;
  // A date ahead of now is of a clock that was wrong.
  if (schema !== SCHEMA || !(age >= 0 && age < PROBE_AGAIN_MS)) return undefined;
  if (conditions !== 'honoured' && conditions !== 'none') return undefined;
  if (etag !== 'quoted' && etag !== 'unquoted') return undefined;
  if (typeof generation !== 'boolean' || typeof conditionalDelete !== 'boolean') return undefined;
  return { conditions, etag, generation, conditionalDelete };
}

/**
 * The headers of "only if it is still so": `seen` is the object that must be there, undefined if none may be.
 * With generations, `seen` must have been looked up for its generation.
 */
export function conditionHeaders(
  dialect: Pick<Dialect, 'etag' | 'generation'>,
  seen: { readonly tag: Tag; readonly generation?: HeadAnswer['generation'] } | undefined,
): WireHeaders {
  if (dialect.generation) return { 'x-goog-if-generation-match': seen?.generation ?? '0' };
  if (seen === undefined) return { 'if-none-match': '*' };
  return { 'if-match': dialect.etag === 'quoted' ? `"${seen.tag}"` : seen.tag };
}

/** What is weaker with this provider, in sentences for people. */
export function weaknessesOf(dialect: Dialect): readonly string[] {
  if (dialect.conditions === 'none') {
    return [
      'This provider ignores conditions on writes. Two hosts that write the same credential within about a second ' +
        "may replace each other's version: both stay in history, and the next run puts the order right.",
    ];
  }
  if (!dialect.conditionalDelete) {
    return [
      'This provider ignores conditions on removals. A login written in the instant in which another host removes ' +
        'that credential may be removed with it: it stays in history, and the host that has it puts it back.',
    ];
  }
  return [];
}
