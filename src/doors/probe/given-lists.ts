import { CodedError } from '../../kernel/index.ts';
import { decodePem, readCrl, type ReadCrl } from '../../x509/index.ts';

/** Room for a million serials. */
export const maxListBytes = 64 * 1024 * 1024;
const maxLists = 64;

/**
 * The lists of revoked certificates in a file: one in DER, or PEM blocks one after the other, full lists and deltas. Whose they are is
 * found out when they are used.
 * @throws CodedError `probe.bad_crl_file` for a file without any, with one that cannot be read, with over 64, or over 64 MiB
 */
export function parseLists(bytes: Buffer): readonly ReadCrl[] {
  if (bytes.length > maxListBytes) throw badFile('it is longer than 64 MiB');
  // DER begins with the tag of a SEQUENCE, which is “0” and no beginning of PEM either.
  if (bytes[0] === 0x30) return [read(bytes, 1)];
  const blocks = bytes.toString('latin1').match(/-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/g) ?? [];
  if (blocks.length === 0) throw badFile('there is no list in it');
  if (blocks.length > maxLists) throw badFile(`it has more than ${maxLists} lists`);
  return blocks.map((block, nth) => read(block, nth + 1));
}

function read(list: string | Buffer, nth: number): ReadCrl {
  try {
    return readCrl(typeof list === 'string' ? decodePem(list, ['X509 CRL']) : list);
  } catch (error) {
    throw badFile(`list ${nth} cannot be read`, error);
  }
}

function badFile(why: string, cause?: unknown): CodedError {
  return new CodedError('probe.bad_crl_file', `This is no file of revoked certificates: ${why}.`, {
    next: 'Give what the broker serves as /pki/NAME.pem or /pki/NAME.crl.',
    cause,
  });
}
