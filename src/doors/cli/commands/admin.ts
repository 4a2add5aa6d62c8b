import { parseKeyId, parsePrincipal, toRfc3339 } from '../../../kernel/index.ts';
import type { Credential, RevocationCode, RevocationTarget, RevokeAnswer } from '../../client/index.ts';
import { credentialJson } from '../../client/index.ts';
import { certificateSerial } from '../certificate-serial.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import { keyFingerprint } from '../key-fingerprint.ts';
import type { Line } from '../output.ts';
import { fieldLines, tableLines } from '../output.ts';
import { collectPages, moreNote } from '../pages.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatShort, formatWhen, parseMoment, zoneOf } from '../times.ts';
import { tlsJson, tlsTable } from './tls.ts';

export interface RevokeOptions {
  readonly person?: string;
  readonly serial?: string;
  readonly key?: string;
  readonly keyId?: string;
  readonly before?: string;
  readonly reason: string;
  readonly reasonCode?: RevocationCode;
  readonly lock?: boolean;
  readonly yes?: boolean;
}

/** Revokes, or shows what it would hit: without `--yes` nothing changes. */
export async function revoke(options: RevokeOptions, terminal: Terminal): Promise<Result> {
  const target = revocationTarget(options, terminal.clock.nowMs());
  const lock = options.lock === true;
  if (lock && target.kind !== 'person')
    throw usage('--lock goes with --person only.', 'Use `sallyport admin lock --person U` beside it.');
  const apply = options.yes === true;
  const { reason, reasonCode } = options;
  return withSession(terminal, async ({ client }) => {
    const answer = await withProgress(
      terminal,
      apply ? 'Revoking' : 'Asking the broker',
      client.revoke({ target, reason, ...(reasonCode && { reasonCode }), lock, apply }),
    );
    const described = describeRevocation(terminal, answer, lock);
    if (reasonCode === undefined || answer.tlsCredentials.length > 0) return described;
    const note = answer.credentials.length === 0 ? nothingIsHit : codeIsLost;
    return { ...described, notes: [...(described.notes ?? []), note] };
  });
}

const nothingIsHit: Line = {
  text: 'note: nothing live is among them; what is revoked already keeps its reason code.',
  tone: 'dim',
};

const codeIsLost: Line = {
  text: 'note: no certificate for TLS is among them; lists for SSH have no reason codes.',
  tone: 'dim',
};

/** Exactly one target, checked here as far as it can be. @throws CodedError `cli.usage`, `kernel.bad_serial`, `kernel.bad_key_id` */
export function revocationTarget(options: Omit<RevokeOptions, 'reason'>, nowMs: number): RevocationTarget {
  const given = (['person', 'serial', 'key', 'keyId', 'before'] as const).filter(
    (name) => options[name] !== undefined,
  );
  const [name] = given;
  if (name === undefined || given.length > 1)
    throw usage('Name exactly one target.', 'Give one of --person, --serial, --key, --key-id and --before.');
  return readTarget[name](options[name] ?? '', nowMs);
}

const readTarget: Readonly<
  Record<'person' | 'serial' | 'key' | 'keyId' | 'before', (value: string, nowMs: number) => RevocationTarget>
> = {
  person: (value) => ({ kind: 'person', value }),
  serial: (value) => ({ kind: 'serial', value: certificateSerial(value) }),
  key: (value) => ({ kind: 'key', value: keyFingerprint(value) }),
  keyId: (value) => ({ kind: 'key_id', value: parseKeyId(value) }),
  before: (value, nowMs) => ({ kind: 'before', value: parseMoment(value, nowMs) }),
};

function describeRevocation(terminal: Terminal, answer: RevokeAnswer, lock: boolean): Result {
  const { applied, credentials, tlsCredentials, sessions, lockedPerson, krl } = answer;
  const hits = credentials.length + tlsCredentials.length;
  const count = `${hits} ${hits === 1 ? 'certificate' : 'certificates'}`;
  const sessionCount = `${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;
  const locked = lockedPerson === undefined ? undefined : lockedPerson.login;
  const value = {
    applied,
    credentials: credentials.map(credentialJson),
    tlsCredentials: tlsCredentials.map(tlsJson),
    sessions,
    ...(lockedPerson === undefined ? {} : { lockedPerson }),
    ...(krl === undefined
      ? {}
      : { krl: { ...krl, publishedAtMs: undefined, publishedAt: toRfc3339(krl.publishedAtMs) } }),
  };
  const table = [
    ...(credentials.length === 0 ? [] : credentialTable(terminal, credentials)),
    ...(tlsCredentials.length === 0 ? [] : tlsTable(terminal, tlsCredentials)),
  ];
  if (!applied) {
    return {
      value,
      lines: [
        {
          text: `This would revoke ${count} and end ${sessionCount}${lock ? ', and lock the person' : ''}.`,
          tone: 'strong',
        },
        ...table,
      ],
      notes: [{ text: 'Nothing was changed. Say it again with --yes to do it.', tone: 'warning' }],
    };
  }
  return {
    value,
    lines: [
      { text: `Revoked ${count} and ended ${sessionCount}.`, tone: 'good' },
      ...table,
      ...fieldLines(terminal.stdout, [
        ['locked', locked],
        [
          'list',
          krl === undefined
            ? undefined
            : `version ${krl.version}, ${krl.sizeBytes} bytes, published ${formatWhen(krl.publishedAtMs, terminal.clock.nowMs())}`,
        ],
      ]),
    ],
  };
}

function credentialTable(terminal: Terminal, credentials: readonly Credential[]): readonly Line[] {
  const zone = zoneOf(terminal.clock.nowMs());
  return tableLines(
    terminal.stdout,
    ['SERIAL', 'PERSON', 'PROFILE', 'PRINCIPALS', `UNTIL (${zone})`, 'STATE'],
    credentials.map((credential) => [
      credential.serial.toString(),
      credential.person.login,
      credential.profile,
      credential.principals.join(','),
      formatShort(credential.validBeforeMs),
      credential.state,
    ]),
    { gives: 3 },
  );
}

export interface LockOptions {
  readonly person: string;
  readonly reason: string;
}

/** Ends a person's sessions and keeps them out until `unlock`. Certificates are not touched: that is `revoke`. */
export async function setLock(
  action: 'lock' | 'unlock',
  options: LockOptions,
  terminal: Terminal,
): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const { person, reason } = options;
    const answer = await withProgress(
      terminal,
      'Asking the broker',
      client.setLock(action, { person, reason }),
    );
    const state = answer.locked
      ? 'is locked: no login and no new certificate until `unlock`'
      : 'may log in again';
    return {
      value: answer,
      lines: [{ text: `${answer.person.login} (${answer.person.id}) ${state}.`, tone: 'good' }],
      notes: answer.locked
        ? [{ text: 'note: certificates live on; `admin revoke` ends them.', tone: 'dim' }]
        : [],
    };
  });
}

export interface IssuedOptions {
  readonly person?: string;
  readonly live?: boolean;
  readonly limit: number;
}

/** Lists certificates, the newest first. */
export async function listIssued(options: IssuedOptions, terminal: Terminal): Promise<Result> {
  return withSession(terminal, async ({ client }) => {
    const found = await withProgress(
      terminal,
      'Asking the broker',
      collectPages(options.limit, (after, limit) =>
        client.issued({
          person: options.person,
          live: options.live === true ? 'true' : undefined,
          after,
          limit,
        }),
      ),
    );
    const value = { credentials: found.items.map(credentialJson), more: found.more };
    if (found.items.length === 0) return { value, lines: ['No certificates.'] };
    return { value, lines: credentialTable(terminal, found.items), notes: moreNote(found) };
  });
}

/** Frees a principal that belonged to somebody, so that somebody else can have it. */
export async function releasePrincipal(
  principal: string,
  options: { readonly reason: string },
  terminal: Terminal,
): Promise<Result> {
  const name = parsePrincipal(principal);
  return withSession(terminal, async ({ client }) => {
    const answer = await withProgress(
      terminal,
      'Asking the broker',
      client.releasePrincipal({ principal: name, reason: options.reason }),
    );
    return {
      value: { principal: answer.principal, owner: { id: answer.ownerId } },
      lines: [{ text: `${answer.principal} is free; it belonged to ${answer.ownerId}.`, tone: 'good' }],
    };
  });
}
