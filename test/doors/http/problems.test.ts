import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { problemOf, retryAfterSeconds, statusOf } from '../../../src/doors/http/problem.ts';
import { CodedError } from '../../../src/kernel/index.ts';

const source = join(import.meta.dirname, '..', '..', '..', 'src');

/** What a request can run through; the rest of the house runs at start or in commands. */
const reachable = [
  'broker',
  'doors/http',
  'doors/sinks/quarantine.ts',
  'hosts',
  'identity',
  'issuance',
  'kernel',
  'main/responses.ts',
  'policy',
  'revocation',
  'store',
  'accounting',
  'keys/signer.ts',
  'ssh/certificate-encoder.ts',
  'ssh/certificate-options.ts',
  'ssh/key-types.ts',
  'ssh/krl-encode.ts',
  'ssh/krl-errors.ts',
  'ssh/public-key.ts',
  'ssh/public-key-text.ts',
  'ssh/signature.ts',
  'ssh/source-address.ts',
  'ssh/wire.ts',
];
const notReachable = ['accounting/verify', 'identity/built-in/people', 'identity/built-in/file-lock'];

/** Codes that a client must never see: a fault of the broker, of its configuration or of a directory's data. */
const ownFaults = [
  'accounting.bad_draft',
  'accounting.bad_head',
  'accounting.bad_openings',
  'accounting.bundle_gap',
  'accounting.entry_too_large',
  'accounting.not_canonical',
  'http.internal',
  'identity.directory_misbehaved',
  'identity.wrong_directory',
  'issuance.lint',
  'issuance.not_linted',
  'issuance.wrong_certificate',
  'keys.bad_signature',
  'revocation.bad_list',
  'revocation.list_lost',
  'revocation.foreign_issuer',
  'revocation.no_ocsp_signer',
  'ssh.bad_signature_length',
  'ssh.bad_source_address',
  'ssh.invalid_certificate',
  'ssh.krl_bad_bitmap',
  'ssh.krl_bad_hash',
  'ssh.krl_bad_serial',
  'ssh.krl_bad_value',
  'ssh.krl_too_large',
  'ssh.wrong_signature_algorithm',
];

/** Codes of the start and of commands, in files that requests share. */
const beforeTheDoorOpens = [
  'accounting.bad_checkpoint',
  'accounting.bad_kept_checkpoint',
  'accounting.forked',
  'accounting.no_kept_checkpoint',
  'accounting.rolled_back',
  'accounting.bad_key',
  'accounting.bad_origin',
  'accounting.bad_witness_key',
  'accounting.bad_witness_policy',
  'accounting.wrong_origin',
  'identity.bad_directory_config',
  'identity.bad_origin',
  'identity.duplicate_directory',
  'keys.unsupported',
  'policy.invalid',
  'store.damaged',
  'store.foreign_log',
  'revocation.other_authority',
  'store.dump_failed',
  'store.in_use',
  'store.no_pg_dump',
  'store.not_owner',
  'store.missing',
  'store.not_empty',
  'store.pending_migration',
  'store.newer_schema',
  'store.not_scrubbed',
  'store.not_empty',
  'store.pending_migration',
];

/** Words of the log, or codes that another room catches. */
const neverThrown = [
  'hosts.alert',
  'hosts.feed_gap',
  'probe.report',
  'responses.fault',
  'identity.fault',
  'identity.list_not_taken',
  'issuance.abandoned',
  'issuance.fault',
  'issuance.not_released',
  'kernel.bad_person_id',
  'policy.change',
];

function codesIn(paths: readonly string[]): ReadonlySet<string> {
  const files = paths.flatMap((path) =>
    path.endsWith('.ts')
      ? [path]
      : (readdirSync(join(source, path), { recursive: true }) as string[]).map((file) => join(path, file)),
  );
  const codes = files
    .filter((file) => file.endsWith('.ts') && !notReachable.some((prefix) => file.startsWith(prefix)))
    .filter((file) => file !== 'doors/http/problem.ts')
    .flatMap((file) => [
      ...readFileSync(join(source, file), 'utf8').matchAll(
        /'((?:accounting|hosts|http|identity|issuance|kernel|keys|policy|probe|responses|revocation|ssh|store)\.[a-z_0-9]+)'/g,
      ),
    ])
    .map(([, code]) => code ?? '');
  return new Set(codes);
}

const table = [
  ...readFileSync(join(source, 'doors/http/problem.ts'), 'utf8').matchAll(
    /^ {2}'([a-z]+\.[a-z_]+)': \d{3},$/gm,
  ),
].map(([, code]) => code ?? '');

const status = (code: string): number | undefined => statusOf(new CodedError(code as `a.${string}`, 'x'));

describe('the table of statuses', () => {
  const codes = codesIn(reachable);

  it('was read whole', () => {
    expect(table.length).toBeGreaterThan(45);
    expect(codes.size).toBeGreaterThan(90);
  });

  it('has every code that a request may meet, or hides it on purpose', () => {
    const hidden = new Set([...ownFaults, ...beforeTheDoorOpens, ...neverThrown]);
    const forgotten = [...codes].filter((code) => status(code) === undefined && !hidden.has(code));
    expect(forgotten).toEqual([]);
  });

  it('hides what it should, and nothing that does not exist', () => {
    for (const code of ownFaults) expect([code, status(code)]).toEqual([code, undefined]);
    const all = [...ownFaults, ...beforeTheDoorOpens, ...neverThrown, ...table];
    expect(all.filter((code) => !codes.has(code) && code !== 'http.internal')).toEqual([]);
  });

  it('calls every refusal of policy 403, unless it says otherwise', () => {
    const policy = [...codesIn(['policy'])].filter(
      (code) => code.startsWith('policy.') && code !== 'policy.invalid',
    );
    expect(policy.length).toBeGreaterThan(15);
    for (const code of policy) expect([code, status(code)]).toEqual([code, 403]);
  });
});

describe('a problem document', () => {
  it('tells nothing of a fault but the request id', () => {
    const faults = [
      new Error('secret path /srv/keys'),
      new CodedError('issuance.lint', 'secret path /srv/keys'),
      'secret path /srv/keys',
      undefined,
      Object.assign(new Error('secret path /srv/keys'), { status: 400, expose: true }),
    ];
    for (const fault of faults) {
      const problem = problemOf(fault, 'r-1');
      expect(problem).toMatchObject({ status: 500, code: 'http.internal', requestId: 'r-1' });
      expect(JSON.stringify(problem)).not.toContain('secret');
    }
  });

  it('keeps what a database said to the log', () => {
    const said = new CodedError('store.unavailable', 'disk I/O error in /srv/data', {
      next: 'Look at /srv/data.',
    });
    const problem = problemOf(said, 'r-1');
    expect(problem).toMatchObject({ status: 503, code: 'store.unavailable' });
    expect(JSON.stringify(problem)).not.toContain('/srv');
    expect(retryAfterSeconds(problem)).toBe(1);
  });

  it('passes on when to come back', () => {
    const throttled = new CodedError('identity.throttled', 'Too many.', {
      details: { retryAfterSeconds: 40 },
    });
    expect(retryAfterSeconds(problemOf(throttled, 'r-1'))).toBe(40);
    expect(retryAfterSeconds(problemOf(new CodedError('http.not_found', 'x'), 'r-1'))).toBeUndefined();
  });
});
