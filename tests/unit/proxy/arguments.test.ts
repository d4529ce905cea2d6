import { describe, expect, it } from 'vitest';
import { proxyArguments } from '../../../ts/src/proxy/arguments.ts';

const args = (...given: string[]) => proxyArguments(given, '/ours/config.yaml', '/home/ada');

describe('the arguments for the proxy', () => {
  it.each([
    [[], ['-config', '/ours/config.yaml']],
    [
      ['--claude-login', '-no-browser'],
      ['-config', '/ours/config.yaml', '--claude-login', '-no-browser'],
    ],
    [
      ['-config', 'my.yaml'],
      ['-config', '/home/ada/my.yaml'],
    ],
    [
      ['--config=../my.yaml', '-x'],
      ['--config=/home/my.yaml', '-x'],
    ],
    [
      ['-config', '/abs.yaml'],
      ['-config', '/abs.yaml'],
    ],
    [
      ['-vertex-import', 'key.json'],
      ['-config', '/ours/config.yaml', '-vertex-import', '/home/ada/key.json'],
    ],
    [['-vertex-import=./a=b.json'], ['-config', '/ours/config.yaml', '-vertex-import=/home/ada/a=b.json']],
    [
      ['-password', '-config', 'x'],
      ['-config', '/ours/config.yaml', '-password', '-config', 'x'],
    ],
    [
      ['--', '-config', 'x'],
      ['-config', '/ours/config.yaml', '--', '-config', 'x'],
    ],
    [
      ['word', '-config', 'x'],
      ['-config', '/ours/config.yaml', 'word', '-config', 'x'],
    ],
    [['-vertex-import'], ['-config', '/ours/config.yaml', '-vertex-import']],
    [['-config='], ['-config=']],
    [
      ['', '-'],
      ['-config', '/ours/config.yaml', '', '-'],
    ],
  ])('of %j are %j', (given, expected) => {
    expect(args(...given)).toEqual(expected);
  });
});
