import type { Result } from '../command.ts';
import { withBroker } from '../command.ts';
import { fieldLines } from '../output.ts';
import { withProgress } from '../progress.ts';
import { fingerprint, parsePublicKey } from '../../../ssh/index.ts';
import { CodedError, printable } from '../../../kernel/index.ts';
import type { AuthorityAnswer, NamedKey } from '../../client/index.ts';
import type { Terminal } from '../terminal.ts';

export interface CaShowOptions {
  /** Print this one line and nothing else, for a file. */
  readonly only?: 'user-ca' | 'host-ca' | 'known-hosts' | 'list-key' | 'log-key';
}

/** Shows the public keys of the broker: what goes into TrustedUserCAKeys, and what signs lists and log. */
export async function showCa(options: CaShowOptions, terminal: Terminal): Promise<Result> {
  const authority = await withBroker(terminal, ({ client }) =>
    withProgress(terminal, 'Asking the broker', client.authority()),
  );
  const { sshUserCa, sshHostCa, listKey, log } = authority;
  checkFingerprint(sshUserCa);
  checkFingerprint(listKey);
  if (sshHostCa !== undefined) checkFingerprint(sshHostCa);
  if (options.only !== undefined) {
    const lineOf = {
      'user-ca': () => sshUserCa.publicKey,
      'host-ca': () => loadHostCa(authority).publicKey,
      'known-hosts': () => knownHostsLine(loadHostCa(authority)),
      'list-key': () => listKey.publicKey,
      'log-key': () => log.verifierKey,
    };
    const line = lineOf[options.only]();
    return { value: { [options.only]: line }, lines: [line] };
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
      ...(sshHostCa === undefined
        ? []
        : ([
            { text: 'SSH host CA (one line in known_hosts, for all enrolled hosts):', tone: 'strong' },
            ...fieldLines(terminal.stdout, [
              ['fingerprint', sshHostCa.fingerprint],
              ['signs with', sshHostCa.algorithm],
            ]),
            `  ${knownHostsLine(sshHostCa)}`,
          ] as const)),
      { text: 'Key that signs revocation lists and trust bundles:', tone: 'strong' },
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
            'note: `sallyport ca show --only user-ca` (host-ca, known-hosts, list-key, log-key) prints the bare line for a file.',
          ],
        }
      : {}),
  };
}

/** For `known_hosts`: whoever wants it for some hosts only writes a pattern instead of the star. */
function knownHostsLine({ publicKey }: NamedKey): string {
  return `@cert-authority * ${publicKey}`;
}

/** @throws CodedError `client.bad_answer` */
function loadHostCa({ sshHostCa }: AuthorityAnswer): NamedKey {
  if (sshHostCa !== undefined) return sshHostCa;
  throw new CodedError('client.bad_answer', 'This broker has no host CA.', {
    next: 'It is from before there were host certificates: ask its operator.',
  });
}

/** A fingerprint beside a key is only worth something when it is that key's. */
function checkFingerprint(key: NamedKey): void {
  if (fingerprint(parsePublicKey(key.publicKey).blob) === key.fingerprint) return;
  throw new CodedError('client.bad_answer', 'The broker names a fingerprint that is not that of its key.', {
    next: 'Do not use this broker until its operator has looked at it.',
  });
}
