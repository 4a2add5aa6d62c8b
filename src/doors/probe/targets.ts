import { CodedError, parseAddress, printable } from '../../kernel/index.ts';
import { applications, portMapperPort } from '../../tn5250/index.ts';

/** A port that is to be looked at. */
export interface PortTarget {
  readonly port: number;
  readonly service: string;
  /** Word of the catalogue. */
  readonly application: string;
  readonly tls: boolean;
  /** Who speaks first: telnet servers do; of the others only the handshake is looked at. */
  readonly telnet: boolean;
}

/** What the port mapper is called; no certificate is assigned to it. */
export const mapperWord = 'mapper';

const maxHosts = 5000;
const maxPorts = 64;

/** Every port of the catalogue, and the port mapper; by number. */
export const catalogueTargets: readonly PortTarget[] = [
  { port: portMapperPort, service: 'as-svrmap', application: mapperWord, tls: false, telnet: false },
  ...applications.flatMap(({ word, clear, tls }) =>
    [...clear, ...tls].map((listening): PortTarget => ({
      port: listening.port,
      service: listening.service,
      application: word,
      tls: tls.includes(listening),
      telnet: word === 'telnet',
    })),
  ),
].sort((a, b) => a.port - b.port);

const hostGrammar =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/**
 * Names and addresses of hosts, each once, in lower case.
 * @throws CodedError `probe.bad_host`, `probe.no_host`, `probe.too_many_hosts` for over 5,000
 */
export function parseHosts(texts: readonly string[]): readonly string[] {
  const hosts = [...new Set(texts.map((text) => text.trim().toLowerCase()).filter((text) => text !== ''))];
  if (hosts.length === 0)
    throw new CodedError('probe.no_host', 'No host is named.', {
      next: 'Name one or more, or a file with one on each line: --hosts FILE.',
    });
  if (hosts.length > maxHosts)
    throw new CodedError('probe.too_many_hosts', `${hosts.length} hosts are too many for one run.`, {
      next: `Name ${maxHosts} at most.`,
    });
  for (const host of hosts) {
    const isNumber = /(^|\.)\d+$/.test(host) && parseAddress(host) === undefined;
    if (isNumber || (parseAddress(host) === undefined && !hostGrammar.test(host)))
      throw new CodedError('probe.bad_host', `“${printable(host, 80)}” is neither a name nor an address.`, {
        next: 'Name hosts such as prod.example.com or 10.1.2.3, without port.',
      });
  }
  return hosts;
}

/**
 * Reads `992,9476,telnet-ssl:2992`: ports of the catalogue, or a service that listens elsewhere.
 * @returns the targets by number, each once
 * @throws CodedError `probe.bad_port`
 */
export function parsePorts(text: string): readonly PortTarget[] {
  const words = text.split(',').map((word) => word.trim());
  if (words.length > maxPorts) throw badPort(`${words.length} ports are too many`);
  const targets = words.map((word) => {
    const [, service, number = ''] = /^(?:([a-z][a-z0-9-]{0,31}):)?(\d{1,5})$/.exec(word) ?? [];
    const port = Number(number);
    if (number === '' || port < 1 || port > 65_535) throw badPort(`“${printable(word, 40)}” is no port`);
    const known = catalogueTargets.find((target) =>
      service === undefined ? target.port === port : target.service === service,
    );
    if (known === undefined)
      throw badPort(
        service === undefined
          ? `nothing in the catalogue listens on ${port}`
          : `the catalogue knows no service “${printable(service, 40)}”`,
      );
    return { ...known, port };
  });
  return [...new Map(targets.map((target) => [target.port, target])).values()].sort(
    (a, b) => a.port - b.port,
  );
}

function badPort(why: string): CodedError {
  return new CodedError('probe.bad_port', `The list of ports is not as expected: ${why}.`, {
    next: 'Give ports such as 992,9476, or a service that listens elsewhere, such as telnet-ssl:2992.',
  });
}
