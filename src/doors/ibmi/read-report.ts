import { CodedError, parseRfc3339 } from '../../kernel/index.ts';
import type { ServedCertificate } from './renewals.ts';

const maxChars = 67_108_864;
const maxHosts = 5000;
const maxPorts = 100;

/**
 * The certificates that a report of the probe (`sallyport probe --json`) found, one for each host and certificate.
 * @throws CodedError `ibmi.bad_report`
 */
export function parseProbeReport(text: string): readonly ServedCertificate[] {
  if (text.length > maxChars) throw badReport('it is too long');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw badReport('it is no JSON', error);
  }
  const hosts = list(field(document, 'hosts'), maxHosts, 'hosts');
  return hosts.flatMap((host) => {
    const name = words(field(host, 'host'));
    const found = new Map<string, ServedCertificate>();
    for (const port of list(field(host, 'ports'), maxPorts, 'ports')) {
      const tls = field(port, 'tls');
      if (tls === undefined) continue;
      const [leaf] = list(field(tls, 'chain'), maxPorts, 'chain');
      if (leaf === undefined) continue;
      const key = words(field(leaf, 'sha256'));
      const application = words(field(port, 'application'));
      const before = found.get(key);
      found.set(key, {
        host: name,
        applications: [...(before?.applications ?? []), application],
        subject: words(field(leaf, 'subject')),
        serial: words(field(leaf, 'serial')),
        notAfterMs: moment(field(leaf, 'notAfter')),
      });
    }
    return [...found.values()];
  });
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badReport(`there is no ${name}`);
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function list(value: unknown, most: number, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw badReport(`${what} is no list of at most ${most}`);
  return value;
}

function words(value: unknown): string {
  if (typeof value !== 'string' || value.length > 1024) throw badReport('a text is missing or too long');
  return value;
}

function moment(value: unknown): number {
  const timeMs = typeof value === 'string' ? parseRfc3339(value) : undefined;
  if (timeMs === undefined) throw badReport('a time is missing');
  return timeMs;
}

function badReport(why: string, cause?: unknown): CodedError {
  return new CodedError('ibmi.bad_report', `This is no report of the probe: ${why}.`, {
    next: 'Make one with `sallyport probe HOST --json > report.json`.',
    cause,
  });
}
