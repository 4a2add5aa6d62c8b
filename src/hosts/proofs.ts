import { CodedError, hostRequestNamespace } from '../kernel/index.ts';
import { fingerprint, formatPublicKey, parsePublicKey, verifySshsig, type PublicKey } from '../ssh/index.ts';
import type { HostRequest } from './request.ts';

/** How far the clocks of host and broker may differ. */
export const hostClockToleranceMs = 120_000;

/**
 * Every signature under a request: the identity key's over exactly these bytes, and that of each host key it names. Who passes holds
 * all of these private keys.
 * @throws CodedError `hosts.bad_signature`
 */
export function verifyProofs(request: HostRequest, identity: PublicKey): void {
  const keys = [identity, ...('hostKeys' in request ? request.hostKeys : [])];
  for (const [at, key] of keys.entries()) {
    const verdict = verifySshsig(request.signatures[at] ?? '', request.signedBytes, {
      namespace: hostRequestNamespace,
      trustedKeys: [key],
    });
    if (verdict.outcome === 'valid') continue;
    const whose = at === 0 ? 'the identity key' : `host key ${at}`;
    throw new CodedError('hosts.bad_signature', `The signature of ${whose} is not good: ${verdict.message}`, {
      next: 'On the host, run `sallyport-host check`; enrol it anew if its identity was lost.',
      details: { check: verdict.check },
    });
  }
}

/** @throws CodedError `hosts.clock_skew` unless it was made within two minutes of now */
export function checkFresh(request: Pick<HostRequest, 'timeMs'>, nowMs: number): void {
  if (Math.abs(request.timeMs - nowMs) <= hostClockToleranceMs) return;
  throw new CodedError(
    'hosts.clock_skew',
    'The request was made more than two minutes from now, by the clock of the broker.',
    {
      next: 'Set the clock of the host (NTP).',
      details: {
        brokerTime: new Date(nowMs).toISOString(),
        hostTime: new Date(request.timeMs).toISOString(),
      },
    },
  );
}

/** The identity key of a host as it is kept, one line. @throws CodedError as `parsePublicKey` */
export function readIdentityKey(line: string): PublicKey {
  return parsePublicKey(line);
}

/** How the identity key of a request is kept and shown. */
export function describeKey(key: PublicKey): { readonly line: string; readonly fingerprint: string } {
  return { line: formatPublicKey(key, ''), fingerprint: fingerprint(key.blob) };
}
