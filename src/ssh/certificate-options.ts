import { SshReader, SshWriter } from './wire.ts';

/** Critical options that OpenSSH knows, for user certificates only; any other makes sshd refuse the certificate. */
export const knownCriticalOptions: ReadonlySet<string> = new Set([
  'force-command',
  'source-address',
  'verify-required',
]);

/** Known options whose presence is all they say: their data is the empty string. */
const flags: ReadonlySet<string> = new Set([
  'verify-required',
  'no-touch-required',
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
]);

/** Known options that always carry a value, even an empty one. */
const values: ReadonlySet<string> = new Set(['force-command', 'source-address']);

/** OpenSSH reads an options section of any length that fits a packet; ours stay far below. */
export const maxOptionsBytes = 64 * 1024;

/** True for a name that may stand in an options section: visible ASCII, so that sorting by code unit is sorting by byte. */
export function isOptionName(name: string): boolean {
  return /^[!-~]{1,128}$/.test(name);
}

/** True when the value has the form that OpenSSH wants of an option of this name: flags are empty. */
export function isOptionValue(name: string, value: string): boolean {
  return !value.includes('\0') && (value === '' || !flags.has(name));
}

/**
 * Writes the content of an options section, ascending by bytes (capital X before lower case): a value is a string inside the data
 * string, a flag has empty data.
 */
function writeOptions(writer: SshWriter, options: ReadonlyMap<string, string>): void {
  for (const name of [...options.keys()].sort()) {
    const value = options.get(name) ?? '';
    writer.string(name);
    const data = writer.beginString();
    if (value !== '' || values.has(name)) writer.string(value);
    writer.endString(data);
  }
}

/**
 * Writes options sections and remembers the last one: certificates of one profile repeat it, and sorting, checking and writing
 * it anew costs more than the rest of the certificate. It is recognised by content, so that a changed map is never missed.
 * @param check throws for options that may not be written
 */
export function createOptionsWriter(
  check: (options: ReadonlyMap<string, string>) => void,
): (writer: SshWriter, options: ReadonlyMap<string, string>) => void {
  let last: readonly (readonly [string, string])[] = [];
  let section: Buffer = Buffer.alloc(0);
  const isLast = (options: ReadonlyMap<string, string>): boolean => {
    if (options.size !== last.length) return false;
    let index = 0;
    for (const [name, value] of options) {
      const entry = last[index];
      if (entry === undefined || entry[0] !== name || entry[1] !== value) return false;
      index += 1;
    }
    return true;
  };
  return (writer, options) => {
    if (!isLast(options)) {
      check(options);
      const fresh = new SshWriter();
      writeOptions(fresh, options);
      section = fresh.copy();
      last = [...options];
    }
    writer.string(section);
  };
}

/**
 * Reads an options section: ascending by bytes, no name twice, known flags empty, everything else empty or one whole string.
 * @throws CodedError `ssh.malformed`
 */
export function parseOptions(section: Buffer, what: string): ReadonlyMap<string, string> {
  const reader = new SshReader(section, what);
  const options = new Map<string, string>();
  let previous = '';
  while (reader.remaining > 0) {
    const name = reader.string(128).toString('latin1');
    if (!isOptionName(name)) throw reader.malformed('has an option whose name is not plain ASCII');
    if (name <= previous) throw reader.malformed('has options twice or out of order');
    previous = name;
    options.set(name, parseOptionData(reader, name));
  }
  return options;
}

function parseOptionData(reader: SshReader, name: string): string {
  const data = reader.nested(`certificate option ${name}`, maxOptionsBytes);
  if (data.remaining === 0 && !values.has(name)) return '';
  if (flags.has(name)) throw data.malformed('has data, where presence is all it says');
  const value = data.text(maxOptionsBytes);
  data.end();
  return value;
}
