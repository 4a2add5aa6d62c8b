import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { BrokerClient } from '../../client/index.ts';
import { checkWritable, errnoOf, fileFault, writeByRename } from '../../client/index.ts';
import { CodedError, krlNamespace } from '../../../kernel/index.ts';
import type { ParsedKrl, PublicKey } from '../../../ssh/index.ts';
import { fingerprint, parseKrl, parsePublicKey, verifySshsig } from '../../../ssh/index.ts';
import type { Result } from '../command.ts';
import { withBroker } from '../command.ts';
import { readGivenFile } from '../given-file.ts';
import { fieldLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import type { Terminal } from '../terminal.ts';

export interface KrlOptions {
  readonly out: string;
  /** File with the public key that must have signed; without it, the one that the broker names. */
  readonly listKey?: string;
}

/**
 * Fetches the revocation list and writes it in one rename, but only when it is whole: a list of zero bytes would let every
 * revoked certificate in, and one that does not parse would lock everybody out. The file there stays in every other case.
 */
export async function getKrl(options: KrlOptions, terminal: Terminal): Promise<Result> {
  const pinned = options.listKey === undefined ? undefined : readListKey(options.listKey);
  checkWritable(options.out);
  return withBroker(terminal, async ({ client }) => {
    const fetched = await withProgress(terminal, 'Fetching the list', fetchVerified(client, pinned));
    const { bytes, krl } = fetched;
    const held = heldVersion(options.out);
    if (held !== undefined && krl.version < held) {
      throw new CodedError(
        'cli.krl_rollback',
        `The list has version ${krl.version}, older than the ${held} in ${options.out}.`,
        {
          next: 'Nothing was written. Ask the operator; if the broker was restored from a backup, remove the file and run this again.',
        },
      );
    }
    writeByRename(options.out, bytes, terminal.random, 0o644);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const signer = fingerprint(fetched.signer.blob);
    return {
      value: {
        file: options.out,
        version: krl.version.toString(),
        sizeBytes: bytes.length,
        sha256,
        signedBy: signer,
        pinned: pinned !== undefined,
        previousVersion: held?.toString() ?? null,
      },
      lines: [
        { text: `Wrote ${options.out}.`, tone: 'good' },
        ...fieldLines(terminal.stdout, [
          ['version', `${krl.version}${held === krl.version ? ' (unchanged)' : ''}`],
          ['size', `${bytes.length} bytes`],
          ['signed by', `${signer}${pinned === undefined ? ' (as the broker names it)' : ' (pinned)'}`],
        ]),
      ],
    };
  });
}

function readListKey(path: string): PublicKey {
  const next = 'Get it once with `sallyport ca show --only list-key > FILE`.';
  return readGivenFile(path, next, parsePublicKey);
}

async function fetchVerified(
  client: BrokerClient,
  pinned: PublicKey | undefined,
): Promise<{ bytes: Buffer; krl: ParsedKrl; signer: PublicKey }> {
  const trusted = pinned ?? parsePublicKey((await client.authority()).listKey.publicKey);
  // Between the two requests a newer list may come out, whose signature fits no more: look twice before complaining.
  for (let attempt = 1; ; attempt += 1) {
    const bytes = await client.krl();
    const krl = parseKrl(bytes);
    const signature = await client.krlSignature();
    const verdict = verifySshsig(signature, bytes, { namespace: krlNamespace, trustedKeys: [trusted] });
    if (verdict.outcome === 'valid') return { bytes, krl, signer: verdict.publicKey };
    if (verdict.check !== 'signature' || attempt === 3) {
      throw new CodedError(
        'cli.krl_signature',
        `The list is not signed as it should be: ${verdict.message}`,
        {
          next: 'Nothing was written. Check that the key of --list-key is the one of this broker.',
        },
      );
    }
  }
}

/** The version of the list that is there; undefined when there is none or it is damaged and must be replaced anyway. */
function heldVersion(path: string): bigint | undefined {
  try {
    return parseKrl(readFileSync(path)).version;
  } catch (error) {
    if (error instanceof CodedError || errnoOf(error) === 'ENOENT') return undefined;
    throw fileFault('client.cannot_read', 'read', path, error);
  }
}
