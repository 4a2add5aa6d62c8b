import type { X509Certificate } from 'node:crypto';
import { sessionNeeds } from '../../tn5250/index.ts';
import type { Finding, FindingCode, PortLook, RawLook, TlsLook } from './report.ts';
import { mapperWord, type PortTarget } from './targets.ts';

const find = (weight: Finding['weight'], code: FindingCode, text: string): Finding => ({
  code,
  weight,
  text,
});

/** Under so many days, somebody should plan the renewal. */
export const soonDays = 30;

/** What is to be said of a port that was looked at. */
export function judgePort(
  target: PortTarget,
  raw: RawLook,
  look: Pick<PortLook, 'telnet' | 'tls'>,
  nowMs: number,
): readonly Finding[] {
  const found: Finding[] = [];
  const { state } = raw;
  if (state === 'clear' && target.application !== mapperWord) found.push(clearFinding(target, look.telnet));
  if (state === 'silent')
    found.push(find('warning', 'silent', 'Takes connections and says nothing: what serves it is not known.'));
  if (state === 'not_tls')
    found.push(
      find(
        'bad',
        'not_tls',
        look.telnet === 'tn5250' || look.telnet === 'telnet'
          ? 'Speaks telnet in the clear where TLS is expected.'
          : 'Answers in the clear where TLS is expected.',
      ),
    );
  if (state === 'tls_failed')
    found.push(find('bad', 'tls_failed', `The TLS handshake failed (${raw.reason ?? 'no reason given'}).`));
  if (state === 'tls_client_certificate')
    found.push(find('note', 'client_certificate', 'Lets in only clients that have a certificate.'));
  if (state === 'tls' && target.telnet) found.push(...telnetFindings(look.telnet));
  if (look.tls !== undefined) found.push(...tlsFindings(look.tls, nowMs));
  return found;
}

function clearFinding(target: PortTarget, telnet: PortLook['telnet']): Finding {
  if (target.telnet && telnet === 'other')
    return find('warning', 'not_telnet', 'Something that is no telnet answers here, in the clear.');
  if (target.telnet)
    return find(
      'bad',
      'clear_telnet',
      'Telnet in the clear: passwords and screens can be read on the way. CHGTELNA ALWSSL(*ONLY) ends it (keyword unverified).',
    );
  if (target.service.startsWith('as-'))
    return find(
      'bad',
      'clear_host_server',
      `The host server ${target.service} takes connections in the clear. IBM i has no switch for it: restrict the port or use a firewall; some programs use it on loopback.`,
    );
  return find('warning', 'clear_service', `${target.service} takes connections in the clear.`);
}

function telnetFindings(telnet: PortLook['telnet']): readonly Finding[] {
  if (telnet === undefined || telnet === 'unclear')
    return [find('warning', 'silent', 'TLS works, but no telnet was heard behind it in time.')];
  if (telnet === 'other')
    return [find('bad', 'not_telnet', 'TLS works, but what speaks behind it is no telnet.')];
  return [];
}

function tlsFindings(tls: TlsLook, nowMs: number): readonly Finding[] {
  const found: Finding[] = [];
  const [leaf] = tls.chain;
  if (tls.version !== undefined && !['TLSv1.2', 'TLSv1.3'].includes(tls.version))
    found.push(find('bad', 'old_tls', `Speaks ${tls.version}, which is broken; TLS 1.2 is the least.`));
  if (/(^|[-_])(NULL|RC4|DES|3DES|CBC3|EXP|MD5|aNULL|ADH)([-_]|$)/.test(tls.cipher ?? ''))
    found.push(find('bad', 'weak_cipher', `Uses ${tls.cipher ?? ''}, which is weak.`));
  if (leaf === undefined) return found;
  if (leaf.notAfterMs < nowMs)
    found.push(find('bad', 'expired', `The certificate expired ${day(leaf.notAfterMs)}.`));
  else if (tls.daysLeft < soonDays)
    found.push(
      find(
        'warning',
        'expires_soon',
        `The certificate expires in ${tls.daysLeft} days, ${day(leaf.notAfterMs)}.`,
      ),
    );
  if (leaf.notBeforeMs > nowMs)
    found.push(
      find('bad', 'not_yet_valid', `The certificate is good only from ${day(leaf.notBeforeMs)} on.`),
    );
  if (!tls.nameMatches)
    found.push(
      find(
        'bad',
        'wrong_name',
        `The certificate does not bear the name that was dialled, but ${listed(leaf.names)}.`,
      ),
    );
  if (tls.trust === 'not_ours')
    found.push(find('bad', 'not_ours', `The certificate comes from another authority: ${leaf.issuer}.`));
  if (tls.revocation === 'revoked')
    found.push(find('bad', 'revoked', 'The certificate is revoked, and is served all the same.'));
  if (tls.revocation === 'unknown')
    found.push(
      find('warning', 'revocation_unknown', 'Whether the certificate is revoked could not be found out.'),
    );
  const [, bits] = /^rsa (\d+)$/.exec(leaf.key) ?? [];
  if (bits !== undefined && Number(bits) < 2048)
    found.push(find('bad', 'weak_key', `The key is RSA with ${bits} bits; 2048 is the least.`));
  return found;
}

/** What only the list that the server sent can tell. */
export function chainFinding(incomplete: boolean): readonly Finding[] {
  return incomplete
    ? [
        find(
          'warning',
          'chain_incomplete',
          'The server does not send the certificate of the issuing authority: clients that know only the root refuse it.',
        ),
      ]
    : [];
}

/** @returns a finding for a signature that SHA-1 or MD5 made; self-signed roots are trusted for themselves. */
export function signatureFinding(chain: readonly X509Certificate[]): readonly Finding[] {
  const weak = chain.find(
    (certificate) =>
      /sha1|md5/i.test(certificate.signatureAlgorithm ?? '') && certificate.subject !== certificate.issuer,
  );
  return weak === undefined
    ? []
    : [
        find(
          'bad',
          'weak_signature',
          `A certificate of the chain is signed with ${weak.signatureAlgorithm ?? ''}.`,
        ),
      ];
}

/**
 * Half of a fix: Telnet with TLS whose session still needs host servers that have none.
 */
export function judgeHost(ports: readonly PortLook[]): readonly Finding[] {
  const serves = (service: string): boolean | undefined => {
    const look = ports.find((candidate) => candidate.service === service);
    if (look === undefined) return undefined;
    return service === 'as-svrmap'
      ? look.state === 'clear'
      : look.state.startsWith('tls') && look.state !== 'tls_failed';
  };
  if (serves('telnet-ssl') !== true) return [];
  const missing = sessionNeeds.filter(({ service }) => serves(service) === false);
  if (missing.length === 0) return [];
  return [
    find(
      'warning',
      'half_secured',
      `Telnet has TLS, but a 5250 session of ACS needs more with it: ${missing.map(({ port, service }) => `${port} (${service})`).join(', ')}.`,
    ),
  ];
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none at all';
  const shown = names.slice(0, 4).join(', ');
  return names.length > 4 ? `${shown} and ${names.length - 4} more` : shown;
}

const day = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);
