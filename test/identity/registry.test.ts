import { describe, expect, it } from 'vitest';
import { CodedError, parsePersonId } from '../../src/kernel/index.ts';
import { createIdentity, loginRefusal } from '../../src/identity/index.ts';
import type { Authentication, Directory, Person, RefusalReason } from '../../src/identity/index.ts';
import { codeOf, codeOfSync } from '../support/code-of.ts';

const refused = (reason: RefusalReason, passwordProved = false): Authentication => ({
  outcome: 'refused',
  reason,
  passwordProved,
});
const person = (directory: string, login = 'alice'): Person => ({
  id: parsePersonId(`${directory}:1`),
  directory,
  login,
  attributes: new Map(),
  groups: [],
});
const accepted = (directory: string): Authentication => ({ outcome: 'accepted', person: person(directory) });
const down = (): never => {
  throw new CodedError('identity.directory_unavailable', 'No server answers.');
};

interface Fake extends Directory {
  readonly asked: string[];
}

function fake(
  name: string,
  answer: () => Authentication,
  recognises: (login: string) => boolean = () => true,
): Fake {
  const asked: string[] = [];
  return {
    asked,
    name,
    kind: 'ldap',
    recognises,
    async authenticate(login) {
      asked.push(`authenticate ${login}`);
      return Promise.resolve().then(answer);
    },
    async recheck(id) {
      asked.push(`recheck ${id}`);
      return Promise.resolve().then(answer);
    },
    async find(login) {
      asked.push(`find ${login}`);
      const found = await Promise.resolve().then(answer);
      if (found.outcome === 'accepted') return { id: found.person.id, login, person: found.person };
      return undefined;
    },
    standing: () => Promise.reject(new Error('not asked here')),
    watch: () => {
      throw new Error('not watched here');
    },
    health: () => ({ directory: name, kind: 'ldap', state: 'up', detail: 'fake' }),
    close() {
      asked.push('close');
      return Promise.resolve();
    },
  };
}

const good = { login: 'alice', password: 'correct horse' };

describe('createIdentity', () => {
  it('asks the directories that recognise the login, in configured order', async () => {
    const upn = fake(
      'upn',
      () => refused('unknown_person'),
      (login) => login.includes('@'),
    );
    const first = fake('first', () => refused('unknown_person'));
    const second = fake('second', () => accepted('second'));
    const third = fake('third', () => accepted('third'));
    const identity = createIdentity({ directories: [upn, first, second, third] });
    expect(identity.directories).toEqual(['upn', 'first', 'second', 'third']);
    expect(await identity.authenticate(good)).toEqual(accepted('second'));
    expect([upn, first, second, third].map((directory) => directory.asked.length)).toEqual([0, 1, 1, 0]);
  });

  it('asks every directory for the name without the spaces around it, so that none is passed over for them', async () => {
    const strict = fake(
      'strict',
      () => accepted('strict'),
      (login) => login.trim() === login,
    );
    const lax = fake('lax', () => accepted('lax'));
    const identity = createIdentity({ directories: [strict, lax] });
    expect(await identity.authenticate({ ...good, login: '  alice ' })).toEqual(accepted('strict'));
    await identity.find(' alice  ');
    expect(strict.asked).toEqual(['authenticate alice', 'find alice']);
    expect(lax.asked).toEqual([]);
    // Other white space is no space: it stays, and is for the directories to refuse.
    await identity.authenticate({ ...good, login: '\u00a0alice' });
    expect(lax.asked).toEqual(['authenticate \u00a0alice']);
  });

  it.each<RefusalReason>([
    'wrong_password',
    'disabled',
    'locked',
    'account_expired',
    'password_expired',
    'must_change_password',
    'outside_logon_hours',
    'ambiguous_name',
    'not_in_scope',
  ])('ends the search with %s: the person is known', async (reason) => {
    const second = fake('second', () => accepted('second'));
    const identity = createIdentity({ directories: [fake('first', () => refused(reason)), second] });
    expect(await identity.authenticate(good)).toEqual(refused(reason));
    expect(second.asked).toEqual([]);
  });

  it('lets no later directory speak for one that is down', async () => {
    const second = fake('second', () => accepted('second'));
    const identity = createIdentity({ directories: [fake('first', down), second] });
    expect(await codeOf(() => identity.authenticate(good))).toBe('identity.directory_unavailable');
    expect(await codeOf(() => identity.find('alice'))).toBe('identity.directory_unavailable');
    expect(second.asked).toEqual([]);
  });

  it('asks only the directory that was named, so break-glass works while another is down', async () => {
    const first = fake('first', down);
    const second = fake(
      'second',
      () => accepted('second'),
      () => false,
    );
    const identity = createIdentity({ directories: [first, second] });
    expect(await identity.authenticate({ ...good, directory: 'second' })).toEqual(accepted('second'));
    expect((await identity.find('alice', 'second'))?.id).toBe('second:1');
    expect(first.asked).toEqual([]);
  });

  it('does not list its directories to whoever names a wrong one', async () => {
    const identity = createIdentity({ directories: [fake('secret-name', () => accepted('secret-name'))] });
    const attempt = identity.authenticate({ ...good, directory: 'other' });
    const error: unknown = await attempt.catch((cause: unknown) => cause);
    expect(await codeOf(attempt)).toBe('identity.unknown_directory');
    expect(JSON.stringify(error) + String(error)).not.toContain('secret-name');
  });

  it.each(['', '\0', 'a\0b', 'x'.repeat(257), 'é'.repeat(129), '\uD800'.repeat(9)])(
    'refuses the password %j before any directory is asked',
    async (password) => {
      const directory = fake('first', () => accepted('first'));
      const identity = createIdentity({ directories: [directory] });
      expect(await identity.authenticate({ login: 'alice', password })).toEqual(refused('wrong_password'));
      expect(directory.asked).toEqual([]);
    },
  );
  it.each(['x', 'x'.repeat(256), 'é'.repeat(128), '   ', '*)(uid=*'])(
    'hands the password %j on as it is',
    async (password) => {
      const directory = fake('first', () => accepted('first'));
      expect(
        await createIdentity({ directories: [directory] }).authenticate({ login: 'alice', password }),
      ).toEqual(accepted('first'));
    },
  );

  it.each([
    '',
    '  ',
    'a\nb',
    'a\0',
    '\u001B[2Jalice',
    'ali\u202Ece',
    'ali\u200Bce',
    '\uDC00',
    'a'.repeat(257),
  ])('refuses the login %j before any directory is asked', async (login) => {
    const directory = fake('first', () => accepted('first'));
    const identity = createIdentity({ directories: [directory] });
    expect(await identity.authenticate({ ...good, login })).toEqual(refused('unknown_person'));
    expect(await identity.authenticate({ ...good, login, directory: 'first' })).toEqual(
      refused('unknown_person'),
    );
    expect(await identity.find(login)).toBeUndefined();
    expect(directory.asked).toEqual([]);
  });

  it('refuses a name that no directory recognises', async () => {
    const identity = createIdentity({
      directories: [
        fake(
          'first',
          () => accepted('first'),
          () => false,
        ),
      ],
    });
    expect(await identity.authenticate(good)).toEqual(refused('unknown_person'));
  });

  it('rechecks with the directory of the id and no other', async () => {
    const first = fake('corp', () => accepted('corp'));
    const second = fake('corp-2', () => accepted('corp-2'));
    const identity = createIdentity({ directories: [first, second] });
    expect(await identity.recheck(parsePersonId('corp-2:1'))).toEqual(accepted('corp-2'));
    expect(first.asked).toEqual([]);
    expect(await codeOf(() => identity.recheck(parsePersonId('gone:1')))).toBe('identity.unknown_directory');
  });

  it('takes no person from a directory that is not its own', async () => {
    const identity = createIdentity({ directories: [fake('corp', () => accepted('corp-2'))] });
    expect(await codeOf(() => identity.authenticate(good))).toBe('identity.directory_misbehaved');
    expect(await codeOf(() => identity.recheck(parsePersonId('corp:1')))).toBe(
      'identity.directory_misbehaved',
    );
  });

  it('refuses two directories of one name', () => {
    const directories = [fake('corp', down), fake('corp', down)];
    expect(codeOfSync(() => createIdentity({ directories }))).toBe('identity.duplicate_directory');
  });

  it('tells the health of each and closes each', async () => {
    const directories = [fake('a', down), fake('b', down)];
    const identity = createIdentity({ directories });
    expect(identity.health().map((one) => one.directory)).toEqual(['a', 'b']);
    await identity.close();
    expect(directories.map((one) => one.asked)).toEqual([['close'], ['close']]);
  });
});

describe('loginRefusal', () => {
  const refusal = (reason: RefusalReason, passwordProved: boolean) =>
    loginRefusal({ outcome: 'refused', reason, passwordProved });
  const reasons: readonly RefusalReason[] = [
    'unknown_person',
    'wrong_password',
    'disabled',
    'locked',
    'account_expired',
    'password_expired',
    'must_change_password',
    'outside_logon_hours',
    'ambiguous_name',
    'not_in_scope',
  ];
  it('says the same to everybody who did not prove the password', () => {
    const said = reasons.map((reason) => {
      const { code, message, next, details } = refusal(reason, false);
      return JSON.stringify({ code, message, next, details });
    });
    expect(new Set(said).size).toBe(1);
    expect(refusal('unknown_person', false).code).toBe('identity.login_refused');
  });
  it('tells the reason to whoever proved the password', () => {
    expect(reasons.map((reason) => refusal(reason, true).code)).toEqual([
      'identity.login_refused',
      'identity.login_refused',
      'identity.account_disabled',
      'identity.account_locked',
      'identity.account_expired',
      'identity.password_expired',
      'identity.must_change_password',
      'identity.outside_logon_hours',
      'identity.login_refused',
      'identity.login_refused',
    ]);
  });
});
