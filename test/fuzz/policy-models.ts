import * as fc from 'fast-check';
import type { Person } from '../../src/identity/index.ts';
import { parsePersonId } from '../../src/kernel/index.ts';
import { decideUserCertificate, parsePolicy } from '../../src/policy/index.ts';
import type { OwnerOf, Policy, UserCertificateRequest, UserDecision } from '../../src/policy/index.ts';

const seed = 20_261_123;

/** A profile as it was meant, to check grants against: not what the policy's own reader made of it. */
export interface ProfileModel {
  readonly groups: readonly string[];
  readonly explicit: readonly string[];
  readonly from: readonly { readonly attribute: string; readonly transforms: readonly string[] }[];
  readonly lifetime: { readonly default: number; readonly max: number };
  readonly extensions: readonly string[];
  readonly forceCommand: string | undefined;
  readonly sourceAddress: boolean;
  readonly verifyRequired: boolean;
  readonly bind: boolean;
  readonly rsaMinBits: number;
  readonly types: readonly string[] | undefined;
  readonly sources: boolean;
  readonly window: boolean;
  readonly reason: boolean;
}

export const types = ['ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'sk-ssh-ed25519@openssh.com'];
const extensions = ['permit-pty', 'permit-port-forwarding', 'permit-X11-forwarding', 'no-touch-required'];
const logins = ['alice', 'bob', 'Carol', 'alexander1', 'alexander2', 'root', 'oracle', 'deploy'];
const nasty = [
  'a,b',
  'a b',
  '*',
  'al?ce',
  '#a',
  'a\n',
  'a\0b',
  '\u001b[0m',
  'é',
  '\u212a',
  '',
  '-a',
  'a@b@c',
  '@x',
  'x'.repeat(200),
  '!a',
  '\u202e',
  'a=b',
  '!',
  'CORP\\',
  '__proto__',
  'root@x',
  'CORP\\Root',
];
const transforms = ['strip-domain', 'lower', 'upper', 'max-length 8', 'max-length-10', 'max-length 1'];
const often = fc.integer({ min: 0, max: 9 }).map((draw) => draw < 7);
const seldom = often.map((draw) => !draw);

const profileModel: fc.Arbitrary<ProfileModel> = fc.record({
  groups: fc.subarray(['users', 'dba', 'ops'], { minLength: 1 }),
  explicit: fc.subarray(['oracle', 'deploy', 'root', 'www', 'Alice'], { minLength: 0, maxLength: 2 }),
  from: fc.array(
    fc.record({
      attribute: fc.constantFrom('uid', 'mail'),
      transforms: fc.array(fc.constantFrom(...transforms), { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 2 },
  ),
  lifetime: fc
    .tuple(fc.integer({ min: 300, max: 86_400 }), fc.integer({ min: 300, max: 86_400 }))
    .map(([a, b]) => ({ default: Math.min(a, b), max: Math.max(a, b) })),
  extensions: fc.subarray(extensions),
  forceCommand: fc.option(fc.constantFrom('/bin/true', 'echo "a,b" \\ # c'), { nil: undefined }),
  sourceAddress: seldom,
  verifyRequired: seldom,
  bind: seldom,
  rsaMinBits: fc.constantFrom(2048, 3072, 4096),
  types: fc.option(fc.subarray(types, { minLength: 1 }), { nil: undefined }),
  sources: seldom,
  window: seldom,
  reason: seldom,
});

const policyModel = fc.array(profileModel, { minLength: 1, maxLength: 4 });

function toYaml(profiles: readonly ProfileModel[]): string {
  const bodies = profiles.map((model, index) => [
    `p${index}`,
    {
      who: { groups: model.groups.map((group) => `builtin:${group}`) },
      principals: { ...(model.explicit.length === 0 ? {} : { explicit: model.explicit }), from: model.from },
      lifetime: { default: `${model.lifetime.default}s`, max: `${model.lifetime.max}s` },
      extensions: model.extensions,
      'critical-options': {
        ...(model.forceCommand === undefined ? {} : { 'force-command': model.forceCommand }),
        ...(model.sourceAddress ? { 'source-address': ['10.0.0.0/8', '2001:db8::/32'] } : {}),
        'verify-required': model.verifyRequired,
      },
      'bind-source-address': model.bind,
      keys: {
        'rsa-min-bits': model.rsaMinBits,
        ...(model.types === undefined || model.verifyRequired ? {} : { types: model.types }),
      },
      ...(model.sources ? { sources: ['10.0.0.0/8', '192.0.2.0/24'] } : {}),
      ...(model.window
        ? { windows: [{ days: ['mon-fri'], from: '08:00', to: '20:00', timezone: 'UTC' }] }
        : {}),
      reason: model.reason ? 'required' : 'optional',
    },
  ]);
  return JSON.stringify({
    version: 1,
    'protected-principals': ['WWW'],
    profiles: Object.fromEntries(bodies),
  });
}

const value = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...logins) },
  { weight: 2, arbitrary: fc.constantFrom(...logins).map((login) => `${login}@corp.example`) },
  { weight: 1, arbitrary: fc.constantFrom(...nasty) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
);

const person: fc.Arbitrary<Person> = fc
  .record({
    id: fc.integer({ min: 1, max: 20 }),
    groups: fc.subarray(['users', 'dba', 'ops', 'guests']),
    uid: fc.array(value, { maxLength: 2 }),
    mail: fc.array(value, { maxLength: 1 }),
  })
  .map(({ id, groups, uid, mail }) => ({
    id: parsePersonId(`builtin:${id}`),
    directory: 'builtin',
    login: `person${id}`,
    attributes: new Map([
      ['uid', uid],
      ['mail', mail],
    ]),
    groups: groups.map((name) => ({ name })),
  }));

const request: fc.Arbitrary<UserCertificateRequest> = fc
  .record(
    {
      key: fc.record({ type: fc.constantFrom(...types, 'ssh-dss'), bits: fc.constantFrom(256, 2048, 4096) }),
      sourceAddress: fc.constantFrom(
        '10.1.2.3',
        '192.0.2.7',
        '::ffff:10.0.0.9',
        '2001:db8::1',
        '203.0.113.1',
        'fe80::1%eth0',
        'x',
        '',
      ),
      atMs: fc.integer({ min: Date.UTC(2027, 0, 11), max: Date.UTC(2027, 0, 18) }),
      profile: fc.constantFrom('p0', 'p1', 'p9', '__proto__'),
      principals: fc.array(
        fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...logins) }, { weight: 1, arbitrary: value }),
        { maxLength: 3 },
      ),
      ttlSeconds: fc.oneof(
        fc.integer({ min: 300, max: 90_000 }),
        fc.constantFrom(-1, 0, 299, Number.NaN, 1e12, 600.5),
      ),
      extensions: fc.subarray(extensions, { maxLength: 2 }),
      reason: fc.constantFrom('INC-7', '', ' '),
    },
    { requiredKeys: ['key', 'sourceAddress', 'atMs'] },
  )
  .chain((whole) =>
    // Half of the requests say little, as most people do: otherwise nearly everything is refused.
    fc
      .boolean()
      .map((brief) =>
        brief
          ? { key: whole.key, sourceAddress: whole.sourceAddress, atMs: whole.atMs, reason: 'INC-7' }
          : whole,
      ),
  );

/** One name, to which max-length 8 cuts two logins, belongs to person 7. */
export const ownerOf: OwnerOf = (principal) =>
  principal === 'alexande' ? parsePersonId('builtin:7') : undefined;

export interface GeneratedRequest {
  readonly models: readonly ProfileModel[];
  /** What `parsePolicy` made of the models. */
  readonly policy: Policy;
  readonly asker: Person;
  readonly asked: UserCertificateRequest;
}

/**
 * Requests without end, the same in every run. Pools are drawn by fast-check with a fixed seed and combined here: drawing every
 * request anew takes minutes.
 */
export function* generatedRequests(): Generator<GeneratedRequest, never> {
  const policies = fc
    .sample(policyModel, { seed, numRuns: 300 })
    .map((models): [readonly ProfileModel[], Policy] => [
      models,
      parsePolicy(toYaml(models), 'generated.yaml'),
    ]);
  const people = fc.sample(person, { seed, numRuns: 1500 });
  const requests = fc.sample(request, { seed, numRuns: 4000 });
  for (let round = 0; ; round += 1) {
    // Strides without common factors with the pools, so that the combinations do not repeat.
    const [models, policy] = drawn(policies, round);
    const asker = drawn(people, round * 7 + Math.floor(round / 1500));
    const asked = drawn(requests, round * 11 + Math.floor(round / 4000));
    yield { models, policy, asker, asked };
  }
}

/** The same, decided, where `ownerOf` knows whose names are whose. */
export function* generatedDecisions(): Generator<
  GeneratedRequest & { readonly decision: UserDecision },
  void
> {
  for (const generated of generatedRequests()) {
    const { policy, asker, asked } = generated;
    yield { ...generated, decision: decideUserCertificate(policy, asker, asked, ownerOf) };
  }
}

function drawn<T>(pool: readonly T[], index: number): T {
  const found = pool[index % pool.length];
  if (found === undefined) throw new Error('a pool is empty');
  return found;
}
