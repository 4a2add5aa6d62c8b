import { CodedError } from '../../kernel/index.ts';

/** How long the far end may leave us without a sign of life at any stage: connection, handshake, answer. */
export const silenceMs = 10_000;

/** Codes of Node that say who the far end is not: its certificate is not one that the configuration trusts. */
const untrusted =
  /^(?:ERR_TLS_CERT_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|HOSTNAME_MISMATCH|PATH_LENGTH|INVALID_PURPOSE)/;

export type Stage = 'nothing' | 'socket' | 'tls';

/**
 * What went wrong with a connection, as a fault that the operator can act on.
 * @param where host and port. @param stage how far the connection had come: a socket, or a far end that has proved who it is
 */
export function connectionFault(error: unknown, where: string, stage: Stage): CodedError {
  if (error instanceof CodedError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  if (untrusted.test(code))
    return new CodedError('sinks.untrusted', `The certificate of ${where} is not trusted (${code}).`, {
      next: 'Check `ca-file` and the name of the server in the configuration; nothing was sent.',
      cause: error,
    });
  if (/ALERT|HANDSHAKE/.test(code) || (stage === 'socket' && code !== 'ETIMEDOUT'))
    return new CodedError('sinks.refused', `${where} refused the TLS connection (${code}).`, {
      next: 'Check that it trusts our client certificate, and that this has not expired.',
      cause: error,
    });
  if (stage === 'tls')
    return new CodedError('sinks.broken_off', `The connection to ${where} broke off (${code}).`, {
      next: 'It is tried again. If it stays: does the far end accept our client certificate?',
      cause: error,
    });
  return new CodedError('sinks.unreachable', `${where} cannot be reached (${code}).`, {
    next: 'Check the address, the network and that the far end runs.',
    cause: error,
  });
}

/** Its own code, as Node has for its other faults of connections. */
export function silent(): Error {
  return Object.assign(new Error('no sign of life'), { code: 'ETIMEDOUT' });
}
