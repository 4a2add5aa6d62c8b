import { CodedError } from '../kernel/index.ts';
import type { TlsGrant } from '../policy/index.ts';
import {
  caOf,
  constraintsOf,
  isPermitted,
  keyIdentifier,
  keyIdentifiersOf,
  keyUsagesOf,
  namesOf,
  oid,
  readCommonName,
  readToBeSigned,
  sameName,
  usagesOf,
  type ReadCertificate,
} from '../x509/index.ts';
import { usagesFor } from './tls.ts';

export interface TlsPromise {
  readonly grant: TlsGrant;
  /** The certificate of the authority. */
  readonly issuer: ReadCertificate;
  readonly authorityKeyId: Buffer;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
}

const longestMs = 397 * 86_400_000 + 3_600_000;
const mayStand = new Set<string>([
  oid.basicConstraints,
  oid.keyUsage,
  oid.extendedKeyUsage,
  oid.subjectKeyIdentifier,
  oid.authorityKeyIdentifier,
  oid.subjectAltName,
  oid.crlDistributionPoints,
  oid.authorityInfoAccess,
  oid.sidExtension,
]);

/**
 * Reads back what is about to be signed and holds it against what was granted and what RFC 5280 asks of a leaf. It shares with the
 * writer only the reader's knowledge of DER. @throws CodedError `issuance.lint`, `x509.malformed`
 */
export function lintTls(toBeSigned: Buffer, promise: TlsPromise): void {
  const { grant, issuer, authorityKeyId, publicKey } = promise;
  const read = readToBeSigned(toBeSigned);
  const { extensions, notBeforeMs, notAfterMs } = read;
  const must = (clause: string, isSo: boolean, why: string): void => {
    if (!isSo) throw broken(why, clause);
  };
  must('4.1.2.2', read.serialOctets <= 20 && read.serial.length === 40, 'its serial is not 20 octets');
  must('4.1.2.4', read.issuer.equals(issuer.subject), 'its issuer is not the subject of the authority');
  must('4.1.2.5', notBeforeMs < notAfterMs, 'its validity is empty');
  must('6.1.3', notAfterMs <= issuer.notAfterMs, 'it outlives the authority');
  must('4.1.2.5', notAfterMs - notBeforeMs <= longestMs, 'it lives longer than 397 days');
  must('4.1.2.5', notBeforeMs === Number(grant.notBefore) * 1000, 'it does not begin when it was granted');
  must('4.1.2.5', notAfterMs === Number(grant.notAfter) * 1000, 'it does not end when it was granted');
  must(
    '4.1.2.6',
    readCommonName(read.subject) === grant.commonName,
    'its common name is not the one granted',
  );
  must('4.1.2.7', read.publicKey.equals(publicKey), 'it certifies another key');
  must('4.1.2.7', !publicKey.equals(issuer.publicKey), 'it certifies the key of the authority');
  must('4.2.1.9', caOf(read) === undefined, 'it is an authority');
  must('4.2.1.9', extensions.has(oid.basicConstraints), 'it does not say that it is no authority');
  must(
    '4.2',
    [...extensions.keys()].every((type) => mayStand.has(type)),
    'it has an extension that nobody granted',
  );
  must('4.2.1.3', extensions.get(oid.keyUsage)?.critical === true, 'its key usage is not critical');
  const keyUsages = keyUsagesOf(read);
  must('4.2.1.3', keyUsages.includes('digitalSignature'), 'its key may not sign');
  must(
    '4.2.1.3',
    !keyUsages.includes('keyCertSign') && !keyUsages.includes('crlSign'),
    'its key may sign certificates',
  );
  must('4.2.1.12', sameList(usagesOf(read), usagesFor(grant)), 'its usages are not those granted');
  const ids = keyIdentifiersOf(read);
  must('4.2.1.1', ids.authority?.equals(authorityKeyId) === true, 'it names another key of the authority');
  must('4.2.1.2', ids.subject?.equals(keyIdentifier(publicKey)) === true, 'it has another key identifier');
  checkNames({ read, issuer, grant }, must);
  must('4.2.1.13', extensions.has(oid.crlDistributionPoints), 'it does not say where its list is');
  must('4.2.2.1', extensions.has(oid.authorityInfoAccess), 'it does not say where its issuer is');
  must(
    '4.2',
    extensions.has(oid.sidExtension) === (grant.sid !== undefined),
    'its account is not the one granted',
  );
  const sid = extensions.get(oid.sidExtension)?.value;
  must(
    '4.2',
    sid === undefined || sid.subarray(-(grant.sid ?? '').length).toString() === grant.sid,
    'its account is not the one granted',
  );
}

function checkNames(
  { read, issuer, grant }: Pick<TlsPromise, 'grant' | 'issuer'> & { readonly read: ReadCertificate },
  must: (clause: string, isSo: boolean, why: string) => void,
): void {
  const names = namesOf(read);
  const granted = grant.names;
  const isGranted = (nth: number): boolean => {
    const [name, other] = [names[nth], granted[nth]];
    return name !== undefined && other !== undefined && sameName(name, other);
  };
  const bounds = constraintsOf(issuer);
  must(
    '4.2.1.10',
    bounds === undefined || names.every((name) => isPermitted(bounds, name)),
    'it names what the authority may not',
  );
  must(
    '4.2.1.6',
    names.length === granted.length && names.every((_, nth) => isGranted(nth)),
    'its names are not those granted',
  );
  must('4.2.1.6', grant.kind !== 'tls-server' || names.length > 0, 'it names no server');
  must(
    '4.2.1.6',
    names.every(({ value }) => !value.includes('*')),
    'it has a wildcard',
  );
  must(
    '4.2.1.6',
    grant.kind !== 'tls-server' || names.some(({ value }) => value === grant.commonName),
    'its common name is none of its names',
  );
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, nth) => value === b[nth]);
}

function broken(why: string, clause: string): CodedError {
  return new CodedError(
    'issuance.lint',
    `The certificate was not signed: ${why} (RFC 5280 section ${clause}).`,
    {
      next: 'This is a fault of the broker or of its policy file; tell your administrator.',
      details: { clause },
    },
  );
}
