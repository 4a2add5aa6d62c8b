import type { HostId, KeyId, PersonId, Principal, Serial } from './brand.ts';
import { CodedError } from './errors.ts';

const maxSerial = (1n << 64n) - 1n;

/**
 * Reads a serial as people write it: decimal (`42`), hex (`0x2a`) or colon-separated octets (`00:2a`, as X.509 tools print).
 * @throws CodedError `kernel.bad_serial` for anything else, zero (OpenSSH cannot revoke serial 0) and values over 2^64-1.
 */
export function parseSerial(text: string): Serial {
  const trimmed = text.trim().toLowerCase();
  let value: bigint | undefined;
  if (/^\d{1,20}$/.test(trimmed)) value = BigInt(trimmed);
  else if (/^0x[0-9a-f]{1,16}$/.test(trimmed)) value = BigInt(trimmed);
  else if (/^[0-9a-f]{2}(?::[0-9a-f]{2}){1,7}$/.test(trimmed))
    value = BigInt(`0x${trimmed.replaceAll(':', '')}`);
  if (value === undefined || value < 1n || value > maxSerial) {
    throw new CodedError('kernel.bad_serial', `“${printable(text, 40)}” is not a serial.`, {
      next: 'Write that of SSH as a decimal number, as 0x… or as colon-separated octets, between 1 and 2^64-1; that of TLS whole, with all of its 40 hex digits.',
    });
  }
  return value as Serial;
}

/**
 * An X.509 serial of this house, 20 octets, in any spelling that programs print: hex with or without colons or `0x`, or decimal.
 * @returns 40 hex digits in lower case; undefined for anything else
 */
export function findX509Serial(text: string): string | undefined {
  const trimmed = text.trim().toLowerCase();
  const hex = trimmed.replace(/^0x/, '').replaceAll(':', '');
  if (/^[0-9a-f]{40}$/.test(hex) && /^(?:0x)?(?:[0-9a-f]{40}|[0-9a-f]{2}(?::[0-9a-f]{2}){19})$/.test(trimmed))
    return hex;
  // Between 2^158 and 2^159: 48 digits.
  return /^\d{48}$/.test(trimmed) ? BigInt(trimmed).toString(16).padStart(40, '0') : undefined;
}

const principalGrammar = /^[A-Za-z0-9_$@.+\\-][A-Za-z0-9_$@.+\\-]{0,127}$/;

/**
 * Checks one principal: 1 to 128 of the letters, digits and `_ $ @ . + \ -`, not starting with `-`. No comma, space, control,
 * wildcard or `#` (OpenSSH splits, matches or comments on them: CVE-2026-35414, sshd(8) AuthorizedPrincipalsFile).
 * @throws CodedError `kernel.bad_principal`
 */
export function parsePrincipal(text: string): Principal {
  if (!principalGrammar.test(text) || text.startsWith('-')) {
    throw new CodedError('kernel.bad_principal', `“${printable(text, 40)}” cannot be a principal.`, {
      next: 'Use 1 to 128 ASCII letters, digits and _ $ @ . + \\ - only, not starting with a hyphen.',
    });
  }
  return text as Principal;
}

/** @throws CodedError `kernel.bad_key_id` unless the text is `[A-Za-z0-9._@-]{1,64}`. */
export function parseKeyId(text: string): KeyId {
  if (!/^[A-Za-z0-9._@-]{1,64}$/.test(text)) {
    throw new CodedError('kernel.bad_key_id', `“${printable(text, 40)}” is not a key id.`, {
      next: 'A key id has 1 to 64 of the characters A-Z a-z 0-9 . _ @ -.',
    });
  }
  return text as KeyId;
}

/** @throws CodedError `kernel.bad_person_id` unless the text is `directory:id`. */
export function parsePersonId(text: string): PersonId {
  if (!/^[a-z0-9][a-z0-9-]{0,31}:[A-Za-z0-9._-]{1,128}$/.test(text)) {
    throw new CodedError('kernel.bad_person_id', `“${printable(text, 60)}” is not a person id.`, {
      next: 'A person id is the name of a directory, a colon, and the immutable id, as `admin issued` prints it.',
    });
  }
  return text as PersonId;
}

/** @throws CodedError `kernel.bad_host_id` unless the text is `h-` and 26 characters of a-z and 2-7. */
export function parseHostId(text: string): HostId {
  if (!/^h-[a-z2-7]{26}$/.test(text)) {
    throw new CodedError('kernel.bad_host_id', `“${printable(text, 60)}” is not the id of a host.`, {
      next: 'Give the id as `sallyport host list` prints it: h- and 26 characters.',
    });
  }
  return text as HostId;
}

/**
 * Text that is safe to print on a terminal or in one log line: control, escape and bidirectional characters become `?`, and
 * what is longer than `maxChars` is cut with `…`.
 */
export function printable(text: string, maxChars = 200): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  // A pair of surrogates may have been cut in two.
  return clean.length > maxChars ? `${clean.slice(0, maxChars).toWellFormed()}…` : clean;
}
