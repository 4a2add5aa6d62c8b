import { BerWriter, Control } from 'ldapts';
import { readElements, readNumber } from './ber.ts';
import type { BerElement } from './ber.ts';

/** RFC 4533 sections 2.2, 2.3 and 2.5. */
const syncRequest = '1.3.6.1.4.1.4203.1.9.1.1';
const syncState = '1.3.6.1.4.1.4203.1.9.1.2';
const syncInfo = '1.3.6.1.4.1.4203.1.9.1.4';
const refreshAndPersist = 3;
const maxCookieBytes = 4096;

export type SyncMessage =
  | { readonly kind: 'bind' | 'done'; readonly id: number; readonly resultCode: number }
  | {
      readonly kind: 'entry';
      readonly id: number;
      readonly state: SyncState;
      /** entryUUID in text form, lower case. */
      readonly uuid: string;
      readonly dn: string;
      /** Lower case; none where the entry is gone. */
      readonly objectClasses: readonly string[];
      readonly cookie: Buffer | undefined;
    }
  | {
      /** A stretch of the refresh has ended; `deletionsTold` says whether what was deleted was named. */
      readonly kind: 'refreshed';
      readonly id: number;
      readonly deletionsTold: boolean;
      readonly isDone: boolean;
      readonly cookie: Buffer | undefined;
    }
  | { readonly kind: 'cookie'; readonly id: number; readonly cookie: Buffer }
  | {
      readonly kind: 'ids';
      readonly id: number;
      readonly areDeleted: boolean;
      readonly uuids: readonly string[];
      readonly cookie: Buffer | undefined;
    }
  /** Means nothing here. */
  | { readonly kind: 'other'; readonly id: number };

export type SyncState = (typeof states)[number];
const states = ['present', 'add', 'modify', 'delete'] as const;

/** The control that asks for a refresh from the cookie on, and for everything after it. */
export class SyncRequestControl extends Control {
  readonly #cookie: Buffer | undefined;

  constructor(cookie: Buffer | undefined) {
    super(syncRequest, { critical: true });
    this.#cookie = cookie;
  }

  protected override writeControl(writer: BerWriter): void {
    const value = new BerWriter();
    value.startSequence();
    value.writeEnumeration(refreshAndPersist);
    if (this.#cookie !== undefined) value.writeBuffer(this.#cookie, 0x04);
    value.endSequence();
    writer.writeBuffer(value.buffer, 0x04);
  }
}

const bindResponse = 0x61;
const searchEntry = 0x64;
const searchDone = 0x65;
const searchReference = 0x73;
const intermediateResponse = 0x79;

/**
 * Reads one whole LDAPMessage of a synchronisation. @throws Error when it is none: nothing after it on the connection can be relied
 * on then. @see RFC 4511 section 4.1.1, RFC 4533 section 2
 */
export function parseSyncMessage(bytes: Buffer): SyncMessage {
  const [message, ...more] = readElements(bytes);
  if (message?.tag !== 0x30 || more.length > 0) throw new Error('it is no LDAP message');
  const [first, operation, controls] = readElements(message.value);
  const id = readNumber(expectTag(first, 0x02));
  if (operation === undefined) throw new Error('a message has no operation');
  const parts = readElements(operation.value);
  switch (operation.tag) {
    case bindResponse:
    case searchDone: {
      const resultCode = readNumber(expectTag(parts[0], 0x0a));
      return { kind: operation.tag === bindResponse ? 'bind' : 'done', id, resultCode };
    }
    case searchEntry:
      return parseEntry(id, parts, controls);
    case intermediateResponse:
      return parseInfo(id, parts);
    case searchReference:
      return { kind: 'other', id };
    default:
      throw new Error(`operation 0x${operation.tag.toString(16)} came where none belongs`);
  }
}

function parseEntry(
  id: number,
  [name, attributes]: readonly BerElement[],
  controls: BerElement | undefined,
): SyncMessage {
  const dn = expectTag(name, 0x04).value.toString('utf8');
  const objectClasses = readElements(expectTag(attributes, 0x30).value).flatMap((attribute) => {
    const [type, values] = readElements(expectTag(attribute, 0x30).value);
    if (expectTag(type, 0x04).value.toString('latin1').toLowerCase() !== 'objectclass') return [];
    return readElements(expectTag(values, 0x31).value).map(({ value }) =>
      value.toString('utf8').toLowerCase(),
    );
  });
  const value = controls === undefined ? undefined : findControl(expectTag(controls, 0xa0), syncState);
  // An entry without a state answers another search on this connection.
  if (value === undefined) return { kind: 'other', id };
  const [number, uuid, cookie] = readElements(onlySequence(value));
  const state = states[readNumber(expectTag(number, 0x0a))];
  if (state === undefined) throw new Error('an entry is in a state that is not known');
  return {
    kind: 'entry',
    id,
    state,
    uuid: uuidText(expectTag(uuid, 0x04).value),
    dn,
    objectClasses,
    cookie: cookie && boundedCookie(expectTag(cookie, 0x04).value),
  };
}

function findControl(controls: BerElement, oid: string): Buffer | undefined {
  for (const control of readElements(controls.value)) {
    const parts = readElements(expectTag(control, 0x30).value);
    if (expectTag(parts[0], 0x04).value.toString('latin1') !== oid) continue;
    return parts.find(({ tag }, at) => at > 0 && tag === 0x04)?.value;
  }
  return undefined;
}

/** SyncInfoValue: a CHOICE of context tags 0 to 3 in the value of an IntermediateResponse (RFC 4511 section 4.13). */
function parseInfo(id: number, parts: readonly BerElement[]): SyncMessage {
  const [name, value] = [0x80, 0x81].map((tag) => parts.find((part) => part.tag === tag)?.value);
  if (name?.toString('latin1') !== syncInfo || value === undefined) return { kind: 'other', id };
  const [choice, ...more] = readElements(value);
  if (choice === undefined || more.length > 0) throw new Error('a message about the refresh has no one kind');
  if (choice.tag === 0x80) return { kind: 'cookie', id, cookie: boundedCookie(choice.value) };
  const within = readElements(choice.value);
  const cookieOf = within.find(({ tag }) => tag === 0x04);
  const cookie = cookieOf && boundedCookie(cookieOf.value);
  const flag = within.find(({ tag }) => tag === 0x01)?.value;
  const isSet = (otherwise: boolean): boolean => (flag === undefined ? otherwise : flag[0] !== 0);
  if (choice.tag === 0xa1 || choice.tag === 0xa2)
    return { kind: 'refreshed', id, deletionsTold: choice.tag === 0xa1, isDone: isSet(true), cookie };
  if (choice.tag !== 0xa3) throw new Error('a message about the refresh is of no known kind');
  const uuids = readElements(expectTag(within.at(-1), 0x31).value).map((uuid) =>
    uuidText(expectTag(uuid, 0x04).value),
  );
  return { kind: 'ids', id, areDeleted: isSet(false), uuids, cookie };
}

function expectTag(element: BerElement | undefined, tag: number): BerElement {
  if (element?.tag === tag) return element;
  throw new Error(`a part with tag 0x${tag.toString(16)} is missing`);
}

function onlySequence(bytes: Buffer): Buffer {
  const [only, ...more] = readElements(bytes);
  if (more.length > 0) throw new Error('a value has more than one part');
  return expectTag(only, 0x30).value;
}

function boundedCookie(bytes: Buffer): Buffer {
  if (bytes.length === 0 || bytes.length > maxCookieBytes) throw new Error('a cookie is empty or too long');
  return Buffer.from(bytes);
}

function uuidText(bytes: Buffer): string {
  if (bytes.length !== 16) throw new Error('an entryUUID has not 16 bytes');
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
