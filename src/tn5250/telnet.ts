import { CodedError } from '../kernel/index.ts';

/** Options that a 5250 session negotiates (RFC 856, 1091, 885, 1572) and the one that other telnet servers add (RFC 858). */
export const telnetOptions = {
  binary: 0,
  suppressGoAhead: 3,
  terminalType: 24,
  endOfRecord: 25,
  newEnvironment: 39,
} as const;

/** One thing that stands in a telnet stream. Bytes are copies, with doubled IAC read as one. */
export type TelnetItem =
  | { readonly kind: 'negotiate'; readonly verb: 'will' | 'wont' | 'do' | 'dont'; readonly option: number }
  | { readonly kind: 'subnegotiation'; readonly option: number; readonly bytes: Buffer }
  | { readonly kind: 'command'; readonly code: number }
  | { readonly kind: 'text'; readonly bytes: Buffer };

const iac = 255;
const subBegin = 250;
const subEnd = 240;
/** Lowest of the command codes in use: EOF of RFC 1184. Below it stands nothing that follows an IAC. */
const lowestCommand = 236;
const verbs = ['will', 'wont', 'do', 'dont'] as const;

/** More than any server says before it is answered; the probe hands over no more than it read. */
const maxBytes = 16_384;
const maxItems = 512;

/**
 * Reads what a telnet server said so far.
 * @returns the items in order, and how many bytes at the end belong to one that is not complete yet.
 * @throws CodedError `tn5250.malformed` where an IAC is followed by what is no command, `tn5250.too_long` for over 16,384 bytes or
 * 512 items.
 * @see RFC 854, RFC 855
 */
export function parseTelnet(bytes: Uint8Array): {
  readonly items: readonly TelnetItem[];
  readonly restBytes: number;
} {
  if (bytes.length > maxBytes) throw tooLong();
  const items: TelnetItem[] = [];
  for (let at = 0; at < bytes.length;) {
    const read = bytes[at] === iac && bytes[at + 1] !== iac ? readCommand(bytes, at) : readText(bytes, at);
    if (read === undefined) return { items, restBytes: bytes.length - at };
    if (items.length === maxItems) throw tooLong();
    items.push(read.item);
    at = read.end;
  }
  return { items, restBytes: 0 };
}

interface ReadItem {
  readonly item: TelnetItem;
  /** Of the first byte behind it. */
  readonly end: number;
}

/** @returns undefined when it is not complete. */
function readCommand(bytes: Uint8Array, at: number): ReadItem | undefined {
  const [code, option] = [bytes[at + 1], bytes[at + 2]];
  if (code === undefined) return undefined;
  if (code < lowestCommand) throw malformed('is followed by what is no command');
  if (code < subBegin) return { item: { kind: 'command', code }, end: at + 2 };
  if (option === undefined) return undefined;
  const verb = verbs[code - 251];
  if (verb !== undefined) return { item: { kind: 'negotiate', verb, option }, end: at + 3 };
  return readSubnegotiation(bytes, at + 3, option);
}

function readSubnegotiation(bytes: Uint8Array, from: number, option: number): ReadItem | undefined {
  const content: number[] = [];
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte !== iac) {
      content.push(byte);
      continue;
    }
    const next = bytes[at + 1];
    if (next === undefined) return undefined;
    if (next === subEnd)
      return { item: { kind: 'subnegotiation', option, bytes: Buffer.from(content) }, end: at + 2 };
    if (next !== iac) throw malformed('inside a subnegotiation begins another command');
    content.push(iac);
    at += 1;
  }
  return undefined;
}

/** Text up to the next command. A lone IAC at the end is not complete. */
function readText(bytes: Uint8Array, from: number): ReadItem | undefined {
  const content: number[] = [];
  let at = from;
  while (at < bytes.length) {
    if (bytes[at] === iac) {
      if (bytes[at + 1] !== iac) break;
      at += 1;
    }
    content.push(bytes[at] ?? 0);
    at += 1;
  }
  return content.length === 0 ? undefined : { item: { kind: 'text', bytes: Buffer.from(content) }, end: at };
}

/**
 * What the first bytes of a server show: `tn5250` when it opens with the negotiation of a 5250 host, `telnet` for another telnet
 * server, `other` for anything else, `unclear` while too little came to say.
 */
export type TelnetVerdict = 'tn5250' | 'telnet' | 'other' | 'unclear';

/**
 * Judges a server by its first bytes. Never throws: what cannot be telnet is `other`. A 5250 host asks for NEW-ENVIRON and
 * TERMINAL-TYPE and for nothing that only line-mode servers want; RFC 1205 alone demands TERMINAL-TYPE, END-OF-RECORD and BINARY.
 * What a real IBM i sends was read in recordings of others, not on one.
 * @see RFC 1205, RFC 4777 section 2
 */
export function recogniseTelnet(bytes: Uint8Array): TelnetVerdict {
  if (bytes.length === 0) return 'unclear';
  if (bytes[0] !== iac) return 'other';
  let items: readonly TelnetItem[];
  try {
    ({ items } = parseTelnet(bytes.subarray(0, maxBytes)));
  } catch {
    // Not telnet after all; which rule it broke does not matter here.
    return 'other';
  }
  const asked = items.flatMap((item) => (item.kind === 'negotiate' ? [item] : []));
  if (asked.length === 0) return items.length === 0 ? 'unclear' : 'other';
  const hostOptions = new Set<number>(Object.values(telnetOptions));
  const only5250 = asked.every(
    ({ option }) => hostOptions.has(option) && option !== telnetOptions.suppressGoAhead,
  );
  const asksTerminal = asked.some(
    ({ verb, option }) => verb === 'do' && option === telnetOptions.terminalType,
  );
  return only5250 && asksTerminal ? 'tn5250' : 'telnet';
}

function malformed(what: string): CodedError {
  return new CodedError('tn5250.malformed', `This is no telnet: an IAC ${what}.`, {
    next: 'Check which program answers on that port.',
  });
}

function tooLong(): CodedError {
  return new CodedError('tn5250.too_long', 'A telnet server says more than it may before it is answered.', {
    next: 'Check which program answers on that port.',
  });
}
