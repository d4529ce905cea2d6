/**
 * Everything that reads text from outside, on random text, on mutations of what it is made for, and on values of the right
 * shape with odd contents: `FUZZ_RUNS=200000` for more than `make test` tries, `FUZZ_SEED` for the same again.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareFreshness } from '../../ts/src/credential/freshness.ts';
import { canonicalJson } from '../../ts/src/credential/json.ts';
import { parseName, printable } from '../../ts/src/credential/name.ts';
import { parseInstant } from '../../ts/src/credential/time.ts';
import { parseCredential, versionOf } from '../../ts/src/credential/version.ts';
import { renderConfig } from '../../ts/src/proxy/render-config.ts';
import { parseEnv } from '../../ts/src/settings/env-file.ts';
import { checkGitBranch, parseGitRemote } from '../../ts/src/settings/git-remote.ts';
import { historyKeepFrom } from '../../ts/src/settings/history-keep.ts';
import { checkEndpoint } from '../../ts/src/settings/object-store.ts';
import { describeTarget, postgresTarget } from '../../ts/src/settings/postgres-target.ts';
import { SettingsError } from '../../ts/src/settings/settings-error.ts';
import { metadataBytes, parseMetadata } from '../../ts/src/stores/history-metadata.ts';
import { historyKey, parseHistoryKey, parsePrunedKey, prunedKey } from '../../ts/src/stores/layout.ts';
import { markerBytes, parseMarker, recallMarker } from '../../ts/src/stores/marker.ts';
import { parsePruned, prunedBytes } from '../../ts/src/stores/pruned.ts';
import { readWords, wordsMetadata } from '../../ts/src/stores/s3/history.ts';
import { StoreError } from '../../ts/src/stores/store.ts';
import { parseBase, parseIntents, serializeBase, serializeIntents } from '../../ts/src/sync/state-format.ts';
import { parseTombstone, serializeTombstone } from '../../ts/src/sync/tombstone-record.ts';
import { freshnessWords, instantWords } from '../../ts/src/sync/words.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 1_000);
const TIMEOUT = { timeout: 60_000 + RUNS * 20 };
const options: fc.Parameters<unknown> = {
  numRuns: RUNS,
  ...(process.env.FUZZ_SEED !== undefined && { seed: Number(process.env.FUZZ_SEED) }),
};
/** No text that is read takes longer than this, on a machine that does much else. Milliseconds. */
const SOON = 3_000;
/** Whatever is said of a text is shorter than this. */
const SHORT = 600;

const ID = 'a'.repeat(64);
const SECRET = 'S3CR3T';

/** Any text, or one of these, cut, doubled, or with something odd put into it. */
function textLike(...corpus: readonly string[]): fc.Arbitrary<string> {
  const odd = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.constantFrom(
      '\0',
      '\u001b[2J',
      '"',
      "'",
      '\\',
      '{',
      '}',
      '[',
      '/',
      '../',
      '%',
      '%00',
      '@',
      ':',
      '\n',
      '\r\n',
    ),
    fc.constantFrom(
      '1e999',
      '-0',
      '9'.repeat(400),
      'null',
      '__proto__',
      '\ud800',
      '\u202e',
      '\ufeff',
      '&a *a',
      '!!js ',
    ),
    fc.constantFrom('['.repeat(200), 'a'.repeat(5_000), ' '.repeat(5_000), '\\'.repeat(500), "'".repeat(501)),
  );
  const mutated = fc
    .tuple(
      fc.constantFrom(...corpus),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 12 }), odd), { maxLength: 4 }),
    )
    .map(([text, changes]) =>
      changes.reduce((now, [where, length, put]) => {
        const at = where % (now.length + 1);
        return now.slice(0, at) + put + now.slice(at + length);
      }, text),
    );
  return fc.oneof({ weight: 3, arbitrary: mutated }, { weight: 1, arbitrary: fc.string({ unit: 'binary' }) });
}

const bytesLike = (...corpus: readonly string[]) =>
  fc.oneof(
    { weight: 4, arbitrary: textLike(...corpus).map((text) => Buffer.from(text)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  );

/** What a reader gives; nothing if it refuses with an error of ours, whose message is short and repeats no secret. */
async function read<T>(text: string | Uint8Array, run: () => T | Promise<T>): Promise<T | undefined> {
  const begun = performance.now();
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof SettingsError || error instanceof StoreError)) throw error;
    const said = `${error.message} ${error.remedy}`;
    expect(said.length).toBeLessThan(SHORT);
    if (String(text).includes(SECRET)) expect(said).not.toContain(SECRET);
    return undefined;
  } finally {
    expect(performance.now() - begun, String(text).slice(0, 200)).toBeLessThan(SOON);
  }
}

function holdsFor<T>(
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => void | Promise<void>,
): Promise<void> {
  return fc.assert(
    fc.asyncProperty(arbitrary, async (value) => property(value)),
    options as fc.Parameters<[T]>,
  );
}

const CREDENTIAL = JSON.stringify({
  access_token: SECRET,
  disabled: false,
  email: 'me@example.com',
  expired: '2026-03-01T20:00:00Z',
  last_refresh: '2026-03-01T12:00:00.123456789+01:00',
  type: 'claude',
});

describe('on anything at all', TIMEOUT, () => {
  test('a credential is read or refused, with a short reason that repeats nothing of it, and is itself again', async () => {
    const odd = fc
      .record({ type: fc.constant('x') })
      .chain((base) =>
        fc.dictionary(fc.string(), fc.jsonValue()).map((more) => JSON.stringify({ ...more, ...base })),
      );
    await holdsFor(
      fc.oneof(bytesLike(CREDENTIAL, '{}', '[{"type":"x"}]'), odd.map(Buffer.from)),
      async (bytes) => {
        const parsed = await read(bytes, () => parseCredential(bytes));
        if (!parsed) throw new Error('refused by an exception');
        if (!parsed.ok) {
          expect(parsed.reason.length).toBeLessThan(100);
          expect(parsed.reason).not.toContain(SECRET);
          return;
        }
        const { version, content } = parsed;
        expect(version.id).toMatch(/^[0-9a-f]{64}$/);
        freshnessWords(version.freshness);
        expect(compareFreshness(version.freshness, version.freshness, Date.now())).toBe(0);
        const rewritten = versionOf(content);
        expect(rewritten.id).toBe(version.id);
        const again = parseCredential(rewritten.bytes);
        expect(again.ok && again.version.id).toBe(version.id);
        expect(canonicalJson(JSON.parse(canonicalJson(content)))).toBe(canonicalJson(content));
      },
    );
  });

  test('a time is an instant that can be said, or none', async () => {
    const times = textLike(
      '2026-03-01T12:00:00Z',
      '2026-03-01 12:00:00.5+05:30',
      '1767225600',
      '1767225600123.5',
    );
    await holdsFor(fc.oneof(times, fc.double(), fc.anything()), (value) => {
      const instant = parseInstant(value);
      // The first second of 1970 counts as none.
      if (instant !== undefined)
        expect(parseInstant(instantWords(instant)) ?? 0).toBeLessThanOrEqual(instant);
    });
  });

  test('a name stays inside its directory, or is no name; what is printed moves no cursor', async () => {
    await holdsFor(
      textLike('a.json', 'team/a.json', '../a.json', 'C:\\a.json', `${'a/'.repeat(40)}b.json`),
      (text) => {
        expect(printable(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        const check = parseName(text);
        if (!check.ok) return;
        expect(check.name).toBe(text);
        const path = new URL(`file:///auth/${check.name.split('/').map(encodeURIComponent).join('/')}`)
          .pathname;
        expect(path.startsWith('/auth/')).toBe(true);
        expect(check.name.split('/')).not.toContain('..');
        expect(parseHistoryKey(historyKey(check.name, ID as never))).toEqual({ name: check.name, id: ID });
        expect(parsePrunedKey(prunedKey(check.name))).toBe(check.name);
      },
    );
  });

  test('a key of history or of what was pruned names a credential that a file may have, or nothing', async () => {
    const keys = textLike(
      `sync/history/a.json/${ID}.json`,
      `sync/history/../../a.json/${ID}.json`,
      `sync/history//etc/a.json/${ID}.json`,
      'sync/pruned/a.json/superseded',
      'sync/pruned/../a.json/superseded',
    );
    await holdsFor(keys, (key) => {
      for (const name of [parseHistoryKey(key)?.name, parsePrunedKey(key)])
        if (name !== undefined) expect(parseName(name).ok).toBe(true);
    });
  });

  test('an env file gives text by name, and warns of names alone', async () => {
    const files = textLike(
      `PGSTORE_DSN='${SECRET}'\nexport A=b # c\n`,
      `OBJECTSTORE_SECRET_KEY="${SECRET}\r\nX=`,
      'A=`x`\n\ufeffB=1\n#C=2\n__proto__=1\nconstructor=2',
    );
    await holdsFor(files, async (text) => {
      const parsed = await read(text, () => parseEnv(text));
      for (const value of Object.values(parsed?.values ?? {})) expect(typeof value).toBe('string');
      for (const warning of parsed?.warnings ?? []) expect(warning).not.toMatch(/= *S3CR3T/);
    });
  });

  test('a DSN is a target, which is shown without its password, or refused without a part of it', async () => {
    const dsns = textLike(
      `postgres://me:${SECRET}@db.example.com:5432/logins?sslmode=require`,
      `postgresql://me:${SECRET}@[::1]:1,b:2/x?target_session_attrs=any&host=/tmp`,
      `host=h user=u password='${SECRET}\\'' dbname=d port=5432`,
      `postgres://${SECRET}@/d?host=/cloudsql/a:b:c`,
    );
    await holdsFor(dsns, async (dsn) => {
      const target = await read(dsn, () => postgresTarget(dsn, () => undefined));
      // What stands in the place of the user, host or database is shown: mutations may have put the secret there.
      if (target?.password?.includes(SECRET)) expect(typeof describeTarget(target)).toBe('string');
      for (const { port } of target?.hosts ?? []) expect(Number.isInteger(port)).toBe(true);
    });
  });

  test('a Git URL is one without its password, and runs no command; a branch is one that git takes', async () => {
    const urls = textLike(
      `https://me:${SECRET}@github.com/me/logins.git`,
      'git@github.com:me/logins.git',
      'ssh://git@host:22/x',
      'ext::sh -c touch% /tmp/x',
      'file:///srv/x.git',
      '-oProxyCommand=x:y',
    );
    await holdsFor(urls, async (url) => {
      const remote = await read(url, () => parseGitRemote(url, () => '/home/me'));
      if (remote) {
        expect(remote.url).not.toMatch(/^(-|ext::|fd::)|[\0\n]/);
        if (remote.transport === 'http') expect(new URL(remote.url).password).toBe('');
      }
      const branch = await read(url, () => checkGitBranch(url));
      if (branch !== undefined) expect(branch).not.toMatch(/^-|\.\.|[\0-\u0020~^:?*[\\]/);
    });
  });

  test('an S3 endpoint and what history keeps are read or refused', async () => {
    const values = textLike(
      'https://s3.eu-west-1.amazonaws.com',
      'localhost:9000',
      'http://[::1]:1/x',
      '20,90d',
      'all',
      '90d',
    );
    await holdsFor(values, async (text) => {
      const endpoint = await read(text, () => checkEndpoint(text, 'bucket'));
      if (endpoint !== undefined) expect(typeof endpoint).toBe('string');
      await read(text, () => historyKeepFrom(text));
    });
  });

  test('a config template becomes a config, or is refused without a word of it', async () => {
    const templates = textLike(
      `port: 8317\napi-keys:\n  - __KEY__\nsecret-key: "${SECRET}"\n`,
      'a: &a [1, *a]\nb: |\n  text __KEY__\n',
      'a: {b: [c, "__KEY__"]}\n---\nc: d\n',
      '# only a comment\n',
      'a: &x [x,x,x,x]\nb: &y [*x,*x,*x,*x]\nc: &z [*y,*y,*y,*y]\nd: [*z,*z,*z,*z]\n',
    );
    const source = {
      name: 'config.template.yaml',
      authDir: '/auth',
      previous: undefined,
      variable: () => 'value',
    };
    await holdsFor(templates, async (text) => {
      const rendered = await read(text, () => renderConfig({ ...source, text }));
      if (!rendered) return;
      expect(rendered.whole.length).toBeLessThan(text.length * 100 + 10_000);
      // What was made of it is a config of its own, which says the same.
      const again = await read(text, () =>
        renderConfig({ ...source, text: rendered.whole, previous: rendered.whole }),
      );
      expect(again?.text).toBeUndefined();
    });
  });
});

describe('what the store or the state holds, on anything at all', TIMEOUT, () => {
  const TOMBSTONE = String(
    serializeTombstone({
      name: 'a.json' as never,
      version: ID as never,
      freshness: { lastRefresh: 1e12 },
      host: 'h',
      time: 1e12,
    }),
  );

  test('a tombstone is one whose times can be said, or damaged; and is itself again', async () => {
    const numbers = fc
      .oneof(fc.double(), fc.constantFrom(1e300, -1, 8.64e15, 9e15))
      .map((value) => JSON.stringify({ ...JSON.parse(TOMBSTONE), lastRefreshMs: value, expiredMs: value }));
    await holdsFor(fc.oneof(bytesLike(TOMBSTONE), numbers.map(Buffer.from)), (bytes) => {
      const sighting = parseTombstone(bytes, 'tag', 'a.json' as never);
      if (sighting.kind !== 'tombstone') {
        expect(sighting.reason.length).toBeLessThan(100);
        return;
      }
      const { tombstone } = sighting;
      freshnessWords(tombstone.freshness);
      instantWords(tombstone.time);
      expect(tombstone.host.length).toBeLessThan(256);
      expect(parseTombstone(serializeTombstone(tombstone), 'tag', 'a.json' as never)).toEqual(sighting);
    });
  });

  test('a marker is one, or refused; what is remembered of one is one, or forgotten', async () => {
    const marker = String(markerBytes({ id: 'x', format: 1 }, new Date(0)));
    await holdsFor(bytesLike(marker), async (bytes) => {
      const found = await read(bytes, () => parseMarker(bytes, 'sync/store.json'));
      if (found) expect(parseMarker(markerBytes(found, new Date(0)), '')).toEqual(found);
    });
    await holdsFor(fc.anything(), (value) => void recallMarker(value));
  });

  test("history's records say what they say, and no more; what was written is read again", async () => {
    const words = fc.record({ host: fc.string({ unit: 'binary' }), reason: fc.string({ unit: 'binary' }) });
    await holdsFor(
      bytesLike(String(metadataBytes({ host: 'h', reason: 'r', replaces: [ID as never], arrived: 1 }))),
      (bytes) => {
        const { arrived, replaces = [] } = parseMetadata(bytes);
        if (arrived !== undefined) instantWords(arrived);
        for (const id of replaces) expect(id).toMatch(/^[0-9a-f]{64}$/);
      },
    );
    await holdsFor(words, ({ host, reason }) => {
      const kept = parseMetadata(metadataBytes({ host, reason, replaces: [], arrived: 5 }));
      expect(kept).toEqual({ host, reason, replaces: [], arrived: 5 });
      const metadata = wordsMetadata({ host, reason, arrived: 5 });
      // S3 takes ASCII alone, and 2 KB of it.
      expect(JSON.stringify(metadata)).toMatch(/^[\u0020-\u007e]*$/);
      expect(JSON.stringify(metadata).length).toBeLessThan(1_000);
      const back = readWords(metadata);
      expect(Buffer.from(host).toString().trim().startsWith(back.host.trim().slice(0, 20))).toBe(true);
    });
    await holdsFor(
      fc.dictionary(
        fc.constantFrom('sync-host', 'sync-reason', 'sync-arrived'),
        textLike('%41', '%', '2026-01-01'),
      ),
      (metadata) => {
        const { arrived } = readWords(metadata);
        if (arrived !== undefined) instantWords(arrived);
      },
    );
    await holdsFor(bytesLike(`${ID}\n${ID}\n`), (bytes) => {
      const ids = parsePruned(bytes);
      expect(parsePruned(prunedBytes(ids))).toEqual(ids);
    });
  });

  test('a state is one, or damaged; and is itself again', async () => {
    const version = {
      id: ID,
      freshness: { lastRefresh: 1e12 },
      fields: { email: 'x' },
      agreedAt: 1e12,
      recorded: true,
    };
    const base = JSON.stringify({
      format: 1,
      markers: { auth: 'm' },
      deletions: { 'b.json': 1e12 },
      credentials: {
        'a.json': {
          agreed: version,
          at: { auth: ID },
          tags: { store: 't' },
          superseded: [ID],
          unkept: [ID],
          buried: {
            tombstone: { name: 'a.json', version: ID, freshness: {}, also: [ID], host: 'h', time: 1e12 },
            tag: 't',
            cleared: { auth: 1e12 },
          },
        },
      },
    });
    const intents = JSON.stringify({
      format: 1,
      intents: { 'a.json': { version, held: ['auth'], supersedes: [ID] } },
    });
    expect(parseBase(base)).toBeDefined();
    expect(parseIntents(intents)).toBeDefined();
    await holdsFor(textLike(base, intents), (text) => {
      const parsed = parseBase(text);
      if (parsed) {
        expect(parseBase(serializeBase(parsed))).toEqual(parsed);
        for (const { agreed, buried } of parsed.credentials.values()) {
          if (agreed) freshnessWords(agreed.freshness);
          if (buried) instantWords(buried.tombstone.time);
        }
      }
      const noted = parseIntents(text);
      if (noted) expect(parseIntents(serializeIntents(noted))).toEqual(noted);
    });
  });
});

describe('what it once found', () => {
  test('a user name that begins with a dash is no option of ssh', () => {
    for (const url of ['-@oProxyCommand=x:y', 'ssh://-oProxyCommand=x@host/y', '-oProxyCommand=x:y'])
      expect(() => parseGitRemote(url, () => '/'), url).toThrow(SettingsError);
  });

  test('a config with many aliases is not written again at every start', async () => {
    const text = 'a: &x [x,x,x,x]\nb: &y [*x,*x,*x,*x]\nc: &z [*y,*y,*y,*y]\nd: [*z,*z,*z,*z]\n';
    const source = { name: 'config.template.yaml', authDir: '/auth' };
    const { whole } = await renderConfig({ ...source, text, previous: undefined });
    expect((await renderConfig({ ...source, text, previous: whole })).text).toBeUndefined();
  });

  test('a carriage return alone ends a line of a config, and a comment does not grow at every start', async () => {
    const source = { name: 'config.template.yaml', authDir: '/auth' };
    const text = '# \r[[\r\nport: 1\rhost: h\n';
    const { whole } = await renderConfig({
      ...source,
      text: '# a\r# b\rport: 1\rhost: h\r\n',
      previous: undefined,
    });
    expect(whole).toMatch(/^# a\n# b\nport: 1\nhost: h\n/);
    expect((await renderConfig({ ...source, text: whole, previous: whole })).text).toBeUndefined();
    await expect(renderConfig({ ...source, text, previous: undefined })).rejects.toThrow(SettingsError);
  });

  test('numbers that are no time end no run', () => {
    const record = {
      format: 1,
      name: 'a.json',
      version: ID,
      lastRefreshMs: 1e300,
      host: 'h',
      time: '2026-01-01T00:00:00Z',
    };
    const sighting = parseTombstone(Buffer.from(JSON.stringify(record)), 'tag', 'a.json' as never);
    expect(sighting).toMatchObject({ kind: 'tombstone', tombstone: { freshness: {} } });
    expect(parseMetadata(Buffer.from('{"arrived":1e300}'))).toEqual({ host: '', reason: '' });
  });
});
