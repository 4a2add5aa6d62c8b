import type {
  CertificateNote,
  ClientSettings,
  HomeFiles,
  SessionAnswer,
  StoredSession,
} from '../../client/index.ts';
import {
  isNotLoggedIn,
  isUnreachable,
  loadNote,
  loadSettings,
  noteState,
  requireSession,
} from '../../client/index.ts';
import { CodedError, toRfc3339 } from '../../../kernel/index.ts';
import type { Certificate } from '../../../ssh/index.ts';
import { parseKrl } from '../../../ssh/index.ts';
import { lookIntoAgent } from '../agent.ts';
import { readCertificate } from '../certificate-files.ts';
import type { Result } from '../command.ts';
import { openClient } from '../command.ts';
import type { Line } from '../output.ts';
import { fieldLines, hangingLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { ExitCode } from '../report.ts';
import { exitCodeOf } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatWhen } from '../times.ts';

interface SessionView {
  readonly state: 'live' | 'none' | 'unchecked';
  /** The session as stored here; undefined when there is none for this broker. */
  readonly stored?: StoredSession;
  readonly checked?: SessionAnswer;
  readonly why?: string;
  readonly exitCode: ExitCode;
}

/** Who is logged in, until when, and what `ssh` would use. Exit code 4 without a session, 3 when the broker did not answer. */
export async function status(_options: unknown, terminal: Terminal): Promise<Result> {
  const settings = loadSettings(terminal.env);
  const session = await lookAtSession(terminal, settings);
  const certificate = readCertificate(settings.files);
  const note = loadNote(settings.files);
  const agent = await lookIntoAgent(terminal, certificate);
  const state =
    note === undefined
      ? undefined
      : await certificateState(
          terminal,
          settings,
          note,
          session.state === 'unchecked' ? undefined : certificate,
        );
  const value = {
    broker: settings.origin ?? null,
    session: sessionValue(session),
    certificate: note === undefined ? null : { ...noteValue(note, settings.files), state },
    agent,
  };
  const lines: Line[] = [
    ...sessionLines(terminal, session, settings.origin),
    ...certificateLines(terminal, settings.files, note, state),
    agentLine(agent, note !== undefined),
  ];
  return { value, lines, exitCode: session.exitCode };
}

async function lookAtSession(terminal: Terminal, settings: ClientSettings): Promise<SessionView> {
  let stored: StoredSession | undefined;
  try {
    stored = requireSession(settings.files, settings.origin ?? '', terminal.clock.nowMs());
    const client = openClient(terminal, settings, stored.origin, stored);
    try {
      const checked = await withProgress(terminal, 'Asking the broker', client.session());
      return { state: 'live', stored, checked, exitCode: 0 };
    } finally {
      client.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    if (isNotLoggedIn(error)) return { state: 'none', why, exitCode: 4 };
    if (isUnreachable(error) && stored !== undefined)
      return { state: 'unchecked', stored, why, exitCode: exitCodeOf(error) };
    throw error;
  }
}

type CertificateState = 'live' | 'expired' | 'revoked';

/**
 * Asks the published list, too; a broker that cannot be asked leaves what the clock says.
 * @param certificate undefined also where the broker has just not answered: nobody waits for it twice.
 */
async function certificateState(
  terminal: Terminal,
  settings: ClientSettings,
  note: CertificateNote,
  certificate: Certificate | undefined,
): Promise<CertificateState> {
  if (note.validBeforeMs <= terminal.clock.nowMs()) return 'expired';
  if (settings.origin === undefined || certificate === undefined) return 'live';
  const client = openClient(terminal, settings, settings.origin, undefined);
  try {
    const krl = parseKrl(await withProgress(terminal, 'Asking the broker', client.krl()));
    const { serial, keyId } = certificate;
    const subject = { key: certificate.key.blob, caKey: certificate.caKey.blob, serial, keyId };
    return krl.isRevoked(subject).revoked ? 'revoked' : 'live';
  } catch (error) {
    if (error instanceof CodedError) return 'live';
    throw error;
  } finally {
    client.close();
  }
}

function sessionValue(session: SessionView): unknown {
  const shown = session.checked ?? session.stored;
  if (shown === undefined) return { state: session.state };
  return {
    state: session.state,
    person: shown.person,
    roles: shown.roles,
    expiresAt: toRfc3339(shown.expiresAtMs),
  };
}

function sessionLines(terminal: Terminal, session: SessionView, origin: string | undefined): readonly Line[] {
  const shown = session.checked ?? session.stored;
  if (shown === undefined) {
    return [
      {
        text: session.why === undefined || session.why === '' ? 'Not logged in.' : session.why,
        tone: 'warning',
      },
      '  next: Run `sallyport login`.',
    ];
  }
  const { person, roles, expiresAtMs } = shown;
  return [
    { text: `Logged in at ${origin ?? ''} as ${person.login} (${person.directory}).`, tone: 'good' },
    ...(session.state === 'unchecked'
      ? hangingLines(terminal.stdout, '  not checked: ', session.why ?? '').map((text): Line => ({
          text,
          tone: 'warning',
        }))
      : []),
    ...fieldLines(terminal.stdout, [
      ['session', `until ${formatWhen(expiresAtMs, terminal.clock.nowMs())}`],
      ['roles', roles.join(', ')],
    ]),
  ];
}

function noteValue(note: CertificateNote, files: HomeFiles): Readonly<Record<string, unknown>> {
  return {
    serial: note.serial,
    keyId: note.keyId,
    profile: note.profile,
    principals: note.principals,
    validAfter: toRfc3339(note.validAfterMs),
    validBefore: toRfc3339(note.validBeforeMs),
    file: files.certificate,
  };
}

function certificateLines(
  terminal: Terminal,
  files: HomeFiles,
  note: CertificateNote | undefined,
  state: CertificateState | undefined,
): readonly Line[] {
  if (note === undefined) return [{ text: 'No SSH certificate.', tone: 'warning' }];
  const nowMs = terminal.clock.nowMs();
  const dead = state === 'expired';
  const heading: Line =
    state === 'live'
      ? {
          text: `SSH certificate${noteState(note, nowMs) === 'fresh' ? '' : ', due for renewal'}:`,
          tone: 'good',
        }
      : { text: `SSH certificate, ${state ?? ''}:`, tone: state === 'revoked' ? 'bad' : 'warning' };
  return [
    heading,
    ...fieldLines(terminal.stdout, [
      ['principals', note.principals.join(', ')],
      [dead ? 'expired' : 'until', formatWhen(note.validBeforeMs, nowMs)],
      ['profile', note.profile],
      ['serial', `${note.serial} (key id ${note.keyId})`],
      ['file', files.certificate],
    ]),
  ];
}

function agentLine(agent: Awaited<ReturnType<typeof lookIntoAgent>>, hasCertificate: boolean): Line {
  if (!agent.reachable) return { text: `ssh-agent: ${agent.why}.`, tone: 'dim' };
  const held = `${agent.identities} ${agent.identities === 1 ? 'identity' : 'identities'}`;
  if (!hasCertificate) return `ssh-agent: holds ${held}.`;
  return agent.holdsCertificate
    ? `ssh-agent: holds this certificate (${held} in all).`
    : { text: `ssh-agent: does not hold this certificate (${held} in all).`, tone: 'dim' };
}
