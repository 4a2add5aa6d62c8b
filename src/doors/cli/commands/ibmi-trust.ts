import type { X509Certificate } from 'node:crypto';
import { CodedError, isCodedError } from '../../../kernel/index.ts';
import { clientAdvice, makeTrustPack, type TrustClient } from '../../ibmi/index.ts';
import { parseAuthorities } from '../../probe/index.ts';
import { brokerAuthorities } from '../broker-authorities.ts';
import type { Result } from '../command.ts';
import { readGivenFile } from '../given-file.ts';
import { fieldLines } from '../output.ts';
import { checkOutFolder, writeOutFolder } from '../out-folder.ts';
import type { Terminal } from '../terminal.ts';

export interface TrustFlags {
  readonly for: TrustClient;
  /** Left out: the broker's. */
  readonly ca?: readonly string[];
  readonly out: string;
}

/** Writes what clients need in order to trust an authority, with two lines on where to put it. */
export async function makeTrust(flags: TrustFlags, terminal: Terminal): Promise<Result> {
  checkOutFolder(flags.out);
  const next = 'Name PEM files of the root and of the issuing authority.';
  const given =
    flags.ca === undefined
      ? await orNamed(brokerAuthorities(terminal))
      : flags.ca.flatMap((file) => readGivenFile(file, next, parseAuthorities));
  const authorities = rootsFirst(given);
  const files = makeTrustPack(flags.for, authorities, terminal.random);
  writeOutFolder(flags.out, files, terminal.random);
  const { title, file, where, names } = clientAdvice[flags.for];
  return {
    value: {
      folder: flags.out,
      client: flags.for,
      take: file,
      where,
      names,
      files: files.map(({ path }) => path),
    },
    lines: [
      { text: `Wrote ${flags.out}: ${files.length} files.`, tone: 'good' },
      ...fieldLines(terminal.stdout, [
        ['for', title],
        ['take', file],
        ['where', where],
        ['names', names],
      ]),
    ],
    notes: [
      `next: compare the fingerprints in ${flags.out}/README.txt with those that you got on another way.`,
    ],
  };
}

/** Without a broker there is another way. */
async function orNamed(
  authorities: Promise<readonly X509Certificate[]>,
): Promise<readonly X509Certificate[]> {
  try {
    return await authorities;
  } catch (error) {
    if (!isCodedError(error, 'client.no_broker')) throw error;
    throw new CodedError('client.no_broker', error.message, {
      next: 'Name the files of the authorities (--ca FILE), or say which broker has them: SALLYPORT_URL, and SALLYPORT_CA_FILE for a private authority.',
    });
  }
}

/** Each once. */
function rootsFirst(given: readonly X509Certificate[]): readonly X509Certificate[] {
  const once = [...new Map(given.map((one) => [one.fingerprint256, one])).values()];
  const isRoot = (one: X509Certificate): boolean => one.checkIssued(one);
  return [...once.filter(isRoot), ...once.filter((one) => !isRoot(one))];
}
