import type { X509Certificate } from 'node:crypto';
import type { TelnetVerdict } from '../../tn5250/index.ts';

/**
 * How a port answered: `closed` refuses connections, `no_answer` lets them wait, `silent` takes them and says nothing,
 * `clear` works without TLS, `not_tls` answers a TLS greeting with something else, `tls_failed` broke off the handshake,
 * `tls_client_certificate` wants a certificate of the client.
 */
export type PortState =
  'closed' | 'no_answer' | 'silent' | 'clear' | 'not_tls' | 'tls_failed' | 'tls' | 'tls_client_certificate';

export type FindingCode =
  | 'clear_telnet'
  | 'clear_host_server'
  | 'clear_service'
  | 'not_tls'
  | 'not_telnet'
  | 'silent'
  | 'tls_failed'
  | 'old_tls'
  | 'weak_cipher'
  | 'weak_key'
  | 'weak_signature'
  | 'expired'
  | 'expires_soon'
  | 'not_yet_valid'
  | 'wrong_name'
  | 'not_ours'
  | 'chain_incomplete'
  | 'revoked'
  | 'revocation_unknown'
  | 'client_certificate'
  | 'half_secured'
  | 'name_not_found';

export interface Finding {
  readonly code: FindingCode;
  /** `bad` must be put right, `warning` should be looked at, `note` is good to know. */
  readonly weight: 'bad' | 'warning' | 'note';
  /** One sentence: what is so, and where it helps, what to do. */
  readonly text: string;
}

/** Whether the certificate comes from an authority that was given; `not_asked` when none was. */
export type Trust = 'ours' | 'not_ours' | 'not_asked';

export type RevocationState = 'good' | 'revoked' | 'unknown' | 'not_asked';

export interface CertificateLook {
  readonly subject: string;
  readonly issuer: string;
  /** Hex, upper case. */
  readonly serial: string;
  readonly sha256: string;
  readonly key: string;
  readonly names: readonly string[];
  readonly notBeforeMs: number;
  /** The last moment at which it is good. */
  readonly notAfterMs: number;
}

export interface TlsLook {
  /** As OpenSSL names them; undefined where the handshake did not end. */
  readonly version: string | undefined;
  readonly cipher: string | undefined;
  /** As the server sent them, the server's own first; at most ten. */
  readonly chain: readonly CertificateLook[];
  readonly trust: Trust;
  readonly nameMatches: boolean;
  /** Whole days until the end of the first certificate, downwards; negative when it is over. */
  readonly daysLeft: number;
  readonly revocation: RevocationState;
}

export interface PortLook {
  readonly port: number;
  readonly service: string;
  /** Word of the catalogue. */
  readonly application: string;
  readonly state: PortState;
  readonly tls?: TlsLook;
  /** By its first bytes; only where telnet is expected and something was said. */
  readonly telnet?: TelnetVerdict;
  readonly findings: readonly Finding[];
}

export interface HostLook {
  readonly host: string;
  /** Undefined when the name has none. */
  readonly address: string | undefined;
  /** By port. */
  readonly ports: readonly PortLook[];
  /** About the host as a whole. */
  readonly findings: readonly Finding[];
}

export interface ProbeReport {
  readonly startedMs: number;
  readonly endedMs: number;
  /** In the order in which they were named. */
  readonly hosts: readonly HostLook[];
}

/** What one connection found out, before it is judged. */
export interface RawLook {
  readonly state: PortState;
  /** First bytes of the server, where it is one that speaks first. */
  readonly firstBytes?: Buffer;
  readonly version?: string | undefined;
  readonly cipher?: string | undefined;
  readonly chain?: readonly X509Certificate[];
  /** What the TLS library said about a handshake that failed; its code, never text of the server. */
  readonly reason?: string;
}
