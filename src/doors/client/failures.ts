import { CodedError, parseRfc3339, printable } from '../../kernel/index.ts';
import { Answer } from './answer.ts';
import { errnoOf } from './files.ts';

interface Failure {
  readonly code: `client.${string}`;
  readonly why: string;
  readonly next: string;
}

const checkAddress = 'Check SALLYPORT_URL, and that the broker is running and reachable from here.';
const refused: Failure = {
  code: 'client.connection_refused',
  why: 'nothing answers at that port (connection refused)',
  next: checkAddress,
};
const unknownName: Failure = {
  code: 'client.name_not_found',
  why: 'its name is not known to the DNS',
  next: 'Check the host name in SALLYPORT_URL, and the network.',
};
const noRoute: Failure = {
  code: 'client.no_route',
  why: 'there is no way to it from this network',
  next: 'Check the network or VPN, then try again.',
};
const timedOut: Failure = {
  code: 'client.timeout',
  why: 'it did not answer in time',
  next: 'Check the network or VPN and that the broker is running, then try again.',
};
const lost: Failure = {
  code: 'client.connection_lost',
  why: 'the connection broke off',
  next: 'Try again; if it stays so, look at the log of the broker and of what stands between.',
};
const notTrusted: Failure = {
  code: 'client.certificate_not_trusted',
  why: 'its TLS certificate comes from an authority that is not trusted here',
  next: 'Get the authority’s certificate (DIR/tls/ca.pem of the broker) on a safe way, and set SALLYPORT_CA_FILE to that file.',
};
const notTls: Failure = {
  code: 'client.not_tls',
  why: 'what answers there does not speak TLS 1.2 or newer',
  next: 'Check the port in SALLYPORT_URL.',
};

const failures: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: refused,
  ENOTFOUND: unknownName,
  EAI_AGAIN: { ...unknownName, why: 'the DNS did not answer for its name' },
  EHOSTUNREACH: noRoute,
  ENETUNREACH: noRoute,
  EADDRNOTAVAIL: noRoute,
  ETIMEDOUT: timedOut,
  ECONNRESET: lost,
  EPIPE: lost,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: notTrusted,
  UNABLE_TO_GET_ISSUER_CERT: notTrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: notTrusted,
  SELF_SIGNED_CERT_IN_CHAIN: notTrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: notTrusted,
  CERT_SIGNATURE_FAILURE: notTrusted,
  CERT_UNTRUSTED: notTrusted,
  INVALID_CA: notTrusted,
  CERT_HAS_EXPIRED: {
    code: 'client.certificate_expired',
    why: 'its TLS certificate has expired',
    next: 'Check this computer’s clock; if it is right, the broker’s certificate must be renewed.',
  },
  CERT_NOT_YET_VALID: {
    code: 'client.certificate_expired',
    why: 'its TLS certificate is not valid yet',
    next: 'Check this computer’s clock; if it is right, wait or have the broker’s certificate renewed.',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: 'client.certificate_wrong_name',
    why: 'its TLS certificate is for another name',
    next: 'Use the name in SALLYPORT_URL that the broker’s certificate holds (`sallyport init --dns NAME` adds names).',
  },
  EPROTO: notTls,
};

/** The broker could not be talked to at all: nothing was asked of it, or nothing came back. */
export function isUnreachable(error: unknown): boolean {
  return (
    error instanceof CodedError &&
    [refused, unknownName, noRoute, timedOut, lost, notTrusted, notTls]
      .map((failure) => failure.code)
      .concat('client.certificate_expired', 'client.certificate_wrong_name', 'client.cannot_connect')
      .some((code) => code === error.code)
  );
}

/** No session that the broker would take: log in again. */
export function isNotLoggedIn(error: unknown): boolean {
  return (
    error instanceof CodedError &&
    (error.code === 'client.not_logged_in' || error.code.startsWith('identity.session_'))
  );
}

/** Turns a connection fault of Node into cause and next step. */
export function unreachable(origin: string, error: unknown): CodedError {
  const errno = errnoOf(error) ?? '';
  const failure =
    failures[errno] ??
    (errno.startsWith('ERR_SSL_')
      ? notTls
      : {
          code: 'client.cannot_connect' as const,
          why: `the connection failed (${printable(errno === '' ? String(error) : errno, 60)})`,
          next: checkAddress,
        });
  return new CodedError(failure.code, `The broker at ${origin} cannot be reached: ${failure.why}.`, {
    next: failure.next,
    cause: error,
  });
}

/**
 * Reads a problem document (RFC 9457) into a CodedError with the broker's own code. Everything in it is text that somebody
 * else wrote: it is cut and cleaned before it reaches a terminal.
 */
export function readProblem(status: number, body: string, retryAfter: string | undefined): CodedError {
  let problem: Answer;
  try {
    problem = new Answer(JSON.parse(body), 'problem document');
  } catch (error) {
    return notAProblem(status, error);
  }
  const code = textOf(problem, 'code');
  if (!isErrorCode(code)) return notAProblem(status);
  const message = textOf(problem, 'detail') || textOf(problem, 'title') || `The broker refused (${status}).`;
  const requestId = textOf(problem, 'requestId');
  const details = problem.raw['details'];
  const fields = typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {};
  if (code === 'identity.clock_skew') return clockSkew(fields);
  const seconds = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
  const wait = seconds === undefined ? undefined : `Wait ${seconds} s, then try again.`;
  const next = textOf(problem, 'next') || wait;
  return new CodedError(code, message, {
    ...(next === undefined ? {} : { next }),
    details: {
      status,
      ...(requestId === '' ? {} : { requestId }),
      refusals: refusalLines(fields['refusals']),
    },
  });
}

function isErrorCode(text: string): text is `${string}.${string}` {
  return /^[a-z][a-z0-9-]{0,40}\.[a-z0-9_]{1,60}$/.test(text);
}

function textOf(problem: Answer, name: string): string {
  const value = problem.raw[name];
  return typeof value === 'string' ? printable(value, 1000) : '';
}

/** The reasons one by one, where the broker gives several: `code: message` objects or plain texts. */
function refusalLines(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, 50).flatMap((item: unknown) => {
    if (typeof item === 'string') return [printable(item, 1000)];
    if (typeof item !== 'object' || item === null) return [];
    const { code, message } = item as Record<string, unknown>;
    return typeof message === 'string'
      ? [printable(typeof code === 'string' ? `${message} (${code})` : message, 1000)]
      : [];
  });
}

function notAProblem(status: number, cause?: unknown): CodedError {
  return new CodedError('client.bad_answer', `The broker answered ${status} without saying why.`, {
    next: 'Check that SALLYPORT_URL names a Sallyport broker and not a proxy before it; try again in a minute.',
    details: { status },
    cause,
  });
}

function clockSkew(fields: Readonly<Record<string, unknown>>): CodedError {
  const [brokerMs, clientMs] = ['brokerTime', 'clientTime'].map((name) => {
    const value = fields[name];
    return typeof value === 'string' ? parseRfc3339(value) : undefined;
  });
  const next = 'Set the wrong clock right (`timedatectl set-ntp true` on most Linux), then try again.';
  if (brokerMs === undefined || clientMs === undefined) {
    return new CodedError(
      'identity.clock_skew',
      'This computer’s clock and the broker’s clock are too far apart.',
      { next },
    );
  }
  const seconds = Math.round(Math.abs(brokerMs - clientMs) / 1000);
  const side = clientMs > brokerMs ? 'ahead of' : 'behind';
  const clocks = { brokerTime: inSeconds(brokerMs), clientTime: inSeconds(clientMs) };
  return new CodedError(
    'identity.clock_skew',
    `This computer’s clock (${clocks.clientTime}) is ${seconds} s ${side} the broker’s (${clocks.brokerTime}).`,
    { next, details: clocks },
  );
}

function inSeconds(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
