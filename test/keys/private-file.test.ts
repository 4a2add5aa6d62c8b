import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkPrivateFolder, createPrivateFile, readPrivateFile } from '../../src/keys/index.ts';
import { codeOf, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const read = (path: string): Promise<string> => codeOf(() => readPrivateFile(path, 'The file'));
const check = (path: string): Promise<string> => codeOf(() => checkPrivateFolder(path));

function file(name: string, mode = 0o600): string {
  writeFileSync(at(name), 'secret');
  chmodSync(at(name), mode);
  return at(name);
}

describe('a private file', () => {
  it.each([0o600, 0o400, 0o700])('of mode %o is read', (mode) => {
    expect(readPrivateFile(file(`good-${mode}`, mode), 'The file').toString()).toBe('secret');
  });

  it.each([0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o777])(
    'of mode %o is refused',
    async (mode) => {
      expect(await read(file(`loose-${mode}`, mode))).toBe('keys.loose_permissions');
    },
  );

  it('is refused when it is not there, a folder, or a pipe that nobody writes to', async () => {
    mkdirSync(at('folder'), { mode: 0o700 });
    expect(spawnSync('mkfifo', ['-m', '600', at('pipe')]).status).toBe(0);
    for (const name of ['missing', 'folder', 'pipe', 'missing/below', 'pipe/below'])
      expect([name, await read(at(name))]).toEqual([name, 'keys.unreadable']);
    expect(await read('/dev/zero')).toBe('keys.unreadable');
  });

  it('is judged by what a link leads to, as secrets are mounted so', async () => {
    symlinkSync(file('mounted'), at('link'));
    symlinkSync(file('mounted-loose', 0o644), at('link-to-loose'));
    symlinkSync(at('nowhere'), at('dangling'));
    symlinkSync(at('loop'), at('loop'));
    expect(await read(at('link'))).toBe('done');
    expect(await read(at('link-to-loose'))).toBe('keys.loose_permissions');
    expect(await read(at('dangling'))).toBe('keys.unreadable');
    expect(await read(at('loop'))).toBe('keys.unreadable');
  });

  it.runIf(process.getuid?.() === 0)('is refused when it belongs to somebody else', async () => {
    const path = file('foreign');
    chownSync(path, 65_534, 65_534);
    expect(await read(path)).toBe('keys.loose_permissions');
    mkdirSync(at('foreign-folder'), { mode: 0o700 });
    chownSync(at('foreign-folder'), 65_534, 65_534);
    expect(await check(at('foreign-folder'))).toBe('keys.loose_permissions');
  });
});

describe('a private folder', () => {
  it.each([0o700, 0o500])('of mode %o is taken', async (mode) => {
    mkdirSync(at(`folder-${mode}`));
    chmodSync(at(`folder-${mode}`), mode);
    expect(await check(at(`folder-${mode}`))).toBe('done');
  });

  it.each([0o755, 0o750, 0o705, 0o710, 0o701, 0o770, 0o1777])('of mode %o is refused', async (mode) => {
    mkdirSync(at(`folder-${mode}`));
    chmodSync(at(`folder-${mode}`), mode);
    expect(await check(at(`folder-${mode}`))).toBe('keys.loose_permissions');
  });

  it('is refused when it is not there or a file', async () => {
    expect(await check(at('no-folder'))).toBe('keys.unreadable');
    expect(await check(file('not-a-folder'))).toBe('keys.unreadable');
  });
});

describe('making a private file', () => {
  it('gives it mode 0600 whatever the umask is', () => {
    const before = process.umask(0);
    createPrivateFile(at('made'), 'secret');
    process.umask(before);
    expect(statSync(at('made')).mode & 0o777).toBe(0o600);
    expect(readFileSync(at('made'), 'utf8')).toBe('secret');
  });

  it('never overwrites a file, a folder or a link, and leaves nothing behind', async () => {
    file('there');
    mkdirSync(at('there-folder'));
    symlinkSync(at('nowhere'), at('there-link'));
    for (const name of ['there', 'there-folder', 'there-link'])
      expect([name, await codeOf(() => createPrivateFile(at(name), 'new'))]).toEqual([name, 'keys.exists']);
    expect(readFileSync(at('there'), 'utf8')).toBe('secret');
    expect(lstatSync(at('there-link')).isSymbolicLink()).toBe(true);
    expect(existsSync(at('nowhere'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('writes through no file that somebody else put in its way', async () => {
    file('way.new');
    expect(await codeOf(() => createPrivateFile(at('way'), 'new'))).toBe('keys.exists');
    expect(readFileSync(at('way.new'), 'utf8')).toBe('secret');
    expect(existsSync(at('way'))).toBe(false);
  });
});
