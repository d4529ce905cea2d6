import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { root } from './support/nix.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'adopt-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const at = (path: string) => join(directory, path);
const adopt = () =>
  execFileSync('bash', [join(root, 'modules/adopt-logins.sh'), directory, at('objectstore/auths')], {
    encoding: 'utf8',
  });
const adopted = () => readdirSync(at('objectstore/auths')).sort();

describe("logins that nixpkgs' own module left behind", () => {
  it('are adopted, readable by their owner alone, and stay where they were too', () => {
    writeFileSync(at('claude-a@example.com.json'), '{"type":"claude"}', { mode: 0o644 });
    writeFileSync(at('two words.json'), '{"type":"codex"}');
    writeFileSync(at('config.yaml'), '');
    expect(adopt()).toContain('adopted the login claude-a@example.com.json');
    expect(adopted()).toEqual(['claude-a@example.com.json', 'two words.json']);
    expect(statSync(at('objectstore/auths/claude-a@example.com.json')).mode & 0o777).toBe(0o600);
    expect(readFileSync(at('claude-a@example.com.json'), 'utf8')).toBe('{"type":"claude"}');
  });

  it('never replace what is there', () => {
    mkdirSync(at('objectstore/auths'), { recursive: true });
    writeFileSync(at('objectstore/auths/a.json'), 'new');
    writeFileSync(at('a.json'), 'old');
    adopt();
    expect(readFileSync(at('objectstore/auths/a.json'), 'utf8')).toBe('new');
  });

  it('are adopted once: a deleted one does not come back', () => {
    writeFileSync(at('a.json'), '{}');
    adopt();
    rmSync(at('objectstore/auths/a.json'));
    expect(adopt()).toBe('');
    expect(adopted()).toEqual([]);
  });

  it('after a crash in the middle, the rest follows and nothing is left over', () => {
    mkdirSync(at('objectstore/auths'), { recursive: true });
    writeFileSync(at('objectstore/auths/.a.json.adopting'), '{"type":');
    writeFileSync(at('a.json'), '{"type":"claude"}');
    adopt();
    expect(adopted()).toEqual(['a.json']);
    expect(readFileSync(at('objectstore/auths/a.json'), 'utf8')).toBe('{"type":"claude"}');
  });

  it('a link, a directory and a first start without any are no trouble', () => {
    symlinkSync('/etc/passwd', at('link.json'));
    mkdirSync(at('dir.json'));
    expect(adopt()).toBe('');
    expect(adopted()).toEqual([]);
  });
});
