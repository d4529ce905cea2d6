// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what agents have where the home belongs
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isMarked, marked } from '../../../ts/src/services/mark.ts';
import {
  areEqualSets,
  forHome,
  readServiceSet,
  type ServiceSet,
  writeServiceSet,
} from '../../../ts/src/services/service-set.ts';

const SET: ServiceSet = {
  manager: 'launchd',
  files: new Map([['a.plist', '<string>${HOME}/$&</string>']]),
  directories: ['${HOME}/watched'],
  hydrate: {
    command: ['/bin/hydrate'],
    environment: { CLIPROXY_ENV_FILE: '%t/secret:${XDG_RUNTIME_DIR}/other' },
  },
};

describe('a rendered set of services', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'set-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('is read as it was written', async () => {
    await writeServiceSet(directory, SET);
    expect(await readServiceSet(directory)).toEqual(SET);
    expect(areEqualSets(await readServiceSet(directory), SET)).toBe(true);
    expect(areEqualSets(SET, { ...SET, files: new Map([['a.plist', 'other']]) })).toBe(false);
  });

  it("gets this user's directories, escaped where it is XML, and no other dollar is touched", () => {
    const { files, directories, hydrate } = forHome(SET, '/Users/a&b', '/run/user/1');
    expect(files.get('a.plist')).toBe('<string>/Users/a&amp;b/$&</string>');
    expect(directories).toEqual(['/Users/a&b/watched']);
    expect(hydrate?.environment).toEqual({ CLIPROXY_ENV_FILE: '/run/user/1/secret:/run/user/1/other' });
  });

  it('leaves units to systemd, which expands %h itself', () => {
    const set: ServiceSet = { ...SET, manager: 'systemd' };
    expect(forHome(set, '/home/me', undefined).files).toEqual(SET.files);
  });

  it.each([
    ['no JSON', '{', 'is not JSON'],
    ['JSON that is no object', 'null', 'is not a JSON object'],
    ['a later format', '{"format":2}', 'has format 2'],
    ['another manager', '{"format":1,"manager":"runit"}', 'names neither systemd nor launchd'],
    ['no directories', '{"format":1,"manager":"systemd"}', 'has no list of directories'],
    [
      'half a command',
      '{"format":1,"manager":"systemd","directories":[],"hydrate":{"command":[]}}',
      'has a hydrate that is no command',
    ],
  ])('%s is refused by name', async (_, manifest, words) => {
    await mkdir(join(directory, 'systemd/user'), { recursive: true });
    await writeFile(join(directory, 'manifest.json'), manifest);
    await expect(readServiceSet(directory)).rejects.toThrow(words);
  });
});

describe('the mark', () => {
  it('is found in what was marked, and nowhere else', () => {
    const unit = '[Unit]\nDescription=x\n';
    const plist = '<?xml version="1.0"?>\n<plist/>\n';
    expect(isMarked(marked(unit, 'systemd'))).toBe(true);
    expect(isMarked(marked(plist, 'launchd'))).toBe(true);
    expect(marked(plist, 'launchd')).toMatch(/^<\?xml/);
    expect(isMarked(unit)).toBe(false);
    expect(isMarked('[Unit]\nDescription=Written by cliproxyapi-sync; not\n')).toBe(false);
  });
});
