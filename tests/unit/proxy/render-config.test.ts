import { inspect } from 'node:util';
import { hash } from 'bcryptjs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { renderConfig } from '../../../ts/src/proxy/render-config.ts';
import { SettingsError } from '../../../ts/src/settings/settings-error.ts';

const authDir = '/home/ada/.cli-proxy-api/objectstore/auths';

async function render(text: string, variables: Record<string, string> = {}, previous?: string) {
  return renderConfig({
    text,
    name: 'config.template.yaml',
    variable: (name) => (Object.hasOwn(variables, name) ? variables[name] : undefined),
    authDir,
    previous,
  });
}
const textOf = async (text: string, variables?: Record<string, string>) =>
  (await render(text, variables)).text ?? '';
const valuesIn = async (text: string, variables?: Record<string, string>) =>
  parse(await textOf(text, variables));

describe('a secret in the template', () => {
  it.each([
    ['pipes, ampersands and backslashes', 'a|b&c\\1\\n/d'],
    ['quotes', `"it's"`],
    ['newlines', 'one\ntwo\n\n three\r\n'],
    ['YAML', '- x: {y: [*z, &a !b]} # c'],
    ['another placeholder', '__OTHER__'],
    ['replacement patterns', "$& $1 $$ $'"],
    ['digits', '123456'],
    ['a word that YAML knows', 'true'],
    ['nothing that is printable', '\u0001\u007f\u0085\u009f\u2028\ufeff\uffff'],
    ['emoji', '🔑'],
    ['blanks at its ends', '  x  '],
    ['great length', 'x '.repeat(500)],
  ])('stays what it is with %s', async (_, secret) => {
    const variables = { KEY: secret, OTHER: 'wrong' };
    expect(
      await valuesIn(
        'api-keys: [__KEY__]\nplain: x__KEY__\ndouble: "a __KEY__ b"\nsingle: \'__KEY__\'\nlist:\n  - y: "__KEY__"\n',
        variables,
      ),
    ).toMatchObject({
      'api-keys': [secret],
      plain: `x${secret}`,
      double: `a ${secret} b`,
      single: secret,
      list: [{ y: secret }],
    });
  });

  it('stays what it is, whatever its characters and wherever it stands', async () => {
    const templates = [
      'a: {secret: __KEY__}',
      'a: {secret: "__KEY__"}',
      "a: {secret: '__KEY__'}",
      'a:\n  secret: >-\n    __KEY__\nb: 1',
      'a:\n  secret: |-\n    __KEY__\nb: 1',
      'a:\n  secret: !!str __KEY__ # comment',
      'a:\n  secret: &anchor __KEY__\nb: *anchor',
    ];
    const value = fc.string({ unit: 'binary', minLength: 1 });
    await fc.assert(
      fc.asyncProperty(value, fc.constantFrom(...templates), async (secret, template) => {
        const text = await textOf(template, { KEY: secret });
        expect(parse(text).a.secret).toBe(secret);
        // The proxy's reader takes these for line breaks, or refuses them.
        expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/);
      }),
    );
  });

  it.each(['\u007f', '\u0085', '\u009f', '\u2028', '\u2029', '\ufeff', '\ufffe', '\uffff'])(
    'is escaped where the reader of the proxy would refuse it or see a line break: %j',
    async (character) => {
      const text = await textOf('a: __X__', { X: `x${character}y` });
      expect(text).not.toContain(character);
      expect(parse(text).a).toBe(`x${character}y`);
    },
  );

  it('in a block keeps the block', async () => {
    expect(await valuesIn('a: |\n  one __X__\n  two\n', { X: 'x\ny' })).toMatchObject({
      a: 'one x\ny\ntwo\n',
    });
  });
});

describe('a placeholder', () => {
  it('that is a whole unquoted value keeps a number or a yes or no', async () => {
    expect(
      await valuesIn('port: __PORT__\ndebug: __DEBUG__\nn: __N__\nquoted: "__PORT__"\npart: 1__PORT__', {
        PORT: '8317',
        DEBUG: 'false',
        N: '-5',
      }),
    ).toMatchObject({ port: 8317, debug: false, n: -5, quoted: '8317', part: '18317' });
  });

  it('stays a string in lists and where the key speaks of a secret', async () => {
    const template =
      'allowed:\n  - __K__\napi-keys:\n  - __K__\nremote-management:\n  secret-key: __K__\nx:\n  PASSWORD: __K__\n  my-token: __K__\n  secret: __K__\n';
    const value = await valuesIn(template, { K: '123456' });
    expect(value).toMatchObject({
      allowed: ['123456'],
      'api-keys': ['123456'],
      'remote-management': { 'secret-key': '123456' },
      x: { PASSWORD: '123456', 'my-token': '123456', secret: '123456' },
    });
  });

  it.each(['007', '1.5', '1e3', '0x1f', '+1', 'yes', 'null', '~', '', '12345678901234567890123'])(
    'does not turn %j into something else',
    async (value) => {
      const text = await textOf('a: __X__', { X: value });
      if (/^\d{20,}$/.test(value)) expect(text).toContain(`a: ${value}\n`);
      else expect(parse(text).a).toBe(value);
    },
  );

  it('is not looked for in keys and comments', async () => {
    const text = await textOf('__X__: 1 # __X__\n', { X: 'y' });
    expect(text).toContain('__X__: 1 # __X__');
  });

  it('has capitals, digits and single underscores', async () => {
    const value = await valuesIn('a: __A_1__ __A__\nb: __init__\nc: __a__\nd: _____\n', { A_1: '1', A: '2' });
    expect(value).toMatchObject({ a: '1 2', b: '__init__', c: '__a__', d: '_____' });
  });

  it('may be named like something in JavaScript', async () => {
    const { warnings } = await render('a: x__CONSTRUCTOR__', {});
    expect(warnings).toHaveLength(1);
  });
});

describe('a variable that is not set', () => {
  it('takes its list item with it, and says nothing as long as others are left', async () => {
    const { text, warnings } = await render('api-keys:\n  - __A__\n  - "__B__"\n  - __C__\n', { B: 'b' });
    expect(parse(text ?? '')).toMatchObject({ 'api-keys': ['b'] });
    expect(warnings).toEqual([]);
  });

  it('takes a list with it that is empty then, and says that the proxy asks nobody for a key', async () => {
    const { text, warnings } = await render('a: 1\napi-keys: [__A__, __B__]\nempty: []\n');
    expect(parse(text ?? '')).toEqual({ a: 1, empty: [], 'auth-dir': authDir });
    expect(warnings).toEqual([
      expect.stringMatching(/api-keys is left out, since A, B are not set: .*without asking for a key/),
    ]);
  });

  it('takes lists of lists with it', async () => {
    expect(await valuesIn('a:\n  - [__A__]\n  - - __A__\nb: 1')).toEqual({ b: 1, 'auth-dir': authDir });
  });

  it('elsewhere becomes nothing, with a warning that names it and its place', async () => {
    const { text, warnings } = await render(
      'remote-management:\n  secret-key: __A__\nport: __B__\nurl: "http://__C__/"\nlist:\n  - api-key: __D__\n',
    );
    expect(parse(text ?? '')).toMatchObject({
      'remote-management': { 'secret-key': '' },
      port: null,
      url: 'http:///',
      list: [{ 'api-key': '' }],
    });
    expect(warnings).toEqual([
      expect.stringContaining('A is not set, so remote-management.secret-key is empty'),
      expect.stringContaining('B is not set, so port is empty'),
      expect.stringContaining('C is not set, so url'),
      expect.stringContaining('D is not set, so list[0].api-key is empty'),
    ]);
  });
});

describe('what is not substituted', () => {
  it('stays as it is written, comments and old YAML included', async () => {
    const template = [
      '# The proxy of Ada.',
      'host: 127.0.0.1 # local',
      'mode: 0777',
      'on: off',
      'size: 1_000',
      'time: 12:30:00',
      'ratio: 1.50',
      'nothing:',
      'tilde: ~',
      "quoted: 'yes'",
      'defaults: &defaults',
      '  a: 1',
      'other:',
      '  <<: *defaults',
      'list:',
      '  - one # first',
      '  # before the second',
      '  - two',
      'auth-dir: /elsewhere # ours',
      '',
      '# the end',
      '',
    ].join('\n');
    expect(await textOf(template)).toBe(template.replace('/elsewhere', `"${authDir}"`));
  });

  it('is not folded however long it is', async () => {
    const template = `a: ${'word '.repeat(100)}end\n`;
    expect(await textOf(template)).toContain(template);
  });
});

describe('the auth dir', () => {
  it.each([
    ['is added', 'a: 1\n'],
    ['replaces another one', 'auth-dir: "~/elsewhere"\n'],
    ['replaces an empty one', 'auth-dir:\n'],
    ['replaces what is not even a string', 'auth-dir: {a: b}\n'],
    ['is all there is without a template worth the name', '# nothing yet\n'],
    ['is all there is in an empty one', ''],
  ])('%s', async (_, template) => {
    expect(await valuesIn(template)).toMatchObject({ 'auth-dir': authDir });
  });

  it.each([
    ['added', 'config-version: 8\n'],
    ['added to what is there', 'config-version: 8\noauth:\n  other: 1\n'],
    ['replaced', 'config-version: 8\noauth:\n  auth-dir: ~/elsewhere\n'],
    ['made room for', 'config-version: __V__\noauth:\n'],
  ])('is %s in a config of version 8', async (_, template) => {
    const value = await valuesIn(template, { V: '8' });
    expect(value.oauth['auth-dir']).toBe(authDir);
    expect(value).not.toHaveProperty('auth-dir');
  });

  it('is right under both names where a version 8 config still has the old one', async () => {
    expect(await valuesIn('config-version: 8\nauth-dir: /old\n')).toMatchObject({
      'auth-dir': authDir,
      oauth: { 'auth-dir': authDir },
    });
  });

  it('is left as it is in a config that is no template, under another spelling; so are placeholders', async () => {
    const text = 'auth-dir: ~/auths # mine\na: __X__\n';
    const source = { text, name: 'config.yaml', authDir, previous: text };
    expect((await renderConfig({ ...source, authDirAliases: ['~/auths'] })).text).toBeUndefined();
    expect((await renderConfig(source)).text).toBe(`auth-dir: "${authDir}" # mine\na: __X__\n`);
  });
});

describe('a config that is there already', () => {
  const template =
    '# c\n\nport: __PORT__\n\nremote-management:\n    secret-key: __SECRET__\napi-keys:\n- __KEY__\n';
  const variables = { PORT: '8317', SECRET: 'open sesame', KEY: 'k' };
  const rewritten = (secret: string) =>
    `# c\nport: 8317\nremote-management:\n  secret-key: ${secret}\napi-keys:\n    - "k"\nauth-dir: ${authDir}\n`;

  it('is left alone when it is what would be written', async () => {
    const text = await textOf(template, variables);
    expect((await render(template, variables, text)).text).toBeUndefined();
  });

  it("is left alone after the proxy's own rewrite: a hash of the same secret, other blanks", async () => {
    const previous = rewritten(`'${await hash('open sesame', 4)}'`);
    expect((await render(template, variables, previous)).text).toBeUndefined();
    const digits = rewritten(`'${await hash('0123456', 4)}'`);
    expect((await render(template, { ...variables, SECRET: '0123456' }, digits)).text).toBeUndefined();
  });

  it('likewise in a config of version 8', async () => {
    const v8 = 'config-version: 8\nmanagement:\n  secret-key: __SECRET__\n';
    const previous = `config-version: 8\nmanagement:\n  secret-key: ${await hash('open sesame', 4)}\noauth:\n  auth-dir: ${authDir}\n`;
    expect((await render(v8, variables, previous)).text).toBeUndefined();
  });

  it.each([
    ['of another secret', async () => rewritten(`'${await hash('other', 4)}'`)],
    ['with a hash elsewhere', async () => `${rewritten('x')}# ${await hash('open sesame', 4)}`],
    ['with another port', async () => rewritten(`'${await hash('open sesame', 4)}'`).replace('8317', '1')],
    [
      'with a string for a number',
      async () => rewritten(`'${await hash('open sesame', 4)}'`).replace('8317', '"8317"'),
    ],
    ['that is cut short', async () => 'port: 8317\nremote-management: {'],
    ['that is empty', async () => ''],
  ])('%s is replaced', async (_, previous) => {
    expect((await render(template, variables, await previous())).text).toContain('open sesame');
  });

  it('with a hash that would take minutes to check is not waited for', async () => {
    const slow = (await hash('open sesame', 4)).replace('$04$', '$31$');
    expect((await render(template, variables, rewritten(`'${slow}'`))).text).toContain('open sesame');
  });
});

describe('a template that is not right', () => {
  it.each([
    ['a: [hunter2', /line 1, column \d+/],
    ['a: 1\nb: c: hunter2\n', /line 2, column 4/],
    ['a: 1\na: hunter2\n', /line 2, column 1 \(duplicate key\)/],
    ['\thunter2: 1\n', /line 1, column 1/],
    ['a: "hunter2\n', /line \d+/],
    ['a: 1\n---\nb: hunter2\n', /line 2/],
    ['a: @hunter2\n', /line 1, column 4/],
    ['- hunter2\n', /not a mapping/],
    ['hunter2\n', /not a mapping/],
    ['a: *hunter2\n', /alias/],
    [`a: ${'['.repeat(20_000)}hunter2${']'.repeat(20_000)}`, /config\.template\.yaml/],
  ])('is an error without its text: %j', async (template, message) => {
    const error: unknown = await render(template).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(SettingsError);
    expect(error).toMatchObject({ message: expect.stringMatching(message) });
    expect(inspect(error)).not.toContain('hunter2');
  });

  it('with aliases that explode is an error', async () => {
    const bomb = [
      'a0: &a0 [x, x]',
      ...Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}]`),
    ];
    await expect(render(bomb.join('\n'), {}, 'a: 1')).rejects.toThrow(SettingsError);
  });
});
