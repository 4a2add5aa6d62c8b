/*
 * Strict readers of the lines that sinks send. They share nothing with the writers: each follows its specification, and throws at
 * whatever that does not allow.
 */

export interface SyslogMessage {
  readonly facility: number;
  readonly severity: number;
  readonly timestamp: string;
  readonly hostname: string;
  readonly appName: string;
  readonly procId: string;
  readonly msgId: string;
  readonly data: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly hasBom: boolean;
  readonly msg: string;
}

/** RFC 5424 section 6. @throws Error */
export function readSyslog(line: string): SyslogMessage {
  refuseLineBreaks(line);
  const head = /^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) /.exec(line);
  if (head === null) throw new Error(`no header: ${line.slice(0, 100)}`);
  const [all, priority = '', timestamp = '', hostname = '', appName = '', procId = '', msgId = ''] = head;
  if (Number(priority) > 191 || String(Number(priority)) !== priority) throw new Error('no priority');
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/.test(timestamp)) throw new Error('no time');
  const { data, end } = readStructuredData(line, all.length);
  if (end < line.length && line[end] !== ' ') throw new Error('no space before the message');
  const msg = line.slice(end + 1);
  return {
    facility: Math.floor(Number(priority) / 8),
    severity: Number(priority) % 8,
    timestamp,
    hostname,
    appName,
    procId,
    msgId,
    data,
    hasBom: msg.startsWith('\uFEFF'),
    msg: msg.replace(/^\uFEFF/, ''),
  };
}

const sdName = /^[!#-<>-\\^-~]{1,32}$/;

function readStructuredData(line: string, from: number): { data: SyslogMessage['data']; end: number } {
  const data = new Map<string, ReadonlyMap<string, string>>();
  if (line[from] === '-') return { data, end: from + 1 };
  let at = from;
  while (line[at] === '[') {
    const idEnd = /[ \]]/.exec(line.slice(at));
    const id = line.slice(at + 1, at + (idEnd?.index ?? 0));
    if (!sdName.test(id) || data.has(id)) throw new Error(`no element: ${id}`);
    at += 1 + id.length;
    const params = new Map<string, string>();
    while (line[at] === ' ') {
      const [start = '', name = ''] = /^ ([!#-<>-\\^-~]{1,32})="/.exec(line.slice(at)) ?? [];
      if (start === '') throw new Error(`no parameter at ${at}`);
      at += start.length;
      let value = '';
      for (; line[at] !== '"'; at += 1) {
        if (line[at] === undefined || line[at] === ']') throw new Error('an unescaped character');
        if (line[at] === '\\') {
          at += 1;
          if (!/^["\\\]]$/.test(line[at] ?? '')) throw new Error('an escape that is none');
        }
        value += line[at];
      }
      at += 1;
      params.set(name, value);
    }
    if (line[at] !== ']') throw new Error('an element that does not end');
    at += 1;
    data.set(id, params);
  }
  if (data.size === 0) throw new Error('neither structured data nor its absence');
  return { data, end: at };
}

export interface CefEvent {
  /** Vendor, product, version, signature id, name, severity. */
  readonly header: readonly string[];
  readonly extension: ReadonlyMap<string, string>;
}

/** Common Event Format, version 0. @throws Error */
export function readCef(line: string): CefEvent {
  refuseLineBreaks(line);
  if (!line.startsWith('CEF:0|')) throw new Error('no prefix');
  const header: string[] = [];
  let field = '';
  let at = 6;
  for (; header.length < 6; at += 1) {
    const char = line[at];
    if (char === undefined) throw new Error('a header that does not end');
    if (char === '\\') {
      at += 1;
      if (line[at] !== '\\' && line[at] !== '|') throw new Error('an escape that is none');
    }
    if (char === '|') {
      header.push(field);
      field = '';
    } else field += line[at];
  }
  return { header, extension: readExtension(line.slice(at)) };
}

function readExtension(text: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  // A value goes on up to the space before the next key: an equals sign that is not escaped ends a key.
  const starts = [...text.matchAll(/(?:^| )([A-Za-z0-9]+)=/g)].filter(({ index }) => !isEscaped(text, index));
  if (starts[0]?.index !== 0) throw new Error('it does not begin with a key');
  for (const [nth, { 0: start, 1: key = '', index }] of starts.entries()) {
    const raw = text.slice(index + start.length, starts[nth + 1]?.index ?? text.length);
    if (pairs.has(key)) throw new Error(`${key} twice`);
    let value = '';
    for (let at = 0; at < raw.length; at += 1) {
      if (raw[at] === '=') throw new Error('an equals sign that is not escaped');
      if (raw[at] !== '\\') {
        value += raw[at];
        continue;
      }
      at += 1;
      const meant = { '\\': '\\', '=': '=', n: '\n', r: '\r' }[raw[at] ?? ''];
      if (meant === undefined) throw new Error('an escape that is none');
      value += meant;
    }
    pairs.set(key, value);
  }
  return pairs;
}

function isEscaped(text: string, index: number): boolean {
  let backslashes = 0;
  while (text[index - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

function refuseLineBreaks(line: string): void {
  if (/[\p{Cc}\u2028\u2029]/u.test(line)) throw new Error('a control character');
  if (!line.isWellFormed()) throw new Error('half a character');
}

/** Octet counting of RFC 5425 section 4.3. @throws Error */
export function readFrames(bytes: Buffer): string[] {
  const frames: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const [head = '', length = ''] = /^([1-9]\d{0,9}) /.exec(bytes.toString('latin1', at, at + 11)) ?? [];
    const end = at + head.length + Number(length);
    if (head === '' || end > bytes.length) throw new Error(`no frame at ${at}`);
    frames.push(bytes.toString('utf8', at + head.length, end));
    at = end;
  }
  return frames;
}
