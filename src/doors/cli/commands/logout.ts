import type { ClientSettings, StoredSession } from '../../client/index.ts';
import {
  isNotLoggedIn,
  isUnreachable,
  loadSession,
  loadSettings,
  removeSession,
} from '../../client/index.ts';
import { CodedError } from '../../../kernel/index.ts';
import { removeFromAgent } from '../agent.ts';
import { readCertificate, removeKeySet } from '../certificate-files.ts';
import type { Result } from '../command.ts';
import { openClient } from '../command.ts';
import type { Line } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { ExitCode } from '../report.ts';
import { exitCodeOf } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatWhen } from '../times.ts';

/**
 * Ends the session at the broker, and removes key, certificate and session from here and from the agent. The local part is
 * done whatever the broker says; when the broker cannot be told, the exit code is 3.
 */
export async function logout(_options: unknown, terminal: Terminal): Promise<Result> {
  const settings = loadSettings(terminal.env);
  const session = storedSession(settings);
  const certificate = readCertificate(settings.files);
  const broker = session === undefined ? undefined : await endSession(terminal, settings, session);
  const agent = certificate === undefined ? undefined : await removeFromAgent(terminal, certificate);
  removeKeySet(settings.files);
  removeSession(settings.files);

  if (session === undefined && certificate === undefined) {
    return { value: { wasLoggedIn: false }, lines: ['You were not logged in.'] };
  }
  const lines: Line[] = [
    { text: 'Logged out: key, certificate and session are removed from here.', tone: 'good' },
  ];
  if (agent?.done === true) lines.push('The ssh-agent does not hold the certificate any more.');
  const notes: Line[] = [];
  if (session !== undefined && broker?.ended === false) {
    notes.push(
      { text: `note: the broker was not told: ${broker.why}`, tone: 'warning' },
      `  The session there ends by itself ${formatWhen(session.expiresAtMs, terminal.clock.nowMs())}; its key is gone, so nobody can use it.`,
    );
  }
  const value = {
    wasLoggedIn: true,
    sessionEnded: broker?.ended ?? true,
    agentCleared: agent?.done ?? false,
  };
  return { value, lines, notes, exitCode: broker?.exitCode ?? 0 };
}

/** A session file that cannot be read is removed like any other. */
function storedSession(settings: ClientSettings): StoredSession | undefined {
  try {
    return loadSession(settings.files);
  } catch (error) {
    if (error instanceof CodedError && error.code.startsWith('client.')) return undefined;
    throw error;
  }
}

async function endSession(
  terminal: Terminal,
  settings: ClientSettings,
  session: StoredSession,
): Promise<{ ended: boolean; why: string; exitCode: ExitCode }> {
  const client = openClient(terminal, settings, session.origin, session);
  try {
    await withProgress(terminal, 'Ending the session', client.logout());
    return { ended: true, why: '', exitCode: 0 };
  } catch (error) {
    if (isNotLoggedIn(error)) return { ended: true, why: '', exitCode: 0 };
    if (error instanceof CodedError)
      return { ended: false, why: error.message, exitCode: isUnreachable(error) ? 3 : exitCodeOf(error) };
    throw error;
  } finally {
    client.close();
  }
}
