import { createHash } from 'node:crypto';
import type { RawEntry } from './raw-log.ts';

type Fields = Readonly<Record<string, unknown>>;

export const startMs = Date.UTC(2026, 0, 1);

/** RFC 8785, without looking at what is allowed in an entry: odd values must be written, too. */
export function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? '';
  if (Array.isArray(value)) return `[${(value as readonly unknown[]).map(canonical).join(',')}]`;
  const record = value as Fields;
  const members = Object.keys(record)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(record[key])}`);
  return `{${members.join(',')}}`;
}

/** An entry with the fields that every one has, some of them changed or, where they are undefined, left out. */
export function entryWith(changes: Fields, timeMs = startMs): string {
  const hex = timeMs.toString(16).padStart(12, '0');
  const fields: Record<string, unknown> = {
    v: 1,
    id: `${hex.slice(0, 8)}-${hex.slice(8)}-7abc-8def-0123456789ab`,
    time: new Date(timeMs).toISOString(),
    type: 'auth.login',
    outcome: 'success',
  };
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete fields[name];
    else fields[name] = value;
  }
  return canonical(fields);
}

const salt = 'kjhA3mheHh17PQca9xmY_g';
const commit = (value: string, encodedSalt = salt): string =>
  `sha256:${createHash('sha256').update(Buffer.from(encodedSalt, 'base64url')).update(value).digest('base64url')}`;
const why = commit('why');
const nested = (depth: number, inner: unknown, wrap: (value: unknown) => unknown): unknown =>
  depth === 0 ? inner : wrap(nested(depth - 1, inner, wrap));
const inList = (value: unknown): unknown => [value];
const inObject = (value: unknown): unknown => ({ a: value });
/** An entry with one letter Q in a string or a number 77, replaced by bytes that JSON might have there. */
const text = (by: string): string => entryWith({ n: 'Q' }).replace('Q', by);
const number = (by: string): string => entryWith({ n: 77 }).replace('77', by);
const padded = (sizeBytes: number): string =>
  entryWith({ z: 'x'.repeat(sizeBytes - entryWith({ z: '' }).length) });

/** Changes of the fields that every entry has. */
const changes: readonly Fields[] = [
  {},
  ...['v', 'id', 'time', 'type', 'outcome'].map((name) => ({ [name]: undefined })),
  ...[true, 2, '1', null].map((v) => ({ v })),
  ...['', 'auth', 'auth.l1', 'a._', 'A.b', 'a.b\n', 'a..b', 5].map((type) => ({ type })),
  ...['ok', ['success'], null].map((outcome) => ({ outcome })),
  ...['', 'é', 'x.y', 1, null].flatMap((code) => [
    { reason_code: code },
    { reason_code: code, outcome: 'denied' },
  ]),
  { outcome: 'failure' },
  ...['x', null, [], { kind: 'robot' }, { kind: 1 }, { uid: 1 }, { name: 'bob' }, { name: why }].map(
    (actor) => ({ actor }),
  ),
  { reason: 'why' },
  { reason: null },
  { src: 'x' },
  { corr: { request: 1 } },
  { subject: { uid: 1 } },
  ...[
    '2026-02-29T00:00:00.000Z',
    '2026-01-01T24:00:00.000Z',
    '2026-01-01T23:59:60.000Z',
    '2026-01-01T00:00:00Z',
    '2026-01-01T00:00:00.000+00:00',
    '2026-01-01t00:00:00.000Z',
    '2026-04-31T00:00:00.000Z',
    '2026-01-01T00:00:00.000Z\n',
    '٢٠٢٦-01-01T00:00:00.000Z',
    '+02026-01-01T00:00:00.000Z',
    startMs,
  ].map((time) => ({ time })),
  ...['019b76da-a800-4abc-8def-0123456789ab', '019b76da-a801-7abc-8def-0123456789ab', 5].map((id) => ({
    id,
  })),
  ...[15, 16].flatMap((depth) => [
    ...[1, {}, [], [1]].map((inner) => ({ a: nested(depth, inner, inObject) })),
    ...[1, {}, [], [1]].map((inner) => ({ a: nested(depth, inner, inList) })),
  ]),
  { a: '{'.repeat(40), b: '['.repeat(40) },
  ...[2 ** 53 - 1, 2 ** 53, -(2 ** 53 - 1), -(2 ** 53), 1.5, 1e21].map((n) => ({ n })),
  { '\u{1f600}': 1, '\uff00': 2, '': 3 },
  { toString: 1, constructor: 2, hasOwnProperty: 3 },
  { n: '\u007f\u0085\u2028\u2029\ufeff\uffff' },
];

/** Bytes that are no entry, or are one that looks odd. */
const bytes: readonly (string | Buffer)[] = [
  '',
  '{}',
  '[]',
  '"x"',
  'null',
  '['.repeat(60_000),
  `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
  ...['1e3', '-0', '1.0', '01', 'NaN', '-Infinity', '9'.repeat(60_000), '+1', '0x1'].map(number),
  ...['\\u00e9', '\\u001F', '\\u001f', '\\b\\f\\n\\r\\t\\"\\\\', '\\/', '\\u0008', '\\ud800'].map(text),
  ...['\\ud83d\\ude00', '\u0001', '\u0000', '\\x', '\\u+123'].map(text),
  Buffer.from(text('\u00ff'), 'latin1'),
  Buffer.from(text('\u00ed\u00a0\u00bd'), 'latin1'),
  `\ufeff${entryWith({})}`,
  `${entryWith({})} `,
  `${entryWith({})}\r`,
  entryWith({}) + entryWith({}),
  entryWith({}).replace('"v":1', '"v":1,"v":1'),
  entryWith({}).replace('{', '{"z":1,'),
  entryWith({}).replace('}', ',"\uff00":2,"\u{1f600}":1}'),
  entryWith({}).replace('{', '{"__proto__":{"x":1},'),
  padded(65_535),
  padded(65_536),
];

const opening = (value: unknown, encodedSalt: unknown = salt): unknown => ({ salt: encodedSalt, value });

/** Entries with the path `reason`, and openings. */
const openings: readonly (readonly [commitment: unknown, openings: unknown])[] = [
  [why, { reason: opening('why') }],
  ...['erased', 'withheld', 'gone', null, ['erased'], {}, 5].map(
    (value) => [why, { reason: value }] as const,
  ),
  [why, { reason: { salt, value: 'why', x: 1 } }],
  [why, { reason: { value: 'why' } }],
  [why, { reason: opening('who') }],
  [commit('1'), { reason: opening(1) }],
  ...[`${salt}==`, 'kjhA3mheHh17PQca9xmY_h', salt.replace('_', '/'), 5].map(
    (odd) => [why, { reason: opening('why', odd) }] as const,
  ),
  ...['', 'AAAA', 'A'.repeat(24)].map((odd) => [commit('v', odd), { reason: opening('v', odd) }] as const),
  [why, {}],
  [why, []],
  [why, 'x'],
  [why, { reason: opening('why'), src: opening('why') }],
  [commit(''), { reason: opening('') }],
  [commit('\u{1f600}\u2028\u007f'), { reason: opening('\u{1f600}\u2028\u007f') }],
  [commit('x'.repeat(131_015)), { reason: opening('x'.repeat(131_015)) }],
  [commit('x'.repeat(131_016)), { reason: opening('x'.repeat(131_016)) }],
  ...['x', why.slice(0, -1), `${why}=`, `${why}\n`, why.replace('sha', 'SHA'), 5, null, {}].map(
    (odd) => [odd, { reason: 'erased' }] as const,
  ),
  [`${why.slice(0, -1)}${String.fromCodePoint((why.codePointAt(49) ?? 0) + 1)}`, { reason: 'erased' }],
];

/** Lists of paths, with what stands in the entry. */
const paths: readonly (readonly [personal: unknown, fields: Fields])[] = [
  [[], {}],
  ['reason', { reason: why }],
  [null, {}],
  [{}, {}],
  [[1], {}],
  [['reason', 'reason'], { reason: why }],
  [['src.ip', 'reason'], { reason: why, src: { ip: why } }],
  [['reason', 'src.ip'], { reason: why, src: { ip: why } }],
  [['reason'], {}],
  [['a.b.c'], { a: { b: { c: why } } }],
  [['a.b'], { 'a.b': why }],
  [['A'], { A: why }],
  [['a'.repeat(32)], { ['a'.repeat(32)]: why }],
  [['a'.repeat(33)], { ['a'.repeat(33)]: why }],
  [['a\n'], { 'a\n': why }],
  [['zz.0'], { zz: [why] }],
  [['zz.length'], { zz: 'ab' }],
  [['constructor.name'], {}],
  [['to_string'], { to_string: why }],
  [['id'], {}],
  [['reason_code'], { outcome: 'failure', reason_code: why }],
];

/** One entry each that is odd in one way, and often enough allowed. */
export const oddEntries: readonly RawEntry[] = [
  ...changes.map((changed) => ({ entry: entryWith(changed) })),
  ...bytes.map((entry) => ({ entry })),
  ...openings.map(([reason, given]) => ({
    entry: entryWith({ reason, personal: ['reason'] }),
    openings: canonical(given),
  })),
  ...paths.map(([personal, fields]) => ({
    entry: entryWith({ ...fields, personal }),
    openings: canonical(
      Object.fromEntries(Array.isArray(personal) ? personal.map((path) => [String(path), 'erased']) : []),
    ),
  })),
  ...['', '{ }', '{}\r', `{"reason":{"salt":"${salt}","value":"\\ud800"}}`, '['.repeat(131_072)].map(
    (given) => ({
      entry: entryWith({ reason: why, personal: ['reason'] }),
      openings: given,
    }),
  ),
];

type Below = (limit: number) => number;

/** A log of up to 28 entries that meet the rules of the replay closely, and break one now and then. */
export function oddLog(below: Below): RawEntry[] {
  const pick = <T>(list: readonly [T, ...T[]]): T => list[below(list.length)] ?? list[0];
  const wild = below(3) === 0;
  let timeMs = startMs;
  let next = 1;
  let version = 1;
  const cred = (): Fields => {
    const odd = wild && below(6) === 0;
    const serial: unknown = odd
      ? pick<unknown>(['1', '0', '01', 5, null, '18446744073709551615', '18446744073709551616'])
      : String(next + (below(4) === 0 ? 1 : 0));
    next += 1;
    const names = pick<unknown>(['B', '', 'x y', 'é', 'A'.repeat(101), null, 5, 'constructor', '__proto__']);
    const kind = odd ? pick<unknown>(['tls-server', 'ssh-', 'ssh', '', 5, null]) : 'ssh-user';
    return { serial, ca_fp: wild && below(9) === 0 ? names : 'A', kind };
  };
  const end = (): unknown =>
    pick<unknown>([
      new Date(timeMs - 86_400_000 + below(3) * 1000).toISOString(),
      new Date(timeMs + 3_600_000).toISOString(),
      undefined,
      ...(wild ? [null, 5, '2026-02-30T00:00:00.000Z', '1969-12-31T23:59:59.000Z'] : []),
    ]);
  const list = (): Fields => ({
    ca_fp: wild && below(9) === 0 ? pick<unknown>(['', null, '__proto__', 'null']) : 'A',
    serials: wild && below(9) === 0 ? pick<unknown>(['0', -1, null, true]) : below(3),
    keys: wild && below(9) === 0 ? pick<unknown>(['0', -1, null]) : below(2),
    log_size: wild && below(9) === 0 ? pick<unknown>([0, '', '01', null, '9'.repeat(16)]) : String(below(6)),
  });
  const acts: readonly [() => Fields, ...(() => Fields)[]] = [
    () => ({ type: 'cred.issue', cred: cred() }),
    () => ({ type: 'cred.issue', cred: cred() }),
    () => {
      const { serial = '', ...rest } = cred();
      const last = wild ? String(Number(serial) + below(4)) : serial;
      return { type: 'cred.void', cred: { ...rest, serial_first: serial, serial_last: last } };
    },
    () => ({ type: 'cred.revoke', cred: { ...cred(), serial: String(1 + below(next)), not_after: end() } }),
    () => ({ type: 'cred.revoke', target: { kind: 'key', value: pick<unknown>(['a', 'b', 5, null]) } }),
    () => ({ type: 'krl.publish', artifact: { version: String(version++) }, list: list() }),
    () => ({ type: 'krl.publish', artifact: { version: String(version++) } }),
    () => ({ type: wild ? pick(['cred.issue', 'cred.revoke', 'krl.publish', 'cred.void']) : 'other.thing' }),
    () => ({
      type: 'log.heartbeat',
      heartbeat: pick<unknown>([
        {},
        { interval_seconds: 60 },
        { interval_seconds: 0 },
        { interval_seconds: 86_401 },
        { interval_seconds: true },
        'x',
      ]),
    }),
    () => ({ type: 'system.start' }),
    () => ({ type: 'system.stop' }),
  ];
  const goesOn = below(3) === 0;
  if (goesOn) next = 4;
  const rest = Array.from({ length: 3 + below(25) }, () => {
    const jumps = [0, -300_000, -300_001, 900_000, 899_999, 1_260_000, 1_260_001, 180_000, 180_001] as const;
    timeMs += (below(3) === 0 ? pick(jumps) : 0) + below(3) * 1000;
    const failed = below(6) === 0 ? { outcome: 'failure', reason_code: 'x.y' } : {};
    return { entry: entryWith({ ...pick(acts)(), ...failed }, timeMs) };
  });
  if (!goesOn) return rest;
  const begins = { entry: entryWith({ type: 'log.epoch', epoch: oddEpoch(below, wild) }, startMs) };
  // Somewhere else it is a contradiction.
  return wild && below(4) === 0 ? [...rest, begins] : [begins, ...rest];
}

/** What a log goes on from: serials of A from 4 on. One time in two something about it is odd. */
function oddEpoch(below: Below, wild: boolean): unknown {
  const good = {
    origin: 'old.example/1',
    size: '7',
    checkpoint: 'old.example/1\n7\nroot\n',
    authorities: [{ ca_fp: 'A', next: '4' }],
    list_version: '1',
  };
  if (!wild || below(2) === 0) return good;
  const odd: readonly unknown[] = [
    null,
    ...['a b', '', 'x'.repeat(201), 'old.example/1\n', 5].map((origin) => ({ ...good, origin })),
    ...['07', '-1', '1'.repeat(16), 7, '0'].map((size) => ({ ...good, size })),
    ...['old.example/1\n7', 'old.example/1\n70\n', 'other\n7\n', '', null, 1].map((checkpoint) => ({
      ...good,
      checkpoint,
    })),
    ...['0', '01', 4, null, '18446744073709551616'].map((next) => ({
      ...good,
      authorities: [{ ca_fp: 'A', next }],
    })),
    ...['', 'x y', 'é', null].map((name) => ({ ...good, authorities: [{ ca_fp: name, next: '4' }] })),
    { ...good, authorities: [1, 2].map(() => ({ ca_fp: 'A', next: '4' })) },
    ...[{}, null, 'A', [5], [null]].map((authorities) => ({ ...good, authorities })),
    ...['0', 1, null, '01'].map((version) => ({ ...good, list_version: version })),
  ];
  return odd[below(odd.length)];
}
