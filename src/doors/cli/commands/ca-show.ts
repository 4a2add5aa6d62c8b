import type { Result } from '../command.ts';
import { withBroker } from '../command.ts';
import { fieldLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import { fingerprint, parsePublicKey } from '../../../ssh/index.ts';
import { CodedError, printable } from '../../../kernel/index.ts';
import type { NamedKey } from '../../client/index.ts';
import type { Terminal } from '../terminal.ts';

export interface CaShowOptions {
  /** Print this one line and nothing else, for a file. */
  readonly only?: 'user-ca' | 'list-key' | 'log-key';
}

/** Shows the public keys of the broker: what goes into TrustedUserCAKeys, and what signs lists and log. */
export async function showCa(options: CaShowOptions, terminal: Terminal): Promise<Result> {
  const authority = await withBroker(terminal, ({ client }) =>
    withProgress(terminal, 'Asking the broker', client.authority()),
  );
  const { sshUserCa, listKey, log } = authority;
  checkFingerprint(sshUserCa);
  checkFingerprint(listKey);
  if (options.only !== undefined) {
    const line = {
      'user-ca': sshUserCa.publicKey,
      'list-key': listKey.publicKey,
      'log-key': log.verifierKey,
    };
    return { value: { [options.only]: line[options.only] }, lines: [line[options.only]] };
  }
  return {
    value: authority,
    lines: [
      { text: 'SSH user CA (for TrustedUserCAKeys of sshd):', tone: 'strong' },
      ...fieldLines(terminal.stdout, [
        ['fingerprint', sshUserCa.fingerprint],
        ['signs with', sshUserCa.algorithm],
      ]),
      `  ${sshUserCa.publicKey}`,
      { text: 'Key that signs revocation lists:', tone: 'strong' },
      ...fieldLines(terminal.stdout, [['fingerprint', listKey.fingerprint]]),
      `  ${listKey.publicKey}`,
      { text: 'Key that signs the log (for `audit verify --key`):', tone: 'strong' },
      `  ${log.verifierKey}`,
      { text: 'Witnesses of the log:', tone: 'strong' },
      log.quorum === undefined
        ? '  no witness: rollback by the operator is not excluded'
        : `  quorum ${printable(log.quorum, 100)} of the broker’s policy`,
    ],
    ...(terminal.stdout.isTTY === true
      ? {
          notes: [
            '',
            'note: `sallyport ca show --only user-ca` (list-key, log-key) prints the bare line for a file.',
          ],
        }
      : {}),
  };
}

/** A fingerprint beside a key is only worth something when it is that key's. */
function checkFingerprint(key: NamedKey): void {
  if (fingerprint(parsePublicKey(key.publicKey).blob) === key.fingerprint) return;
  throw new CodedError('client.bad_answer', 'The broker names a fingerprint that is not that of its key.', {
    next: 'Do not use this broker until its operator has looked at it.',
  });
}
