import type { X509Certificate } from 'node:crypto';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { recogniseTelnet } from '../../tn5250/index.ts';
import type { RawLook } from './report.ts';
import { Tap } from './tap.ts';
import type { PortTarget } from './targets.ts';

/** How long each step may take, in milliseconds. */
export interface Patience {
  readonly connectMs: number;
  readonly handshakeMs: number;
  /** For the first bytes of a server that speaks first. */
  readonly firstBytesMs: number;
}

export interface Place {
  /** As it was named: the server is told it (SNI) unless it is an address. */
  readonly host: string;
  readonly address: string;
}

/** More than a server says before it is answered; then the probe has seen enough. */
const maxFirstBytes = 4096;
/** The server's own and what vouches for it; a longer chain is cut. */
const maxChain = 10;

/**
 * TLS as old as a server may still speak, and no authorities: who vouches for a certificate is judged apart. It must be possible to
 * see what is bad in order to name it; nothing is sent over these connections.
 */
export function probeContext(): SecureContext {
  return createSecureContext({ minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0', ca: [] });
}

/**
 * Makes one connection to one port and closes it after the first bytes of the server: no name, no password, and not one byte
 * above TLS is sent, so that no virtual device is made. Never rejects: what went wrong is what was seen.
 */
export async function lookAtPort(
  place: Place,
  target: PortTarget,
  context: SecureContext,
  patience: Patience,
): Promise<RawLook> {
  const socket = await openSocket(place.address, target.port, patience.connectMs);
  if (typeof socket === 'string') return { state: socket };
  try {
    if (target.tls) return await lookAtTls(socket, place, target, { context, patience });
    if (!target.telnet) return { state: 'clear' };
    const firstBytes = await firstBytesOf(socket, patience.firstBytesMs);
    return firstBytes.length === 0 ? { state: 'silent' } : { state: 'clear', firstBytes };
  } finally {
    socket.destroy();
  }
}

/** @returns the connection, or why there is none. */
export async function openSocket(
  address: string,
  port: number,
  connectMs: number,
): Promise<Socket | 'closed' | 'no_answer'> {
  const socket = connect({ host: address, port, autoSelectFamily: false });
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.destroy();
      resolve('no_answer');
    }, connectMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
    // Stays for the life of the connection: a reset is an answer like any other.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      resolve(error.code === 'ECONNREFUSED' ? 'closed' : 'no_answer');
    });
  });
}

/** What the server says, until there is enough to judge, it ends, or the time is over. */
export async function firstBytesOf(stream: Socket, waitMs: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const finish = (): void => {
      clearTimeout(timer);
      resolve(bytes);
    };
    const timer = setTimeout(finish, waitMs);
    stream.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]).subarray(0, maxFirstBytes);
      if (recogniseTelnet(bytes) !== 'unclear' || bytes.length === maxFirstBytes) finish();
    });
    stream.once('end', finish);
    stream.once('close', finish);
  });
}

async function lookAtTls(
  socket: Socket,
  { host }: Place,
  target: PortTarget,
  { context, patience }: { readonly context: SecureContext; readonly patience: Patience },
): Promise<RawLook> {
  const tap = new Tap(socket);
  const beganMs = performance.now();
  const tls = connectTls({
    socket: tap,
    secureContext: context,
    rejectUnauthorized: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
  // Kept from the first moment: with TLS 1.3 the server refuses a client without certificate only after the handshake.
  let fault: NodeJS.ErrnoException | undefined;
  tls.on('error', (error: NodeJS.ErrnoException) => {
    fault ??= error;
  });
  try {
    const outcome = await handshake(tls, patience.handshakeMs);
    const seen = {
      version: tls.getProtocol() ?? undefined,
      cipher: tls.getCipher()?.name,
      chain: chainOf(tls),
    };
    if (outcome === 'done') {
      // The alert that wants a certificate takes one more way here; servers that speak first have their own time.
      const settleMs = Math.min(2000, 300 + 3 * (performance.now() - beganMs));
      const firstBytes = await firstBytesOf(tls, target.telnet ? patience.firstBytesMs : settleMs);
      if (wantsCertificate(fault, true)) return { ...seen, state: 'tls_client_certificate' };
      return { ...seen, state: 'tls', firstBytes };
    }
    return failedLook(outcome, fault, tap.firstBytes, seen.chain);
  } finally {
    tls.destroy();
  }
}

async function handshake(tls: TLSSocket, waitMs: number): Promise<'done' | 'failed' | 'late'> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('late'), waitMs);
    const end = (outcome: 'done' | 'failed'): void => {
      clearTimeout(timer);
      resolve(outcome);
    };
    tls.once('secureConnect', () => end('done'));
    tls.once('error', () => end('failed'));
    tls.once('close', () => end('failed'));
  });
}

function failedLook(
  outcome: 'failed' | 'late',
  fault: NodeJS.ErrnoException | undefined,
  firstBytes: Buffer,
  chain: readonly X509Certificate[],
): RawLook {
  if (firstBytes.length === 0)
    return outcome === 'late' ? { state: 'silent' } : { state: 'tls_failed', reason: reasonOf(fault) };
  // TLS records begin with 0x14 to 0x18 and the major version 3 (RFC 8446 section 5.1).
  const isRecord = (firstBytes[0] ?? 0) >= 0x14 && (firstBytes[0] ?? 0) <= 0x18 && (firstBytes[1] ?? 3) === 3;
  if (!isRecord) return { state: 'not_tls', firstBytes };
  if (wantsCertificate(fault, chain.length > 0)) {
    // Below TLS 1.3 the alert ends the handshake, and OpenSSL no longer says which version it was.
    return { state: 'tls_client_certificate', chain };
  }
  return { state: 'tls_failed', reason: reasonOf(fault), chain };
}

/**
 * Whether the fault is a server's that wants a certificate: it says so in TLS 1.3 (alert 116, RFC 8446 section 6.2); before, it
 * breaks off with handshake_failure or bad_certificate (RFC 5246 section 7.4.6), but only after it showed its own.
 */
function wantsCertificate(fault: NodeJS.ErrnoException | undefined, showedItsOwn: boolean): boolean {
  const code = fault?.code ?? '';
  if (/CERTIFICATE_REQUIRED/.test(code)) return true;
  return showedItsOwn && /ALERT_(HANDSHAKE_FAILURE|BAD_CERTIFICATE|NO_CERTIFICATE|ACCESS_DENIED)/.test(code);
}

function reasonOf(fault: NodeJS.ErrnoException | undefined): string {
  return fault?.code ?? 'the server closed the connection';
}

function chainOf(tls: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next = tls.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate) {
    const known = next.fingerprint256;
    if (chain.length === maxChain || chain.some(({ fingerprint256 }) => fingerprint256 === known)) break;
    chain.push(next);
  }
  return chain;
}
