import { createHash } from 'node:crypto';
import { sha256 } from '../kernel/index.ts';
import type { SshBlob } from '../kernel/index.ts';
import type { KrlSubject, KrlVerdict, ParsedKrl } from './krl.ts';
import { containsSerial } from './krl-serials.ts';

/**
 * The question that sshd asks of a list: the subject key, then the CA key as a key, then key id and serial under that CA and
 * under every CA.
 * @param krl with one entry per CA and serials in normal form
 * @see OpenSSH krl.c ssh_krl_check_key
 */
export function krlQuery(krl: Omit<ParsedKrl, 'isRevoked'>): (subject: KrlSubject) => KrlVerdict {
  const authorities = new Map(
    krl.certificates.map((entry) => [
      nameOf(entry.caKey),
      { serials: entry.serials, keyIds: new Set(entry.keyIds) },
    ]),
  );
  const keys = new Set(krl.keys.map(textOf));
  const hashes256 = new Set(krl.sha256.map(textOf));
  const hashes1 = new Set(krl.sha1.map(textOf));

  const keyRevokedBy = (key: SshBlob): 'key' | 'sha256' | 'sha1' | undefined => {
    if (keys.has(textOf(key))) return 'key';
    if (hashes256.size > 0 && hashes256.has(textOf(sha256(key)))) return 'sha256';
    if (hashes1.size > 0 && hashes1.has(textOf(createHash('sha1').update(key).digest()))) return 'sha1';
    return undefined;
  };
  const certificateRevokedBy = (
    name: string,
    { serial, keyId }: KrlSubject,
  ): 'key_id' | 'serial' | undefined => {
    const authority = authorities.get(name);
    if (authority === undefined) return undefined;
    if (keyId !== undefined && authority.keyIds.has(keyId)) return 'key_id';
    // Serial 0 is in no run: OpenSSH takes it for "has none".
    return serial !== undefined && containsSerial(authority.serials, serial) ? 'serial' : undefined;
  };

  return (subject) => {
    const { key, caKey } = subject;
    const by =
      keyRevokedBy(key) ??
      (caKey !== undefined && keyRevokedBy(caKey) !== undefined ? 'ca' : undefined) ??
      (caKey === undefined ? undefined : certificateRevokedBy(nameOf(caKey), subject)) ??
      certificateRevokedBy(nameOf(undefined), subject);
    return by === undefined ? { revoked: false } : { revoked: true, by };
  };
}

function nameOf(caKey: SshBlob | undefined): string {
  return caKey === undefined ? '' : textOf(caKey);
}

/** One character for each byte: a Buffer itself would be looked up by identity. */
function textOf(bytes: Buffer): string {
  return bytes.toString('latin1');
}
