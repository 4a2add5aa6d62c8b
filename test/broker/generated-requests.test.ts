import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createCertificateQuota, issueSshUser, SerialSource } from '../../src/broker/index.ts';
import type { IssuedSshUser, Rooms, SignedIn } from '../../src/broker/index.ts';
import { createSshUserIssuer } from '../../src/issuance/index.ts';
import type { Person } from '../../src/identity/index.ts';
import {
  parsePersonId,
  sha256,
  systemRandom,
  type PersonId,
  type Principal,
} from '../../src/kernel/index.ts';
import { decideUserCertificate, type UserDecision } from '../../src/policy/index.ts';
import { parseCertificate } from '../../src/ssh/index.ts';
import { faultsOf } from '../fuzz/policy-faults.ts';
import { generatedRequests, type GeneratedRequest } from '../fuzz/policy-models.ts';
import { startTestBroker, type TestBroker } from '../support/broker.ts';
import { codeOf } from '../support/code-of.ts';
import { countingSigner, loggedSince, signedIn, type Logged } from './fixtures.ts';
import { createSubjects, type Subject } from './subject-keys.ts';

const rounds = 4000;
const seed = 20_261_123;
// Requests come from all over one week, in no order: their sessions outlive it.
const yearMs = 365 * 86_400_000;

/** What happens to the broker's world before a request, or while its certificate is being signed. */
const happening = fc.record({
  before: fc.oneof(
    { weight: 40, arbitrary: fc.constant('nothing') },
    { weight: 1, arbitrary: fc.constant('lock') },
    { weight: 12, arbitrary: fc.constant('unlock') },
    { weight: 8, arbitrary: fc.constant('release name') },
    { weight: 1, arbitrary: fc.constant('revoke key') },
  ),
  meanwhile: fc.oneof(
    { weight: 60, arbitrary: fc.constant('nothing') },
    { weight: 3, arbitrary: fc.constant('end session') },
    { weight: 3, arbitrary: fc.constant('expel') },
    { weight: 1, arbitrary: fc.constant('revoke key') },
    { weight: 3, arbitrary: fc.constant('take name') },
  ),
  nth: fc.nat({ max: 199 }),
  isOwner: fc.nat({ max: 29 }).map((draw) => draw > 0),
});

let broker: TestBroker;
let rooms: Rooms;
const signer = countingSigner();
const time = { nowMs: 0, quotaMs: 1_000_000 };

beforeAll(async () => {
  broker = await startTestBroker({ people: [] });
  const issuer = createSshUserIssuer({ signer, random: systemRandom });
  const { store } = broker.running.rooms;
  rooms = {
    ...broker.running.rooms,
    issuer,
    serials: new SerialSource(store, issuer.caFingerprint),
    certificateQuota: createCertificateQuota({ perHour: 6, clock: { nowMs: () => time.quotaMs } }),
    clock: { nowMs: () => time.nowMs },
  };
});
afterAll(() => broker.stop());

/** What the test knows of the broker's state, kept apart from what the broker knows. */
const world = {
  owners: new Map<string, PersonId>(),
  locked: new Set<PersonId>(),
  revokedKeys: new Set<string>(),
  /** Whoever has had an entry for the quota since it last had room for them. */
  told: new Set<PersonId>(),
  callers: new Map<PersonId, SignedIn>(),
};
const ownerOf = (principal: string): PersonId | undefined => world.owners.get(principal.toLowerCase());

interface Round {
  readonly asker: Person;
  readonly subject: Subject;
  /** What policy says of the request; undefined when the key cannot be read. */
  readonly decision: UserDecision | undefined;
}
const personalIn = ({ decision }: Round): readonly Principal[] =>
  decision?.outcome === 'granted' ? decision.grant.personalPrincipals : [];

/** Changes the world, the broker's and ours. @returns whether anything happened. */
async function happen(what: string, round: Round): Promise<boolean> {
  const { store } = rooms;
  const { id } = round.asker;
  const atMs = time.nowMs;
  const { fingerprint: key } = round.subject;
  const { tokenHash } = (await callerFor(round.asker)).session;
  const stranger = 'builtin:stranger' as PersonId;
  const [name] = personalIn(round);
  const [oldest] = world.owners.keys();
  switch (what) {
    case 'lock':
      await store.commit({ lock: { personId: id, atMs, reason: 'left' }, entries: [] });
      world.locked.add(id);
      world.callers.delete(id);
      return true;
    case 'unlock':
      await store.commit({ unlock: id, entries: [] });
      return world.locked.delete(id);
    case 'release name':
      if (oldest === undefined) return false;
      await store.commit({ releasePrincipal: oldest.toUpperCase() as Principal, entries: [] });
      return world.owners.delete(oldest);
    case 'revoke key':
      if (key === '') return false;
      await store.commit({ revokeKey: { fingerprint: key, revokedMs: atMs, reason: 'stolen' }, entries: [] });
      world.revokedKeys.add(key);
      return true;
    case 'end session':
      await store.commit({ endSession: tokenHash, entries: [] });
      return world.callers.delete(id);
    case 'expel':
      await store.commit({ expel: { people: [id], atMs }, entries: [] });
      return world.callers.delete(id);
    case 'take name':
      if (name === undefined) return false;
      await store.commit({ releasePrincipal: name, entries: [] });
      await store.commit({ claim: { principals: [name], personId: stranger, atMs }, entries: [] });
      world.owners.set(name.toLowerCase(), stranger);
      return true;
    default:
      return false;
  }
}

/** The person with a session that the broker knows. */
async function callerFor(person: Person): Promise<SignedIn> {
  const known = world.callers.get(person.id) ?? (await signedIn(rooms.store, person, time.nowMs, yearMs));
  world.callers.set(person.id, known);
  return { ...known, person };
}

/** The same person under an id that goes with the name: otherwise hardly anybody gets the name a second time. */
function ownerAmong(person: Person): Person {
  const [name = person.login] = person.attributes.get('uid') ?? [];
  return { ...person, id: parsePersonId(`builtin:${1000 + (sha256(name).readUInt8(0) % 40)}`) };
}

/** What may come of it, unless the person's hour is used up: `accepted`, or one of these refusals. */
function expectedCodes({ asker, subject, decision }: Round): readonly string[] {
  if (decision === undefined) return ['ssh.dsa_key'];
  if (world.locked.has(asker.id)) return ['identity.locked_out'];
  if (world.revokedKeys.has(subject.fingerprint)) return ['revocation.key_revoked'];
  return decision.outcome === 'granted' ? ['accepted'] : decision.refusals.map(({ code }) => code);
}

function checkIssued(
  issued: IssuedSshUser,
  entry: Logged | undefined,
  round: Round,
  generated: GeneratedRequest,
): void {
  const certificate = parseCertificate(issued.certificate);
  const { grant } = issued;
  expect(round.decision).toMatchObject({ outcome: 'granted', grant });
  expect(faultsOf(grant, { ...generated, ownerOf })).toEqual([]);
  expect(certificate.principals).toEqual(grant.principals);
  expect([certificate.validAfter, certificate.validBefore]).toEqual([grant.validAfter, grant.validBefore]);
  expect(certificate.criticalOptions).toEqual(grant.criticalOptions);
  expect(certificate.extensions).toEqual(grant.extensions);
  expect(certificate.key.blob).toEqual(round.subject.key?.blob);
  expect(entry).toMatchObject({
    type: 'cred.issue',
    outcome: 'success',
    subject: { uid: round.asker.id },
    cred: { serial: String(certificate.serial), key_id: certificate.keyId, principals: grant.principals },
  });
  for (const name of personalIn(round)) world.owners.set(name.toLowerCase(), round.asker.id);
}

// A certificate that loses a race was signed already; it is void and never released.
it(`of ${rounds} generated requests, the granted are signed once, the refused never, and each has its entry`, async () => {
  const { store } = rooms;
  const subjectOf = createSubjects();
  const happenings = fc.sample(happening, { seed, numRuns: rounds });
  const outcomes = new Map<string, number>();
  let round = 0;
  let refused = 0;
  for (const { models, policy, asker: drawnAsker, asked: drawn } of generatedRequests()) {
    const event = happenings[round];
    if (event === undefined) break;
    const asker = event.isOwner ? ownerAmong(drawnAsker) : drawnAsker;
    const { key: wanted, ...rest } = drawn;
    const subject = subjectOf(wanted.type, wanted.bits, event.nth);
    const asked = { ...rest, key: subject.key ?? wanted };
    const decide = (): UserDecision | undefined =>
      subject.key && decideUserCertificate(policy, asker, asked, ownerOf);
    // Most of what is drawn policy refuses at once: one in twenty-four of that will do.
    const first = { asker, subject, decision: decide() };
    if (first.decision?.outcome !== 'granted' && (refused += 1) % 24 !== 0) continue;
    round += 1;
    time.nowMs = drawn.atMs;
    time.quotaMs += 28_000;
    await happen(event.before, first);
    const now: Round = { asker, subject, decision: decide() };
    const caller = { ...(await callerFor(asker)), sourceAddress: asked.sourceAddress };
    const expected = expectedCodes(now);
    let interrupted = false;
    signer.count = 0;
    signer.before = async () => {
      interrupted = await happen(event.meanwhile, now);
    };
    const before = (await store.logHead()).size;
    const reserved = await store.abandonedSerials();
    const { key: _, sourceAddress: __, atMs: ___, ...words } = asked;
    const request = { publicKey: subject.text, ...words };
    let issued: IssuedSshUser | undefined;
    const code = await codeOf(async () => {
      issued = await issueSshUser({ ...rooms, policy: () => policy }, request, caller);
    });
    // The broker publishes its lists as it likes.
    const entries = (await loggedSince(store, before)).filter(({ type }) => type.startsWith('cred.'));
    const note = `round ${round}`;
    const outcome = interrupted ? event.meanwhile : code;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const overQuota = code === 'policy.too_many_certificates';
    const denied = {
      type: 'cred.issue_denied',
      outcome: 'denied',
      reason_code: code,
      subject: { uid: asker.id },
    };
    if (interrupted) {
      expect([code, signer.count, expected], note).toEqual(['store.conflict', 1, ['accepted']]);
      expect(entries, note).toMatchObject([{ type: 'cred.void' }, denied]);
    } else if (issued !== undefined) {
      expect([signer.count, entries.length, expected], note).toEqual([1, 1, ['accepted']]);
      checkIssued(issued, entries[0], now, { models, policy, asker, asked });
    } else {
      if (!overQuota) expect(expected, note).toContain(code);
      expect(signer.count, note).toBe(0);
      expect(await store.abandonedSerials(), note).toEqual(reserved);
      const isTold = overQuota && world.told.has(asker.id);
      expect(entries, note).toMatchObject(isTold ? [] : [denied]);
      if (code === 'policy.principal_taken') checkConflict(entries[0], asker);
    }
    if (overQuota) world.told.add(asker.id);
    else world.told.delete(asker.id);
  }
  // It says nothing unless every outcome was met.
  expect(outcomes.get('accepted')).toBeGreaterThan(500);
  const met = [
    'accepted',
    'end session',
    'expel',
    'identity.locked_out',
    'policy.bad_principal',
    'policy.extension_not_granted',
    'policy.key_too_small',
    'policy.key_type',
    'policy.no_principals',
    'policy.no_profile',
    'policy.not_a_member',
    'policy.outside_window',
    'policy.principal_not_granted',
    'policy.principal_protected',
    'policy.principal_taken',
    'policy.reason_required',
    'policy.security_key_required',
    'policy.source_not_allowed',
    'policy.too_many_certificates',
    'policy.unknown_profile',
    'revocation.key_revoked',
    'revoke key',
    'ssh.dsa_key',
    'take name',
  ];
  expect(met.filter((outcome) => !outcomes.has(outcome))).toEqual([]);
}, 180_000);

/** The log, and only the log, names the other person. */
function checkConflict(entry: Logged | undefined, asker: Person): void {
  const { principal, person, owner } = entry?.decision?.conflict ?? {};
  expect(person).toBe(asker.id);
  expect(owner).toBe(ownerOf(principal ?? ''));
}
