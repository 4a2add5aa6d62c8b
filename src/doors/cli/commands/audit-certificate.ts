import { parsePrincipal, toRfc3339 } from '../../../kernel/index.ts';
import type { Credential, ExplainedCertificate, LogEntry, TlsCertificate } from '../../client/index.ts';
import { checkWritable, credentialJson, writeByRename } from '../../client/index.ts';
import { certificateSerial } from '../certificate-serial.ts';
import type { Result } from '../command.ts';
import { withSession } from '../command.ts';
import { actorOf, fieldOf, namesIn, openedOf, textAt, wordsOf } from '../entry-words.ts';
import type { Line } from '../output.ts';
import { fieldLines, tableLines } from '../output.ts';
import { collectPages, moreNote } from '../pages.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatLocal, formatSeconds, formatShort, parseMoment, zoneOf } from '../times.ts';
import { tlsJson } from './tls.ts';

/** Who asked for a certificate, which rule allowed it, and how it ended. */
export async function explainCertificate(options: ExplainOptions, terminal: Terminal): Promise<Result> {
  if (options.line !== undefined) return explainLine(options.line, options, terminal);
  if (options.serial === undefined) throw usage('Nothing to explain.', 'Give --serial N or --line LINE.');
  const serial = certificateSerial(options.serial);
  return withSession(terminal, async ({ client }) => {
    const explained = await withProgress(terminal, 'Asking the broker', client.explainCertificate(serial));
    const known = explained.credential ?? explained.tlsCredential;
    const value = explainedJson(explained);
    const notes: readonly Line[] =
      known === undefined
        ? []
        : [`next: sallyport audit prove --serial ${serial} --out ${serial}.tlog-proof`];
    return { value, lines: explanation(terminal, explained), notes };
  });
}

export interface ExplainOptions {
  readonly serial?: string;
  readonly line?: string;
  readonly host?: string;
  readonly at: string;
}

/** Which issued certificate explains a line of sshd. */
async function explainLine(
  line: string,
  { host, at }: Omit<ExplainOptions, 'line'>,
  terminal: Terminal,
): Promise<Result> {
  const asked = { line, host, at: parseMoment(at, terminal.clock.nowMs()) };
  return withSession(terminal, async ({ client }) => {
    const explained = await withProgress(terminal, 'Asking the broker', client.explainLine(asked));
    const { verdict, account, address, certificate } = explained;
    const value = {
      verdict,
      account,
      address,
      certificate: certificate === undefined ? null : explainedJson(certificate),
    };
    const heading: Line = {
      text: `Login as ${account} from ${address}: ${verdict.replaceAll('_', ' ')}.`,
      tone: verdict === 'explained' ? 'good' : 'warning',
    };
    return {
      value,
      lines: [heading, ...(certificate === undefined ? [] : explanation(terminal, certificate))],
    };
  });
}

function explainedJson(explained: ExplainedCertificate): Record<string, unknown> {
  const { serial, credential, tlsCredential, entries } = explained;
  return {
    serial,
    state: stateOf(explained),
    credential: credential === undefined ? null : credentialJson(credential),
    tlsCredential: tlsCredential === undefined ? null : tlsJson(tlsCredential),
    entries: entries.map((item) => ({ ...item, openings: item.openings ?? null })),
  };
}

function stateOf({ credential, tlsCredential, entries }: ExplainedCertificate): string {
  const known = credential ?? tlsCredential;
  if (known !== undefined) return known.state;
  return entries.some((item) => fieldOf(item, 'type') === 'cred.void') ? 'void' : 'never issued';
}

const unissued: Readonly<Record<string, string>> = {
  void: 'No certificate bears it: the serial was reserved and never released, and the log says so.',
  'never issued':
    'This broker’s CA has not come to this serial in this log, or a request for it is under way. `audit prove` says whether a log before this one counted it.',
};

const unissuedTls =
  'This log knows of no such certificate for TLS. Serials of TLS are random: a log before this one may know it.';

function explanation(terminal: Terminal, explained: ExplainedCertificate): readonly Line[] {
  const { serial, credential, tlsCredential, entries } = explained;
  const state = stateOf(explained);
  const heading: Line = { text: `Serial ${serial}: ${state}.`, tone: state === 'live' ? 'good' : 'strong' };
  const issue = entries.find((item) => fieldOf(item, 'type') === 'cred.issue');
  if (tlsCredential !== undefined)
    return [heading, ...tlsFacts(terminal, tlsCredential, issue, entries), ...story(terminal, entries)];
  if (credential === undefined) {
    const why = serial.length === 40 ? unissuedTls : (unissued[state] ?? '');
    return [heading, `  ${why}`, ...story(terminal, entries)];
  }
  return [
    heading,
    ...fieldLines(terminal.stdout, [
      ['who', `${credential.person.login} (${credential.person.id})`],
      ['from', issue && openedOf(issue, 'src.ip')],
      ['reason', issue && openedOf(issue, 'reason')],
      ['allowed by', issue && ruleOf(issue, credential)],
      ['approved by', 'nobody: the policy asks for no second person'],
      ['principals', credential.principals.join(', ')],
      ['valid', `${formatLocal(credential.validAfterMs)} to ${formatLocal(credential.validBeforeMs)}`],
      ['ended', ending(credential, entries)],
      ['key', `${credential.keyFingerprint} (${credential.keyType})`],
      ['CA', credential.caFingerprint],
      ['key id', credential.keyId],
    ]),
    ...story(terminal, entries),
  ];
}

function tlsFacts(
  { stdout }: Terminal,
  certificate: TlsCertificate,
  issue: LogEntry | undefined,
  entries: readonly LogEntry[],
): readonly Line[] {
  const { person, names, revokedCode } = certificate;
  const code = revokedCode === undefined || revokedCode === 'unspecified' ? '' : `, ${revokedCode}`;
  return fieldLines(stdout, [
    ['who', `${person.login} (${person.id})`],
    ['from', issue && openedOf(issue, 'src.ip')],
    ['reason', issue && openedOf(issue, 'reason')],
    ['allowed by', issue && ruleOf(issue, certificate)],
    ['for', certificate.commonName],
    ['names', names.map((name) => name.slice(name.indexOf(':') + 1)).join(', ')],
    ['valid', `${formatLocal(certificate.notBeforeMs)} to ${formatLocal(certificate.notAfterMs)}`],
    ['ended', `${tlsEnding(certificate, entries)}${code}`],
    ['key', `${certificate.keyFingerprint} (${certificate.keyType})`],
    ['CA', issue && textAt(issue, 'cred', 'ca_fp')],
    ['kind', certificate.kind],
  ]);
}

function tlsEnding({ state, notAfterMs }: TlsCertificate, entries: readonly LogEntry[]): string {
  if (state !== 'revoked') return state === 'expired' ? `expired ${formatLocal(notAfterMs)}` : 'not yet';
  const act = entries.findLast((item) => fieldOf(item, 'type') === 'cred.revoke');
  return act === undefined
    ? 'revoked'
    : `revoked ${formatLocal(Date.parse(fieldOf(act, 'time')))} by ${actorOf(act)}`;
}

function ruleOf(issue: LogEntry, { profile }: Pick<Credential, 'profile'>): string {
  const [rule, version] = [textAt(issue, 'decision', 'rule'), textAt(issue, 'decision', 'version')];
  return `${rule}, profile ${profile}, policy ${version.slice(0, 12)}`;
}

function ending({ state, revokedAtMs, validBeforeMs }: Credential, entries: readonly LogEntry[]): string {
  if (revokedAtMs === undefined)
    return state === 'expired' ? `expired ${formatLocal(validBeforeMs)}` : 'not yet';
  const act = entries.findLast((item) => fieldOf(item, 'type') === 'cred.revoke');
  return `revoked ${formatLocal(revokedAtMs)}${act === undefined ? '' : ` by ${actorOf(act)}`}`;
}

function story(terminal: Terminal, entries: readonly LogEntry[]): readonly Line[] {
  if (entries.length === 0) return [];
  const names = namesIn(entries);
  return [
    '',
    ...tableLines(
      terminal.stdout,
      ['ENTRY', `TIME (${zoneOf(terminal.clock.nowMs())})`, 'TYPE', 'WHO', 'WHAT'],
      entries.map((item) => [
        item.index,
        formatSeconds(Date.parse(fieldOf(item, 'time'))),
        fieldOf(item, 'type'),
        actorOf(item),
        wordsOf(item, names),
      ]),
      { wrapLast: true },
    ),
  ];
}

/** Fetches the receipt of a certificate: that its issue stands in the log, for whoever does not trust the broker. */
export async function proveCertificate(
  options: { readonly serial: string; readonly out: string },
  terminal: Terminal,
): Promise<Result> {
  const serial = certificateSerial(options.serial);
  checkWritable(options.out);
  return withSession(terminal, async ({ client }) => {
    const proof = await withProgress(terminal, 'Asking the broker', client.proof(serial));
    writeByRename(options.out, proof, terminal.random, 0o644);
    return {
      value: { serial, file: options.out },
      lines: [{ text: `Wrote ${options.out}.`, tone: 'good' }],
      notes: [`next: sallyport audit verify ${options.out} --key FILE`],
    };
  });
}

export interface WhoCouldOptions {
  readonly host?: string;
  readonly as: string;
  readonly at: string;
  readonly limit: number;
}

/** The certificates that opened an account at a moment. */
export async function whoCould(options: WhoCouldOptions, terminal: Terminal): Promise<Result> {
  const principal = parsePrincipal(options.as);
  const at = parseMoment(options.at, terminal.clock.nowMs());
  return withSession(terminal, async ({ client }) => {
    const found = await withProgress(
      terminal,
      'Asking the broker',
      collectPages(options.limit, (after, limit) =>
        client.whoCould({ principal, host: options.host, at, after, limit }),
      ),
    );
    const people = [...new Set(found.items.map(({ person }) => person.login))];
    const value = {
      principal,
      at: toRfc3339(Date.parse(at)),
      people,
      credentials: found.items.map(credentialJson),
      more: found.more,
    };
    const when = formatLocal(Date.parse(at));
    if (found.items.length === 0)
      return { value, lines: [`Nobody had a certificate for ${principal} that was good at ${when}.`] };
    return {
      value,
      lines: [
        {
          text: `${people.length === 1 ? '1 person' : `${people.length} people`} could log in as ${principal} at ${when}:`,
          tone: 'strong',
        },
        ...tableLines(
          terminal.stdout,
          ['SERIAL', 'PERSON', 'PROFILE', 'ISSUED', 'EXPIRES', 'NOW', 'KEY'],
          found.items.map((credential) => [
            credential.serial.toString(),
            credential.person.login,
            credential.profile,
            formatShort(credential.issuedAtMs),
            formatShort(credential.validBeforeMs),
            credential.state,
            credential.keyFingerprint,
          ]),
        ),
      ],
      notes: [
        ...moreNote(found),
        {
          text: 'note: keys and passwords that hosts accept beside certificates are not known here.',
          tone: 'dim',
        },
      ],
    };
  });
}
