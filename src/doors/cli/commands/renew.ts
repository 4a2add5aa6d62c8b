import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { CertificateNote, ClientSettings } from '../../client/index.ts';
import {
  homeFiles,
  homeFolder,
  isNotLoggedIn,
  isRenewLocked,
  loadNote,
  loadSettings,
  noteState,
  requireSession,
  takeRenewLock,
} from '../../client/index.ts';
import { CodedError } from '../../../kernel/index.ts';
import { printLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { ExitCode } from '../report.ts';
import { exitCodeOf } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { formatRelative } from '../times.ts';

export interface RenewOptions {
  /** Only complain; what `ssh` wants. */
  readonly quiet: boolean;
  /** Renew in this process, also what is only due: how the first process hands the work over. */
  readonly now: boolean;
}

/**
 * What `ssh` runs before each connection. With a live certificate it returns at once, without any network: what is due is
 * renewed by a process of its own, so that a slow or dead broker costs nobody time. Only without a live certificate does it
 * wait for the broker. Twenty at once renew once.
 * @returns 0 when there is a live certificate; anything else tells ssh to go on without ours.
 */
export async function renew(options: RenewOptions, terminal: Terminal): Promise<ExitCode> {
  try {
    return await renewInTime(options, terminal);
  } catch (error) {
    if (!options.now || !options.quiet) complain(terminal, error);
    return exitCodeOf(error);
  }
}

async function renewInTime(options: RenewOptions, terminal: Terminal): Promise<ExitCode> {
  const files = homeFiles(homeFolder(terminal.env));
  const state = stateOf(loadNote(files), terminal);
  if (state === 'fresh') return 0;
  if (state === 'due' && !options.now) {
    if (!isRenewLocked(files.renewLock, terminal.clock)) handOver(terminal);
    return 0;
  }
  const release = takeRenewLock(files.renewLock, terminal.clock, terminal.random);
  if (release === undefined) return state === 'due' ? 0 : waitForOther(terminal, files.renewLock);
  try {
    // Whoever held the lock a moment ago may have done the work.
    if (stateOf(loadNote(files), terminal) !== 'fresh')
      await renewUnderLock(terminal, loadSettings(terminal.env));
    return 0;
  } finally {
    release();
  }
}

function stateOf(note: CertificateNote | undefined, terminal: Terminal): 'fresh' | 'due' | 'dead' {
  return note === undefined ? 'dead' : noteState(note, terminal.clock.nowMs());
}

function handOver(terminal: Terminal): void {
  const [program, ...args] = terminal.self;
  if (program === undefined) return;
  const child = spawn(program, [...args, 'renew', '--quiet', '--now'], {
    detached: true,
    stdio: 'ignore',
    env: terminal.env,
  });
  // No new process can be had now: the certificate still lives, the next ssh tries again.
  child.on('error', () => undefined);
  child.unref();
}

/** Longer than a broker that answers at all needs. */
const longestWaitMs = 30_000;

async function waitForOther(terminal: Terminal, lock: string): Promise<ExitCode> {
  const files = homeFiles(homeFolder(terminal.env));
  const endMs = terminal.clock.nowMs() + longestWaitMs;
  const free = async (): Promise<void> => {
    while (isRenewLocked(lock, terminal.clock) && terminal.clock.nowMs() < endMs) await delay(50);
  };
  await withProgress(terminal, 'Waiting for a renewal that is under way', free());
  if (stateOf(loadNote(files), terminal) !== 'dead') return 0;
  throw new CodedError('cli.renewal_failed', 'a renewal that was under way did not succeed', {
    next: 'Run `sallyport status`.',
  });
}

async function renewUnderLock(terminal: Terminal, settings: ClientSettings): Promise<void> {
  const { files } = settings;
  const origin = settings.origin ?? '';
  const session = requireSession(files, origin, terminal.clock.nowMs());
  const note = loadNote(files);
  // Only here: what follows costs tens of milliseconds to load, and most starts never come this far.
  const { openClient } = await import('../command.ts');
  const held = await import('../certificate-files.ts');
  const { addToAgent } = await import('../agent.ts');
  const privateKey = held.readPrivateKey(files);
  if (note === undefined || privateKey === undefined) {
    throw new CodedError('cli.no_certificate', 'There is no certificate to renew.', {
      next: 'Run `sallyport login`.',
    });
  }
  const client = openClient(terminal, settings, origin, session);
  try {
    const key = held.publicKeyOf(privateKey);
    const obtained = await withProgress(
      terminal,
      'Renewing the SSH certificate',
      held.obtainCertificate(terminal, client, key, note),
    );
    const replaces = held.readCertificate(files);
    held.writeCertificate(terminal, files, { obtained, agent: note.agent });
    const comment = held.keyComment(session.person.login);
    if (note.agent)
      await addToAgent(terminal, { privateKey, certificate: obtained.certificate, comment, replaces });
  } finally {
    client.close();
  }
}

/** One line: it stands between the lines of somebody's ssh, scp or git. */
function complain(terminal: Terminal, error: unknown): void {
  const nowMs = terminal.clock.nowMs();
  const note = loadNote(homeFiles(homeFolder(terminal.env)));
  const died =
    note === undefined || note.validBeforeMs > nowMs
      ? ''
      : ` (the last one ended ${formatRelative(note.validBeforeMs, nowMs)})`;
  const why = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
  const next = isNotLoggedIn(error)
    ? ' Run `sallyport login`.'
    : error instanceof CodedError && error.next !== undefined
      ? ` ${error.next}`
      : '';
  printLines(terminal, terminal.stderr, [`sallyport: no certificate for ssh${died}: ${why}.${next}`]);
}
