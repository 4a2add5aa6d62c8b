import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const source = fileURLToPath(new URL('../src', import.meta.url));

/** The arrow table of ARCHITECTURE.md: what each room may import besides itself. Everything not listed is forbidden. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  ssh: ['kernel'],
  x509: ['kernel'],
  tn5250: ['kernel'],
  accounting: ['kernel'],
  'accounting/verify': [],
  keys: ['kernel'],
  identity: ['kernel'],
  policy: ['kernel', 'identity'],
  issuance: ['kernel', 'ssh', 'x509', 'keys', 'policy'],
  revocation: ['kernel', 'ssh', 'x509', 'keys'],
  hosts: ['kernel', 'ssh'],
  broker: ['kernel', 'identity', 'policy', 'issuance', 'revocation', 'hosts', 'accounting'],
  store: ['kernel'],
  'doors/http': ['kernel', 'broker'],
  'doors/sinks': ['kernel', 'broker'],
  'doors/client': ['kernel'],
  'doors/witness-client': ['kernel'],
  'doors/witness': ['kernel', 'accounting', 'accounting/verify'],
  'doors/probe': ['kernel', 'tn5250', 'x509'],
  'doors/ibmi': ['kernel', 'tn5250', 'x509', 'doors/probe'],
  'doors/cli': ['kernel', 'doors/client', 'doors/probe', 'doors/ibmi', 'accounting/verify', 'ssh', 'tn5250'],
  main: ['*'],
};

/** Rooms that may name the types of these others, and nothing else of them. */
const typesOnly: Readonly<Record<string, readonly string[]>> = {
  store: ['broker', 'accounting', 'identity'],
  broker: ['keys'],
  'doors/witness-client': ['broker'],
};

/** Libraries with one door. */
const doorOf: Readonly<Record<string, readonly string[]>> = {
  sshpk: ['ssh'],
  ldapts: ['identity'],
  jose: ['identity'],
  express: ['doors/http'],
  zod: ['doors/http', 'main'],
  'prom-client': ['doors/http'],
  commander: ['doors/cli'],
  '@inquirer/prompts': ['doors/cli'],
  // identity and the witness take only SQLite's operating-system lock.
  'node:sqlite': ['store', 'identity', 'doors/witness'],
  pg: ['store'],
  nodemailer: ['doors/sinks'],
  yaml: ['policy', 'main'],
};

interface Edge {
  readonly file: string;
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
const rooms = Object.keys(arrows).sort((a, b) => b.length - a.length);

function roomOf(path: string): string {
  const room = rooms.find((name) => path === name || path.startsWith(`${name}/`));
  if (room === undefined) throw new Error(`src/${path} is in no room of the arrow table`);
  return room;
}

function edgesOf(file: string): Edge[] {
  const text = readFileSync(join(source, file), 'utf8');
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s+)?(?:(\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+)\s+from\s+)?['"]([^'"\n]+)['"];$/gm,
  );
  const dynamic = text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g);
  const from = roomOf(file.split(sep).join('/'));
  return [
    ...[...statements].map(([, type, names = '', specifier = '']): Edge => {
      const allNamesAreTypes =
        names.startsWith('{') &&
        names
          .slice(1, -1)
          .split(',')
          .every((name) => name.trim() === '' || name.trim().startsWith('type '));
      return { file, from, specifier, typeOnly: type !== undefined || allNamesAreTypes };
    }),
    ...[...dynamic].map(([, specifier = '']): Edge => ({ file, from, specifier, typeOnly: false })),
  ];
}

const edges = files.flatMap(edgesOf);
const inner = edges
  .filter(({ specifier }) => specifier.startsWith('.'))
  .map((edge) => {
    const target = relative(source, join(source, dirname(edge.file), edge.specifier))
      .split(sep)
      .join('/');
    return { ...edge, target, to: target.startsWith('..') ? 'outside' : roomOf(target) };
  });
const between = inner.filter(({ from, to }) => from !== to);

describe('the arrow table', () => {
  it('looked at the whole house', () => {
    expect(files.length).toBeGreaterThan(120);
    expect(between.length).toBeGreaterThan(150);
    for (const room of rooms)
      expect(
        files.some((file) => roomOf(file.split(sep).join('/')) === room),
        room,
      ).toBe(true);
  });

  it('lets no room import what the table does not list', () => {
    const forbidden = between.filter(({ from, to, typeOnly }) => {
      const allowed = arrows[from] ?? [];
      if (allowed.includes('*') || allowed.includes(to)) return false;
      return !(typeOnly && (typesOnly[from] ?? []).includes(to));
    });
    expect(forbidden.map(({ file, specifier }) => `${file} -> ${specifier}`)).toEqual([]);
  });

  it('enters each room only through its index', () => {
    const sideDoors = between.filter(
      ({ to, target, from }) => target !== `${to}/index.ts` && from !== 'main',
    );
    expect(sideDoors.map(({ file, specifier }) => `${file} -> ${specifier}`)).toEqual([]);
  });

  it('lets main enter rooms only through their index, too', () => {
    const sideDoors = between.filter(
      ({ to, target, from }) => from === 'main' && target !== `${to}/index.ts`,
    );
    expect(sideDoors.map(({ file, specifier }) => `${file} -> ${specifier}`)).toEqual([]);
  });

  it('leaves each library to its one door', () => {
    const packages = edges.filter(({ specifier }) => !specifier.startsWith('.'));
    expect(packages.length).toBeGreaterThan(100);
    const wrong = packages.filter(({ specifier, from }) => {
      const library = specifier.startsWith('@')
        ? specifier.split('/').slice(0, 2).join('/')
        : specifier.split('/')[0];
      const doors = doorOf[library ?? ''] ?? doorOf[specifier];
      return doors !== undefined && !doors.includes(from);
    });
    expect(wrong.map(({ file, specifier }) => `${file} -> ${specifier}`)).toEqual([]);
  });

  it('has no file over 450 lines', () => {
    const long = files.filter((file) => readFileSync(join(source, file), 'utf8').split('\n').length > 450);
    expect(long).toEqual([]);
  });
});
