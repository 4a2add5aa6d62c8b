import { createTransport } from 'nodemailer';
import type { Sink, StoredEntry } from '../../broker/index.ts';
import { CodedError } from '../../kernel/index.ts';
import { connectionFault, silenceMs } from './far-end.ts';

export interface MailSinkOptions {
  readonly name: string;
  readonly format: string;
  readonly host: string;
  readonly port: number;
  /** `tls`: from the first byte. `starttls`: required before anything is said. */
  readonly security: 'tls' | 'starttls';
  /** PEM of the only authorities that may vouch for the server; without it, those that Node trusts. */
  readonly ca?: string;
  /** Asked for each message, so that a new password needs no restart. */
  readonly login?: () => { readonly user: string; readonly password: string };
  readonly from: string;
  readonly to: readonly string[];
  /** One line for each entry. */
  readonly line: (entry: StoredEntry) => string;
  /** What an entry is called in the subject. */
  readonly title: (entry: StoredEntry) => string;
}

/**
 * Mails entries, all of a batch in one message, over SMTP with TLS (RFC 5321, 3207). They are delivered when the server has taken the
 * message for every recipient; whether a mailbox gets it, SMTP does not say.
 */
export function createMailSink(options: MailSinkOptions): Sink {
  const { name, format, host, port, from, to, line } = options;
  return {
    name,
    kind: 'mail',
    format,
    async deliver(entries, signal) {
      signal.throwIfAborted();
      const { user, password } = options.login?.() ?? {};
      const transport = createTransport({
        host,
        port,
        secure: options.security === 'tls',
        requireTLS: true,
        tls: {
          minVersion: 'TLSv1.2',
          // Also where the environment says otherwise.
          rejectUnauthorized: true,
          ...(options.ca === undefined ? {} : { ca: options.ca }),
        },
        ...(user === undefined || password === undefined ? {} : { auth: { user, pass: password } }),
        connectionTimeout: silenceMs,
        greetingTimeout: silenceMs,
        socketTimeout: silenceMs,
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const stop = (): void => transport.close();
      signal.addEventListener('abort', stop, { once: true });
      try {
        const text = `${entries.map((entry) => line(entry)).join('\n\n')}\n`;
        const sent = await transport.sendMail({
          from,
          to: [...to],
          subject: subjectOf(options, entries),
          text,
        });
        if (sent.rejected.length > 0)
          throw refusal(`${host} refused ${sent.rejected.length} of the recipients`);
      } catch (error) {
        throw faultOf(error, `${host}:${port}`);
      } finally {
        signal.removeEventListener('abort', stop);
        transport.close();
      }
    },
    async close() {
      // No connection outlives its message.
    },
  };
}

function subjectOf({ title }: MailSinkOptions, entries: readonly StoredEntry[]): string {
  const [first] = entries;
  const others = entries.length === 1 ? '' : ` and ${entries.length - 1} more`;
  return `Sallyport: ${first === undefined ? 'nothing' : title(first)}${others}`;
}

function faultOf(error: unknown, where: string): CodedError {
  if (error instanceof CodedError) return error;
  const { code, originalCode, responseCode } = error as SmtpFault;
  if (typeof responseCode === 'number') return refusal(`${where} answers ${responseCode}`, error);
  // nodemailer puts its own code in the place of Node's, which says more.
  const known = originalCode ?? code;
  if (known === 'ETLS') return refusal(`${where} offers no TLS`, error);
  if (known === 'EAUTH') return refusal(`${where} does not take the login`, error);
  return connectionFault(
    Object.assign(new Error('no mail', { cause: error }), { code: known }),
    where,
    'nothing',
  );
}

interface SmtpFault {
  readonly code?: string;
  readonly originalCode?: string;
  readonly responseCode?: number | false;
}

function refusal(why: string, cause?: unknown): CodedError {
  return new CodedError('sinks.refused', `${why}.`, {
    next: 'Check the sender, the recipients and the login of the mail server; the entries are sent again.',
    cause,
  });
}
