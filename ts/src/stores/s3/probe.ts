import { randomUUID } from 'node:crypto';
import { PROBE_PREFIX } from '../layout.ts';
import type { Bucket } from './bucket.ts';
import { pause } from './deadline.ts';
import { conditionHeaders, type Dialect } from './dialect.ts';

/**
 * Finds out, on random keys below `sync/probe/` that it removes again, how far this bucket's conditions hold:
 * by what happens, since providers ignore what they do not know and say that all went well.
 *
 * About 20 requests.
 */
export async function probe(bucket: Bucket): Promise<Dialect> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const dialect = await findDialect(bucket);
    if (dialect !== 'unclear') return dialect;
    await pause(300);
  }
  // Conditions that hold at times are worth nothing.
  return NONE;
}

const ATTEMPTS = 3;
const RACERS = 8;
const NONE: Dialect = { conditions: 'none', etag: 'quoted', generation: false, conditionalDelete: false };

/** One way to state a condition. */
type Mode = Pick<Dialect, 'etag' | 'generation'>;

/** What a mode turned out to be worth; `mismatch`: the right ETag is refused, so it is to be written otherwise. */
type Finding =
  | { readonly kind: 'honoured'; readonly conditionalDelete: boolean }
  | { readonly kind: 'ignored'; readonly hasGenerations: boolean }
  | { readonly kind: 'mismatch' }
  | { readonly kind: 'unclear' };

async function findDialect(bucket: Bucket): Promise<Dialect | 'unclear'> {
  let mode: Mode = { etag: 'quoted', generation: false };
  for (;;) {
    const finding = await examine(bucket, mode);
    switch (finding.kind) {
      case 'honoured':
        return { conditions: 'honoured', ...mode, conditionalDelete: finding.conditionalDelete };
      case 'unclear':
        return 'unclear';
      case 'mismatch':
        if (mode.generation || mode.etag === 'unquoted') return 'unclear';
        mode = { etag: 'unquoted', generation: false };
        break;
      case 'ignored':
        if (mode.generation || !finding.hasGenerations) return NONE;
        mode = { etag: 'quoted', generation: true };
    }
  }
}

/** The seven steps with one way to state conditions. */
async function examine(bucket: Bucket, mode: Mode): Promise<Finding> {
  const key = PROBE_PREFIX + randomUUID();
  const raceKey = PROBE_PREFIX + randomUUID();
  const absent = conditionHeaders(mode, undefined);
  const wrong = conditionHeaders(mode, { tag: '0'.repeat(32), generation: '1' });
  const put = (body: string, headers: Readonly<Record<string, string>>) =>
    bucket.put(key, text(body), { headers });

  try {
    // 1: a create on a fresh key.
    const created = await put('1', absent);
    if (created.kind === 'unsupported') return { kind: 'ignored', hasGenerations: false };
    if (created.kind === 'refused') return { kind: 'unclear' };
    const ignored: Finding = { kind: 'ignored', hasGenerations: created.generation !== undefined };

    // 2: a second create must not replace it.
    const again = await put('22', absent);
    if (again.kind !== 'refused') return ignored;
    if (!(await holds(bucket, key, '1'))) return { kind: 'unclear' };

    // 3: nor a write on another object's tag.
    const mistaken = await put('333', wrong);
    if (mistaken.kind !== 'refused') return ignored;

    // 4: one on its own tag must.
    const updated = await put('4444', conditionHeaders(mode, created));
    if (updated.kind === 'unsupported') return ignored;
    if (updated.kind === 'refused') return { kind: 'mismatch' };

    // 5: the tag that was is worth no more.
    const late = await put('55555', conditionHeaders(mode, created));
    if (late.kind !== 'refused') return ignored;
    if (!(await holds(bucket, key, '4444'))) return { kind: 'unclear' };

    // 6: a removal on a wrong tag must not remove, one on the right tag must.
    const conditionalDelete = await removesOnCondition(bucket, key, wrong, conditionHeaders(mode, updated));

    // 7: of several creates at once, one wins.
    const racers = Array.from({ length: RACERS }, (_, index) => `racer ${index}`);
    const results = await Promise.all(
      racers.map((racer) => bucket.put(raceKey, text(racer), { headers: absent })),
    );
    const winners = racers.filter((_, index) => results[index]?.kind === 'written');
    if (winners.length > 1) return ignored;
    if (winners[0] === undefined || !(await holds(bucket, raceKey, winners[0]))) return { kind: 'unclear' };
    return { kind: 'honoured', conditionalDelete };
  } finally {
    // Rubbish there does no harm: whoever may not remove is told so when it matters.
    await Promise.allSettled([bucket.remove(key), bucket.remove(raceKey)]);
  }
}

async function removesOnCondition(
  bucket: Bucket,
  key: string,
  wrong: Readonly<Record<string, string>>,
  right: Readonly<Record<string, string>>,
): Promise<boolean> {
  const mistaken = await bucket.remove(key, wrong);
  if (mistaken.kind !== 'refused' || !(await bucket.head(key))) return false;
  const meant = await bucket.remove(key, right);
  return meant.kind === 'removed' && !(await bucket.head(key));
}

async function holds(bucket: Bucket, key: string, body: string): Promise<boolean> {
  const answer = await bucket.get(key);
  return answer.kind === 'object' && Buffer.compare(answer.bytes, text(body)) === 0;
}

function text(body: string): Uint8Array {
  return Buffer.from(body);
}
