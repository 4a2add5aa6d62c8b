import { CodedError, printable } from '../../kernel/index.ts';
import { usage } from './report.ts';
import type { Terminal } from './terminal.ts';

const maxPasswordBytes = 256;

/** Whether somebody is there to answer. Questions go to standard error: standard output belongs to the result. */
export function canAsk(terminal: Terminal): boolean {
  return terminal.stdin.isTTY === true && terminal.stderr.isTTY === true;
}

/** Asks for a line of text. @throws CodedError `cli.no_terminal` */
export async function askText(terminal: Terminal, message: string, preset: string): Promise<string> {
  mustAsk(terminal, message);
  const { input } = await import('@inquirer/prompts');
  // Names come from the broker and from files: nothing in them may move the cursor.
  return input(
    { message: printable(message), default: printable(preset) },
    { input: terminal.stdin, output: terminal.stderr },
  );
}

/** Asks without showing what is typed. @throws CodedError `cli.no_terminal` */
export async function askSecret(terminal: Terminal, message: string): Promise<string> {
  mustAsk(terminal, message);
  const { password } = await import('@inquirer/prompts');
  return password(
    { message: printable(message), toggleMask: false },
    { input: terminal.stdin, output: terminal.stderr },
  );
}

function mustAsk(terminal: Terminal, message: string): void {
  if (canAsk(terminal)) return;
  throw new CodedError('cli.no_terminal', `There is no terminal to ask “${message}” on.`, {
    next: 'Give it with an option instead: passwords on standard input with --password-stdin, passphrases in a file that --help names.',
  });
}

/** Ctrl-C or a closed terminal at one of the questions above. */
export function isInterrupt(error: unknown): boolean {
  return error instanceof Error && (error.name === 'ExitPromptError' || error.name === 'AbortPromptError');
}

/** How a password comes in: never as an argument. */
export interface PasswordSource {
  readonly fromStdin: boolean;
  readonly question: string;
  /** Ask twice: it is a new one. */
  readonly isNew?: boolean;
}

/**
 * A password from standard input or from a question.
 * @throws CodedError `cli.bad_password` when it is empty, over 256 bytes, holds a line break or NUL, or the two differ;
 *   `cli.no_terminal`.
 */
export async function readPassword(terminal: Terminal, source: PasswordSource): Promise<string> {
  if (source.fromStdin) return checkPassword(await readLineOfStdin(terminal));
  const first = checkPassword(await askSecret(terminal, source.question));
  if (source.isNew === true && (await askSecret(terminal, 'The same again')) !== first)
    throw badPassword('The two passwords differ.', 'Try again.');
  return first;
}

/** A new password for somebody, asked for twice. @throws as `readPassword` */
export function readNewPassword(
  terminal: Terminal,
  name: string,
  flags: { readonly passwordStdin?: boolean },
): Promise<string> {
  const fromStdin = flags.passwordStdin === true;
  return readPassword(terminal, { fromStdin, question: `New password for ${name}`, isNew: true });
}

function checkPassword(password: string): string {
  if (password === '')
    throw badPassword('The password is empty.', 'Type it, or pipe it in with --password-stdin.');
  if (Buffer.byteLength(password) > maxPasswordBytes)
    throw badPassword('The password is longer than 256 bytes.', 'Check what was typed or piped in.');
  if (/[\0\r\n]/.test(password))
    throw badPassword('The password holds a line break.', 'Pipe in one line with nothing after it.');
  return password;
}

function badPassword(message: string, next: string): CodedError {
  return new CodedError('cli.bad_password', message, { next });
}

async function readLineOfStdin(terminal: Terminal): Promise<string> {
  if (terminal.stdin.isTTY === true)
    throw usage(
      '--password-stdin reads a pipe, and standard input is a terminal.',
      'Leave the option out to be asked.',
    );
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of terminal.stdin) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    chunks.push(bytes);
    // Far more than a password can be: do not fill memory with what somebody piped in by mistake.
    if (sizeBytes > 4096) break;
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
