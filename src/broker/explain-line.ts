import { CodedError, type Serial } from '../kernel/index.ts';
import { entryBy, stillSignedIn } from './entries.ts';
import { explainCertificate, type ExplainedCertificate } from './explain-certificate.ts';
import { judgeLine, type JudgedLogin } from './judge-logins.ts';
import { findHost } from './list-hosts.ts';
import { reportingHost } from './report-logins.ts';
import type { Rooms, SignedIn } from './rooms.ts';

export interface LineToExplain {
  /** `Accepted publickey for …`, bare or as a syslog file has it. */
  readonly line: string;
  /** Id or name of the host that wrote it; without it an account is opened by its own name. */
  readonly host?: string;
  /** When the login was: a line often does not say it for sure. */
  readonly atMs: number;
}

export interface ExplainedLine extends Pick<JudgedLogin, 'verdict' | 'seen'> {
  /** Of the certificate of this broker’s CA that the line names. */
  readonly certificate: ExplainedCertificate | undefined;
}

/**
 * Which issued certificate explains a line that sshd wrote. The look is recorded.
 * @throws CodedError `hosts.not_a_login`, `hosts.unknown_host`, as `explainCertificate`
 */
export async function explainLine(
  rooms: Rooms,
  { line, host, atMs }: LineToExplain,
  caller: SignedIn,
): Promise<ExplainedLine> {
  const on =
    host === undefined
      ? { id: '-', name: '-', accounts: new Map<string, readonly string[]>() }
      : reportingHost(rooms, await findHost(rooms, host));
  const judged = await judgeLine(rooms, on, { hostId: on.id, boot: '-', seq: 1n, atMs, line });
  if (judged === undefined || judged.seen === undefined) {
    throw new CodedError('hosts.not_a_login', 'This is no line by which sshd lets somebody in.', {
      next: 'Give the whole line that begins with “Accepted”, as the log of the host has it.',
    });
  }
  const { verdict, seen } = judged;
  const { credential } = seen;
  const fields = {
    target: { kind: 'logins', unexplained: false, ...(host === undefined ? {} : { value: on.name }) },
  };
  const look = entryBy(caller, { type: 'log.read', timeMs: rooms.clock.nowMs(), fields });
  await rooms.store.commit({ guard: stillSignedIn(caller), entries: [look] });
  const isOurs =
    credential.kind === 'certificate' &&
    credential.certificate.caFingerprint === rooms.issuer.caFingerprint &&
    credential.certificate.serial > 0n;
  const certificate = isOurs
    ? await explainCertificate(rooms, credential.certificate.serial as Serial, caller)
    : undefined;
  return { verdict, seen, certificate };
}
