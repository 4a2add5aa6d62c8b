import { CodedError, parseAddress, printable } from '../kernel/index.ts';
import {
  der,
  explicit,
  generalString,
  integerOf,
  objectIdentifier,
  sequence,
  set,
  utf8String,
} from './der.ts';
import { malformed, readAll, readOid, readOne, type Tlv } from './der-reader.ts';
import { oid } from './oids.ts';

/** What a certificate can be good for, as its SAN says it. */
export type GeneralName =
  | { readonly kind: 'dns'; readonly value: string }
  /** IPv4 or IPv6 text. */
  | { readonly kind: 'ip'; readonly value: string }
  | { readonly kind: 'upn'; readonly value: string }
  /** Kerberos principal `name@REALM` (RFC 4556). */
  | { readonly kind: 'kerberos'; readonly value: string }
  | { readonly kind: 'email'; readonly value: string }
  | { readonly kind: 'uri'; readonly value: string }
  /** What this house never writes: its tag, for the refusal. */
  | { readonly kind: 'other'; readonly value: string };

const dnsName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/**
 * A name that clients dial: a DNS name in lower case, or an address in its one spelling; no port, no wildcard.
 * @throws CodedError `x509.bad_name`
 */
export function parseServerName(text: string): Extract<GeneralName, { readonly kind: 'dns' | 'ip' }> {
  const address = parseAddress(text);
  if (address !== undefined) return { kind: 'ip', value: text.toLowerCase() };
  // What ends in a number is an address that was mistyped, not a name (RFC 3696 section 2).
  if (/(^|\.)\d+$/.test(text) || !dnsName.test(text)) throw badName(text);
  return { kind: 'dns', value: text.toLowerCase() };
}

function badName(name: string): CodedError {
  return new CodedError(
    'x509.bad_name',
    `“${printable(name, 80)}” is neither a DNS name nor an IP address.`,
    { next: 'Give names such as broker.example.com, or addresses, without port and without wildcard.' },
  );
}

/**
 * A Name with a common name and, where it is given, an organisation in front; empty without either.
 * @throws CodedError `x509.bad_name` beyond 64 characters (RFC 5280 appendix A.1, ub-common-name)
 */
export function encodeName(name: { readonly commonName?: string; readonly organization?: string }): Buffer {
  const { commonName, organization } = name;
  return sequence(
    ...(organization === undefined ? [] : [attribute(oid.organizationName, organization)]),
    ...(commonName === undefined ? [] : [attribute(oid.commonName, commonName)]),
  );
}

function attribute(type: string, value: string): Buffer {
  if (value === '' || value.length > 64) {
    throw new CodedError('x509.bad_name', 'A common name has 1 to 64 characters.', {
      next: 'Choose a shorter name.',
    });
  }
  return set(sequence(objectIdentifier(type), utf8String(value)));
}

/** The value of the last common name of a Name; undefined when it has none. @throws CodedError `x509.malformed` */
export function readCommonName(name: Buffer): string | undefined {
  return readAttribute(name, oid.commonName);
}

/** The same of its organisation. @throws CodedError `x509.malformed` */
export function readOrganization(name: Buffer): string | undefined {
  return readAttribute(name, oid.organizationName);
}

function readAttribute(name: Buffer, wanted: string): string | undefined {
  let found: string | undefined;
  for (const relative of readAll(readOne(name, 0x30).content, 64))
    for (const pair of readAll(relative.content, 16)) {
      const [type, value] = readAll(pair.content, 2);
      if (type === undefined || value === undefined || relative.tag !== 0x31)
        throw malformed('a name is none');
      if (readOid(type) === wanted) found = readText(value);
    }
  return found;
}

/** A directory string or IA5String. @throws CodedError `x509.malformed` */
export function readText({ tag, content }: Tlv): string {
  if (content.length > 4096) throw malformed('a text is far too long');
  if (tag === 0x0c) {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(content);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw malformed('a text is not UTF-8');
    }
  }
  if (tag === 0x13 || tag === 0x16 || tag === 0x1b) {
    if (content.some((octet) => octet > 0x7e)) throw malformed('a text is not ASCII');
    return content.toString('latin1');
  }
  if (tag === 0x14) return content.toString('latin1');
  if (tag === 0x1e && content.length % 2 === 0) return Buffer.from(content).swap16().toString('utf16le');
  throw malformed('a text has a strange type');
}

/** One GeneralName (RFC 5280 section 4.2.1.6). @throws CodedError `x509.bad_name` */
export function encodeGeneralName(name: GeneralName): Buffer {
  switch (name.kind) {
    case 'dns':
      return der(0x82, Buffer.from(name.value, 'latin1'));
    case 'ip':
      return der(0x87, addressOctets(name.value));
    case 'email':
      return der(0x81, Buffer.from(name.value, 'latin1'));
    case 'uri':
      return der(0x86, Buffer.from(name.value, 'latin1'));
    case 'upn':
      return otherName(oid.upn, utf8String(name.value));
    case 'kerberos':
      return otherName(oid.pkinitSan, kerberosName(name.value));
    case 'other':
      throw badName(name.value);
  }
}

export function otherName(type: string, value: Buffer): Buffer {
  return der(0xa0, objectIdentifier(type), explicit(0, value));
}

/** Four octets, or sixteen. @throws CodedError `x509.bad_name` */
export function addressOctets(text: string): Buffer {
  const address = parseAddress(text);
  if (address === undefined) throw badName(text);
  return Buffer.from(address.value.toString(16).padStart(address.bits / 4, '0'), 'hex');
}

/** KRB5PrincipalName, type NT-PRINCIPAL (RFC 4556 section 3.2.2). */
function kerberosName(principal: string): Buffer {
  const at = principal.lastIndexOf('@');
  const parts = principal.slice(0, at).split('/');
  return sequence(
    explicit(0, generalString(principal.slice(at + 1))),
    explicit(1, sequence(explicit(0, integerOf(1)), explicit(1, sequence(...parts.map(generalString))))),
  );
}

/** GeneralNames of a SAN, at most `most`. @throws CodedError `x509.malformed`, `x509.too_many_names` */
export function readGeneralNames(bytes: Buffer, most: number): readonly GeneralName[] {
  const items = readAll(readOne(bytes, 0x30).content);
  if (items.length > most) {
    throw new CodedError('x509.too_many_names', `It asks for ${items.length} names.`, {
      next: `A certificate has at most ${most}.`,
    });
  }
  return items.map(readGeneralName);
}

function readGeneralName(tlv: Tlv): GeneralName {
  const { tag, content } = tlv;
  const ascii = (): string => readText({ ...tlv, tag: 0x16 });
  switch (tag) {
    case 0x81:
      return { kind: 'email', value: ascii() };
    case 0x82:
      return { kind: 'dns', value: ascii() };
    case 0x86:
      return { kind: 'uri', value: ascii() };
    case 0x87:
      return { kind: 'ip', value: addressText(content) };
    case 0xa0: {
      const [type, wrapped] = readAll(content, 2);
      if (type === undefined || wrapped?.tag !== 0xa0) throw malformed('another name is none');
      const value = readOne(wrapped.content);
      const name = readOid(type);
      if (name === oid.upn) return { kind: 'upn', value: readText(value) };
      if (name === oid.pkinitSan) return { kind: 'kerberos', value: readKerberosName(value) };
      return { kind: 'other', value: name };
    }
    default:
      return { kind: 'other', value: `tag ${tag}` };
  }
}

function readKerberosName({ tag, content }: Tlv): string {
  const [realm, name] = readAll(content, 2);
  if (tag !== 0x30 || realm === undefined || name === undefined) throw malformed('a principal is none');
  const strings = readAll(readOne(name.content, 0x30).content, 2)[1];
  if (strings === undefined) throw malformed('a principal is none');
  const parts = readAll(readOne(strings.content, 0x30).content, 16).map(readText);
  return `${parts.join('/')}@${readText(readOne(realm.content))}`;
}

function addressText(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) throw malformed('an address has a strange length');
  return Array.from({ length: 8 }, (_, nth) => octets.readUInt16BE(nth * 2).toString(16)).join(':');
}

/** True when both say the same name; addresses are compared by what they mean. */
export function sameName(a: GeneralName, b: GeneralName): boolean {
  if (a.kind !== b.kind) return false;
  return a.kind === 'ip' ? addressOctets(a.value).equals(addressOctets(b.value)) : a.value === b.value;
}
