import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isCodedError } from '../../src/kernel/index.ts';
import { loadConfig } from '../../src/main/config.ts';
import { parseDatabaseArgument, placeOf, type StorePlace } from '../../src/main/database.ts';
import { defaultConfigYaml } from '../../src/main/operator/default-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-database-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'sallyport.yaml');
const plain = defaultConfigYaml({
  listen: '127.0.0.1:1',
  origins: ['https://localhost:1'],
  logOrigin: 'a/b',
});

const place = (lines: string, keepsData = false): StorePlace => {
  writeFileSync(file, plain.replace(/^data: data$/m, keepsData ? `data: data\n${lines}` : lines));
  return placeOf(loadConfig(file));
};
const codeOf = (work: () => unknown): string => {
  try {
    work();
    return 'done';
  } catch (error) {
    if (isCodedError(error)) return error.code;
    throw error;
  }
};
const remote = { host: 'db.example.com', port: 5432, database: 'sallyport', user: 'anna', tls: {} };

describe('the place of the database', () => {
  it('is the SQLite folder unless one line names PostgreSQL', () => {
    expect(place('data: data')).toEqual({ kind: 'sqlite', folder: join(folder, 'data') });
    const line = 'database: postgres://anna@db.example.com/sallyport';
    expect(place(line)).toEqual({ kind: 'postgres', address: remote });
    expect(place(line, true)).toEqual({ kind: 'postgres', address: remote });
  });

  it.each([
    ['postgresql://anna@db.example.com:6432/sallyport', { port: 6432 }],
    ['postgres://an%40na@[2001:db8::1]/sallyport', { user: 'an@na', host: '2001:db8::1' }],
    ['postgres://anna:pa%3Ass@db.example.com/sallyport', { password: 'pa:ss' }],
    ['postgres://anna@localhost/sallyport', { host: 'localhost', tls: 'none' }],
    ['postgres://anna@127.0.0.1/sallyport', { host: '127.0.0.1', tls: 'none' }],
    ['postgres://anna@[::1]/sallyport', { host: '::1', tls: 'none' }],
    ['postgres://anna@%2Frun%2Fpostgresql/sallyport', { host: '/run/postgresql', tls: 'none' }],
  ])('is read from %s', (url, over) => {
    expect(place(`database: "${url}"`)).toEqual({ kind: 'postgres', address: { ...remote, ...over } });
  });

  it('takes password and authority from files, and gives TLS up only when it is told to', () => {
    writeFileSync(join(folder, 'password'), 'from a file\n', { mode: 0o600 });
    writeFileSync(join(folder, 'ca.pem'), 'PEM');
    const url = 'database:\n  url: postgres://anna@db.example.com/sallyport\n';
    expect(place(`${url}  password-file: password\n  ca-file: ca.pem`)).toEqual({
      kind: 'postgres',
      address: { ...remote, password: 'from a file', tls: { ca: 'PEM' } },
    });
    expect(place(`${url}  tls: none-i-accept-clear-text`)).toMatchObject({ address: { tls: 'none' } });
    chmodSync(join(folder, 'password'), 0o644);
    expect(codeOf(() => place(`${url}  password-file: password`))).toBe('keys.loose_permissions');
  });

  it.each([
    'mysql://anna@db.example.com/sallyport',
    'postgres://db.example.com/sallyport',
    'postgres://anna@db.example.com',
    'postgres://anna@db.example.com/',
    'postgres://anna@db.example.com/a/b',
    'postgres://anna@/sallyport',
    'postgres://anna@db.example.com/sallyport?sslmode=disable',
    'postgres://anna@db.example.com/sallyport#x',
    'postgres://anna@db.example.com:99999/sallyport',
    'postgres://anna@db.example.com/%zz',
    'host=db user=anna',
    '',
  ])('is not taken from “%s”, nor on the command line', (url) => {
    expect(codeOf(() => place(`database: "${url}"`))).toBe('main.invalid_config');
    expect(codeOf(() => parseDatabaseArgument(url, undefined))).toBe('main.bad_database_url');
  });

  it('is needed', () => {
    expect(codeOf(() => place(''))).toBe('main.invalid_config');
  });

  it('has no password on the command line, and none in what is said of it', () => {
    expect(parseDatabaseArgument('postgres://anna@db.example.com/sallyport', undefined)).toEqual(remote);
    const secret = 'postgres://anna:hunter2@db.example.com/sallyport';
    expect(() => parseDatabaseArgument(secret, undefined)).toThrow(/^(?!.*hunter2)/);
    expect(codeOf(() => parseDatabaseArgument(secret, undefined))).toBe('main.bad_database_url');
    expect(readFileSync(file, 'utf8')).not.toContain('hunter2');
  });
});
