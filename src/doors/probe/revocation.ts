import type { X509Certificate } from 'node:crypto';
import { get } from 'node:http';
import type { Clock } from '../../kernel/index.ts';
import { isSignedBy, listAddressesOf, readCertificate, readCrl, type ReadCrl } from '../../x509/index.ts';
import { maxListBytes } from './given-lists.ts';
import type { RevocationCheck } from './probe.ts';
import type { RevocationState } from './report.ts';

const maxLists = 64;
const usualWaitMs = 8000;

/** What a list says, once it was read and its signature found good. */
interface HeldList {
  readonly serials: ReadonlySet<string>;
  readonly nextUpdateMs: number;
  /** Says who is revoked, and of nobody that they are not. */
  readonly isDelta: boolean;
}

export interface RevocationOptions {
  readonly clock: Clock;
  /** Lists that are at hand, as `parseLists` gives them. Of whom one of them speaks, nothing is fetched. */
  readonly given?: readonly ReadCrl[];
  /** How long a server may say nothing; in all it has four times as long. */
  readonly waitMs?: number;
}

/**
 * Looks whether a certificate is revoked: in the lists that were given, else in the one that it names, which is fetched by plain http,
 * once for each address and run. Only for certificates that come from a given authority: nobody else's certificate makes this computer
 * fetch anything. Whatever goes wrong (no address, no answer in time, a list that is too old, too large, or signed by somebody else) is
 * `unknown`. OCSP is not asked.
 */
export function createRevocationCheck(options: RevocationOptions): RevocationCheck {
  const { clock, given = [], waitMs = usualWaitMs } = options;
  const fetched = new Map<string, Promise<HeldList | undefined>>();
  const atHand = new Map<string, readonly HeldList[]>();
  const givenBy = (issuer: X509Certificate): readonly HeldList[] => {
    const known = atHand.get(issuer.fingerprint256) ?? given.flatMap((list) => held(list, issuer) ?? []);
    atHand.set(issuer.fingerprint256, known);
    return known;
  };
  return async (certificate, issuer) => {
    if (issuer === undefined) return 'unknown';
    try {
      const { serial, ...read } = readCertificate(certificate.raw);
      const lists = givenBy(issuer);
      if (lists.length > 0) return stateIn(lists, serial, clock);
      const found: HeldList[] = [];
      for (const url of listAddressesOf(read).slice(0, 2)) {
        const key = `${issuer.fingerprint256} ${url}`;
        if (!fetched.has(key) && fetched.size >= maxLists) return 'unknown';
        const asked = fetched.get(key) ?? fetchList(url, issuer, waitMs);
        fetched.set(key, asked);
        found.push(...[await asked].flatMap((list) => list ?? []));
      }
      return stateIn(found, serial, clock);
    } catch {
      // A certificate that our own reader does not take says nothing of where to ask.
      return 'unknown';
    }
  };
}

/** Revoked is for ever, so a list that is over says that much; who is good, only a full one in its time. */
function stateIn(lists: readonly HeldList[], serial: string, clock: Clock): RevocationState {
  if (lists.some(({ serials }) => serials.has(serial))) return 'revoked';
  return lists.some(({ isDelta, nextUpdateMs }) => !isDelta && nextUpdateMs >= clock.nowMs())
    ? 'good'
    : 'unknown';
}

/** Undefined when it is somebody else's. */
function held(list: ReadCrl, issuer: X509Certificate): HeldList | undefined {
  if (!list.issuer.equals(readCertificate(issuer.raw).subject)) return undefined;
  if (!isSignedBy(issuer.publicKey, list.toBeSigned, list.algorithm, list.signature)) return undefined;
  return {
    serials: new Set(list.serials()),
    nextUpdateMs: list.nextUpdateMs,
    isDelta: list.baseNumber !== undefined,
  };
}

async function fetchList(
  url: string,
  issuer: X509Certificate,
  waitMs: number,
): Promise<HeldList | undefined> {
  try {
    return held(readCrl(await download(url, waitMs)), issuer);
  } catch {
    // Not to be had, or none that we read: nothing is known.
    return undefined;
  }
}

/** No redirect is followed, no proxy asked. */
async function download(url: string, waitMs: number): Promise<Buffer> {
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
