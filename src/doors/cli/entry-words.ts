import type { LogEntry } from '../client/index.ts';

/** Names for the ids of people, as far as a list of entries says them. An entry often has only the id of whom it concerns. */
export function namesIn(entries: readonly LogEntry[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const item of entries)
    for (const part of ['actor', 'subject']) {
      const [uid, name] = [textAt(item, part, 'uid'), openedOf(item, `${part}.name`)];
      if (uid !== '' && name !== '') names.set(uid, name);
    }
  return names;
}

/** Who did it: by name where it is still held, else by id, else by kind. */
export function actorOf(item: LogEntry): string {
  return openedOf(item, 'actor.name') || textAt(item, 'actor', 'uid') || textAt(item, 'actor', 'kind');
}

/** A field of the entry itself as text; empty when it is none. */
export function fieldOf(item: LogEntry, name: string): string {
  return textOf(item.entry[name]);
}

/**
 * The most telling fields of an entry in a few words, whatever its type: also of one that only a newer broker knows. Fields are
 * those of docs/formats/log.md; they are as they came and must be cleaned before they are printed.
 */
export function wordsOf(item: LogEntry, names: ReadonlyMap<string, string>): string {
  const outcome = fieldOf(item, 'outcome');
  return [
    outcome === 'success' ? '' : [outcome, fieldOf(item, 'reason_code')].filter(Boolean).join(': '),
    ...certificateWords(item),
    ...targetWords(item),
    subjectWords(item, names),
    ...changeWords(item),
    ...publicationWords(item),
    sessionWords(item),
    ...systemWords(item),
    ...loginWords(item),
    labelled('from', fieldOf(item, 'type').startsWith('auth.') ? openedOf(item, 'src.ip') : ''),
    quoted(openedOf(item, 'reason')),
    labelled('NOT AS RECORDED, changed past the broker:', (item.altered ?? []).join(' ')),
  ]
    .filter((words) => words !== '')
    .join(', ');
}

function certificateWords(item: LogEntry): readonly string[] {
  const cred = (name: string): string => textAt(item, 'cred', name);
  return [
    labelled('serial', cred('serial')),
    cred('serial_first') === '' ? '' : `serials ${cred('serial_first')} to ${cred('serial_last')}`,
    labelled('as', listAt(item, 'cred', 'principals')),
    labelled('profile', cred('profile') || textAt(item, 'decision', 'profile')),
  ];
}

function targetWords(item: LogEntry): readonly string[] {
  const target = (name: string): string => textAt(item, 'target', name);
  const [from, to, hits] = [target('from'), target('to'), target('hits')];
  const own = within(item.entry['target'], 'own') === true ? 'own entries' : '';
  return [
    own ||
      [target('kind'), target('value'), target('name'), target('host_id'), textAt(item, 'host', 'state')]
        .filter((word) => word !== '')
        .join(' '),
    from === '' ? '' : `entries from ${from}${to === '' ? '' : ` to ${to}`}`,
    hits === '' ? '' : counted(hits, 'certificate'),
  ];
}

/** Whom it concerns, where nothing else of the row says so. */
function subjectWords(item: LogEntry, names: ReadonlyMap<string, string>): string {
  const uid = textAt(item, 'subject', 'uid');
  const name = openedOf(item, 'subject.name') || (names.get(uid) ?? uid);
  const said = [actorOf(item), listAt(item, 'cred', 'principals'), textAt(item, 'target', 'value')];
  return uid === textAt(item, 'actor', 'uid') || said.includes(name) ? '' : name;
}

function changeWords(item: LogEntry): readonly string[] {
  // A text only for the policy: the SHA-256 of the file that is in force now.
  const policy = textAt(item, 'change', 'after').slice(0, 12);
  // Of a person of the built-in directory: who comes to be an admin must be seen at a glance.
  const groups = listOf(within(within(item.entry['change'], 'after'), 'groups'));
  return [listAt(item, 'change', 'what'), labelled('in', groups), labelled('policy', policy)];
}

function publicationWords(item: LogEntry): readonly string[] {
  const size = textAt(item, 'artifact', 'size');
  const serials = textAt(item, 'list', 'serials') || textAt(item, 'crl', 'serials');
  return [
    labelled('version', textAt(item, 'artifact', 'version')),
    serials === '' ? '' : `${serials} revoked`,
    size === '' ? '' : `${size} bytes`,
  ];
}

function sessionWords(item: LogEntry): string {
  const ended = textAt(item, 'sessions', 'ended');
  return ended === '' ? '' : `${counted(ended, 'session')} ended`;
}

function systemWords(item: LogEntry): readonly string[] {
  return [
    labelled('version', textAt(item, 'system', 'version')),
    textAt(item, 'ca', 'algorithm'),
    textAt(item, 'ca', 'ssh_user_ca_fp'),
    textAt(item, 'authority', 'name'),
    labelled('serial', textAt(item, 'ocsp', 'serial')),
  ];
}

function loginWords(item: LogEntry): readonly string[] {
  const login = (name: string): string => textAt(item, 'login', name);
  return [
    labelled('as', login('account')),
    labelled('on', textAt(item, 'target', 'name')),
    login('verdict').replaceAll('_', ' '),
    textAt(item, 'response', 'action'),
    textAt(item, 'response', 'state'),
  ];
}

function labelled(label: string, text: string): string {
  return text === '' ? '' : `${label} ${text}`;
}

function counted(count: string, thing: string): string {
  return `${count} ${thing}${count === '1' ? '' : 's'}`;
}

function quoted(text: string): string {
  return text === '' ? '' : `“${text}”`;
}

/** The clear value of a committed field; empty when it is erased or not for this reader. */
export function openedOf(item: LogEntry, path: string): string {
  const opening = within(item.openings, path);
  return textOf(opening) || textOf(within(opening, 'value'));
}

/** A field of a part of the entry as text; empty when it is none. */
export function textAt(item: LogEntry, part: string, name: string): string {
  return textOf(within(item.entry[part], name));
}

/** The same of a list of texts, with a space between. */
export function listAt(item: LogEntry, part: string, name: string): string {
  return listOf(within(item.entry[part], name));
}

function listOf(value: unknown): string {
  return Array.isArray(value) ? value.map(textOf).join(' ') : '';
}

function within(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
