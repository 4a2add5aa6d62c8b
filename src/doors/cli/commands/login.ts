import type { Connection, Result } from '../command.ts';
import { openClient, withBroker } from '../command.ts';
import type { LoginAnswer, ProofKey, SignRequest, StoredSession } from '../../client/index.ts';
import {
  checkWritableFolder,
  generateProofKey,
  loadSession,
  saveConfig,
  saveSession,
} from '../../client/index.ts';
import { CodedError, toRfc3339 } from '../../../kernel/index.ts';
import type { AgentOutcome } from '../agent.ts';
import { addToAgent } from '../agent.ts';
import type { Obtained } from '../certificate-files.ts';
import {
  generateUserKey,
  keyComment,
  obtainCertificate,
  readCertificate,
  writeKeySet,
} from '../certificate-files.ts';
import type { CertificateOptions } from '../certificate-options.ts';
import { signRequest } from '../certificate-options.ts';
import { certificateLines, certificateValue } from '../certificate-report.ts';
import type { Line } from '../output.ts';
import { fieldLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import { askText, canAsk, readPassword } from '../prompts.ts';
import type { Terminal } from '../terminal.ts';
import { formatWhen } from '../times.ts';

export interface LoginOptions extends CertificateOptions {
  readonly user?: string;
  readonly directory?: string;
  readonly passwordStdin?: boolean;
  /** `--no-agent` */
  readonly agent: boolean;
  /** `--no-certificate` */
  readonly certificate: boolean;
}

/** Proves who you are, keeps the session, and gets a key with a certificate into files and agent. */
export async function login(options: LoginOptions, terminal: Terminal): Promise<Result> {
  const request = signRequest(options);
  return withBroker(terminal, async (connection) => {
    const { settings, origin } = connection;
    checkWritableFolder(settings.files.folder);
    const before = lastSession(connection);
    const asked = await askWho(options, terminal, before);
    const proofKey = generateProofKey();
    const answer = await withProgress(
      terminal,
      'Asking the broker',
      connection.client.login(asked, proofKey),
    );
    const session = storedSession(origin, answer, proofKey);
    saveConfig(settings, terminal.random);
    saveSession(settings.files, session, terminal.random);
    if (before?.origin === origin) await forget(terminal, connection, before);
    if (!options.certificate) return describe(terminal, session, undefined);
    return describe(terminal, session, await certify(options, request, terminal, { ...connection, session }));
  });
}

/** The session that this login replaces; a damaged one is nothing to keep. */
function lastSession({ settings }: Connection): StoredSession | undefined {
  try {
    return loadSession(settings.files);
  } catch (error) {
    if (error instanceof CodedError && error.code === 'client.bad_session_file') return undefined;
    throw error;
  }
}

async function askWho(
  options: LoginOptions,
  terminal: Terminal,
  before: StoredSession | undefined,
): Promise<{ login: string; password: string; directory?: string }> {
  const fromStdin = options.passwordStdin === true;
  const preset = before?.person.login ?? terminal.userName;
  const user =
    options.user ?? (fromStdin || !canAsk(terminal) ? preset : await askText(terminal, 'User', preset));
  const password = await readPassword(terminal, { fromStdin, question: `Password of ${user}` });
  return {
    login: user,
    password,
    ...(options.directory === undefined ? {} : { directory: options.directory }),
  };
}

function storedSession(origin: string, answer: LoginAnswer, proofKey: ProofKey): StoredSession {
  const { token, expiresAtMs, person, roles } = answer;
  return { origin, token, expiresAtMs, person, roles, proofKey };
}

/** Ends the session that was replaced; that it is already over, or cannot be ended now, is no reason to stop. */
async function forget(terminal: Terminal, connection: Connection, before: StoredSession): Promise<void> {
  const client = openClient(terminal, connection.settings, connection.origin, before);
  try {
    await client.logout();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
  } finally {
    client.close();
  }
}

const notWanted = '--no-agent was given';

interface Certified extends Obtained {
  readonly file: string;
  readonly agent: AgentOutcome;
}

async function certify(
  options: LoginOptions,
  request: SignRequest,
  terminal: Terminal,
  { settings, origin, session }: Connection & { readonly session: StoredSession },
): Promise<Certified> {
  const { files } = settings;
  const { privateKey, publicKey } = generateUserKey();
  const comment = keyComment(session.person.login);
  const client = openClient(terminal, settings, origin, session);
  try {
    const obtained = await withProgress(
      terminal,
      'Getting a certificate',
      obtainCertificate(terminal, client, publicKey, { request, proof: options.proof === true }),
    );
    const replaces = readCertificate(files);
    writeKeySet(terminal, files, { privateKey, comment, obtained, agent: options.agent });
    const { certificate } = obtained;
    const agent: AgentOutcome = options.agent
      ? await addToAgent(terminal, { privateKey, certificate, comment, replaces })
      : { done: false, why: notWanted };
    return { ...obtained, file: files.certificate, agent };
  } catch (error) {
    throw withLoginKept(error);
  } finally {
    client.close();
  }
}

/** A refused certificate does not undo the login: say so, because admins without a profile need no certificate. */
function withLoginKept(error: unknown): unknown {
  if (!(error instanceof CodedError) || !error.code.startsWith('policy.')) return error;
  const kept = 'You are logged in all the same; `sallyport login --no-certificate` asks for no certificate.';
  return new CodedError(error.code as `policy.${string}`, error.message, {
    next: error.next === undefined ? kept : `${error.next} ${kept}`,
    details: error.details,
    cause: error,
  });
}

function describe(terminal: Terminal, session: StoredSession, certified: Certified | undefined): Result {
  const nowMs = terminal.clock.nowMs();
  const { person, roles } = session;
  const value = {
    broker: session.origin,
    person,
    roles,
    session: { expiresAt: toRfc3339(session.expiresAtMs) },
    certificate: certified === undefined ? null : certificateValue(certified),
  };
  const lines: Line[] = [
    { text: `Logged in at ${session.origin} as ${person.login} (${person.directory}).`, tone: 'good' },
    ...fieldLines(terminal.stdout, [
      ['session', `until ${formatWhen(session.expiresAtMs, nowMs)}`],
      ['roles', roles.join(', ')],
    ]),
  ];
  if (certified !== undefined) {
    lines.push(
      'SSH certificate:',
      ...certificateLines(terminal, certified),
      ...fieldLines(terminal.stdout, [
        ['file      ', certified.file],
        ['agent     ', certified.agent.done ? 'added, for as long as it lives' : undefined],
      ]),
    );
  }
  const notes: Line[] =
    certified === undefined || certified.agent.done || certified.agent.why === notWanted
      ? []
      : [{ text: `note: not in the ssh-agent: ${certified.agent.why}.`, tone: 'dim' }];
  return { value, lines, notes };
}
