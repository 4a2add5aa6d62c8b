import type { X509Certificate } from 'node:crypto';
import { get } from 'node:http';
import type { Clock } from '../../kernel/index.ts';
import { isSignedBy, listAddressesOf, readCertificate, readCrl } from '../../x509/index.ts';
import type { RevocationCheck } from './probe.ts';
import type { RevocationState } from './report.ts';

const maxListBytes = 32 * 1024 * 1024;
const maxLists = 64;
const waitMs = 8000;

/** What a list says, once it was read and its signature found good. */
interface HeldList {
  readonly serials: ReadonlySet<string>;
  readonly nextUpdateMs: number;
}

/**
 * Asks the list of revoked certificates that a certificate names, by plain http, once for each address and run. Only for certificates
 * that come from a given authority: nobody else's certificate makes this computer fetch anything. Whatever goes wrong (no address, no
 * answer, a list that is too old, too large, or signed by somebody else) is `unknown`. OCSP is not asked.
 */
export function createRevocationCheck(clock: Clock): RevocationCheck {
  const lists = new Map<string, Promise<HeldList | undefined>>();
  return async (certificate, issuer) => {
    if (issuer === undefined) return 'unknown';
    try {
      const { serial, ...read } = readCertificate(certificate.raw);
      const states: RevocationState[] = [];
      for (const url of listAddressesOf(read).slice(0, 2)) {
        const key = `${issuer.fingerprint256} ${url}`;
        if (!lists.has(key) && lists.size >= maxLists) return 'unknown';
        const asked = lists.get(key) ?? fetchList(url, issuer);
        lists.set(key, asked);
        const held = await asked;
        if (held === undefined || held.nextUpdateMs < clock.nowMs()) continue;
        states.push(held.serials.has(serial) ? 'revoked' : 'good');
      }
      return states.includes('revoked') ? 'revoked' : (states[0] ?? 'unknown');
    } catch {
      // A certificate that our own reader does not take says nothing of where to ask.
      return 'unknown';
    }
  };
}

async function fetchList(url: string, issuer: X509Certificate): Promise<HeldList | undefined> {
  try {
    const list = readCrl(await download(url));
    // A delta alone does not say what is good.
    if (list.baseNumber !== undefined) return undefined;
    if (!list.issuer.equals(readCertificate(issuer.raw).subject)) return undefined;
    if (!isSignedBy(issuer.publicKey, list.toBeSigned, list.algorithm, list.signature)) return undefined;
    return { serials: new Set(list.serials()), nextUpdateMs: list.nextUpdateMs };
  } catch {
    // Not to be had, or none that we read: nothing is known.
    return undefined;
  }
}

/** No redirect is followed, no proxy asked. */
async function download(url: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = get(
      url,
      { timeout: waitMs, agent: false, signal: AbortSignal.timeout(4 * waitMs) },
      (answer) => {
        if (answer.statusCode !== 200) {
          request.destroy();
          reject(new Error('no list there'));
          return;
        }
        const parts: Buffer[] = [];
        let sizeBytes = 0;
        answer.on('data', (part: Buffer) => {
          sizeBytes += part.length;
          if (sizeBytes > maxListBytes) request.destroy(new Error('too large'));
          else parts.push(part);
        });
        answer.on('end', () => resolve(Buffer.concat(parts)));
        answer.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
  });
}
