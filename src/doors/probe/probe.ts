import type { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../../kernel/index.ts';
import { recogniseTelnet } from '../../tn5250/index.ts';
import { askPortMapper } from './ask-port-mapper.ts';
import { chainFinding, judgeHost, judgePort, signatureFinding } from './findings.ts';
import { describeCertificate, judgeChain, matchesName } from './judge-chain.ts';
import { lookAtPort, type Patience, probeContext } from './look-at-port.ts';
import type { HostLook, PortLook, ProbeReport, RawLook, RevocationState, TlsLook } from './report.ts';
import { catalogueTargets, mapperWord, type PortTarget } from './targets.ts';

export interface ProbeOptions {
  /** As `parseHosts` gives them. */
  readonly hosts: readonly string[];
  readonly targets?: readonly PortTarget[];
  /** Certificates of authorities that are ours; empty: nobody asks whose a certificate is. */
  readonly authorities: readonly X509Certificate[];
  readonly patience?: Patience;
  readonly clock: Clock;
  /** Asks whether a certificate is revoked; left out: nobody asks. */
  readonly revocation?: RevocationCheck;
  /** Called after each host. */
  readonly progress?: (done: number, of: number) => void;
}

/** Never rejects: what cannot be found out is `unknown`. */
export type RevocationCheck = (
  certificate: X509Certificate,
  issuer: X509Certificate | undefined,
) => Promise<RevocationState>;

/** Long enough for a busy host far away. */
export const usualPatience: Patience = { connectMs: 5000, handshakeMs: 8000, firstBytesMs: 12_000 };

/** Hosts looked at together, and ports of each: at most 800 connections at a time. */
const hostsAtOnce = 200;
const portsAtOnce = 4;
const dayMs = 86_400_000;

/** What every port of every host really serves. Makes at most one connection to each port, and never rejects for a host. */
export async function probe(options: ProbeOptions): Promise<ProbeReport> {
  const { hosts, clock, progress } = options;
  const startedMs = clock.nowMs();
  const context = probeContext();
  let done = 0;
  const looks = await together(hosts, hostsAtOnce, async (host) => {
    const look = await probeHost(host, context, options);
    done += 1;
    progress?.(done, hosts.length);
    return look;
  });
  return { startedMs, endedMs: clock.nowMs(), hosts: looks };
}

async function probeHost(host: string, context: SecureContext, options: ProbeOptions): Promise<HostLook> {
  const { targets = catalogueTargets, patience = usualPatience } = options;
  // 1. One address: with several, two connections to one port would go to two machines.
  const address = await findAddress(host);
  if (address === undefined) {
    const text = 'The name has no address.';
    return { host, address, ports: [], findings: [{ code: 'name_not_found', weight: 'bad', text }] };
  }
  // 2. The port mapper may know better where services listen.
  const asked = await askMapper(address, targets, patience);
  // 3. Each port once, in the order of their numbers.
  const others = uniqueByPort(asked.targets.filter(({ application }) => application !== mapperWord));
  const looks = await together(others, portsAtOnce, async (target) => {
    const raw = await lookAtPort({ host, address }, target, context, patience);
    return describePort(host, target, raw, options);
  });
  const ports = [...asked.looks, ...looks].sort((a, b) => a.port - b.port);
  return { host, address, ports, findings: judgeHost(ports) };
}

async function findAddress(host: string): Promise<string | undefined> {
  if (isIP(host) !== 0) return host;
  try {
    return (await lookup(host)).address;
  } catch {
    // Whatever the resolver's reason: there is nothing to connect to.
    return undefined;
  }
}

interface Asked {
  readonly looks: readonly PortLook[];
  readonly targets: readonly PortTarget[];
}

/** The services that tell most come first: the mapper may answer only one. */
const mostTelling = ['as-signon-s', 'as-central-s', 'as-rmtcmd-s'];

async function askMapper(
  address: string,
  targets: readonly PortTarget[],
  patience: Patience,
): Promise<Asked> {
  const mapper = targets.find(({ application }) => application === mapperWord);
  if (mapper === undefined) return { looks: [], targets };
  const rank = (service: string): number => (mostTelling.includes(service) ? 0 : 1);
  const services = targets
    .map(({ service }) => service)
    .filter((service) => service.startsWith('as-') && service !== mapper.service)
    .sort((a, b) => rank(a) - rank(b));
  const { state, ports } = await askPortMapper({ address, port: mapper.port }, services, patience);
  const { port, service, application } = mapper;
  const findings = judgePort(mapper, { state }, {}, 0);
  const moved = targets.map((target) => ({ ...target, port: ports.get(target.service) ?? target.port }));
  return { looks: [{ port, service, application, state, findings }], targets: moved };
}

function uniqueByPort(targets: readonly PortTarget[]): readonly PortTarget[] {
  return [...new Map(targets.map((target) => [target.port, target])).values()];
}

async function describePort(
  host: string,
  target: PortTarget,
  raw: RawLook,
  { authorities, clock, revocation }: ProbeOptions,
): Promise<PortLook> {
  const { port, service, application } = target;
  const { chain = [], firstBytes } = raw;
  const [leaf] = chain;
  const nowMs = clock.nowMs();
  const speaks = target.telnet || raw.state === 'not_tls';
  const telnet = speaks && firstBytes !== undefined ? { telnet: recogniseTelnet(firstBytes) } : {};
  if (leaf === undefined)
    return {
      port,
      service,
      application,
      state: raw.state,
      ...telnet,
      findings: judgePort(target, raw, telnet, nowMs),
    };
  const { trust, incomplete, issuer } = judgeChain(chain, authorities);
  const tls: TlsLook = {
    version: raw.version,
    cipher: raw.cipher,
    chain: chain.map(describeCertificate),
    trust,
    nameMatches: matchesName(leaf, host),
    daysLeft: Math.floor((leaf.validToDate.getTime() - nowMs) / dayMs),
    revocation: revocation === undefined || trust !== 'ours' ? 'not_asked' : await revocation(leaf, issuer),
  };
  const findings = [
    ...judgePort(target, raw, { ...telnet, tls }, nowMs),
    ...chainFinding(incomplete),
    ...signatureFinding(chain),
  ];
  return { port, service, application, state: raw.state, ...telnet, tls, findings };
}

/** Like Promise.all over the work for each, with at most `atOnce` under way. Results are in the order of `values`. */
async function together<Value, Result>(
  values: readonly Value[],
  atOnce: number,
  work: (value: Value) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < values.length) {
      const at = next;
      next += 1;
      const value = values[at];
      if (value !== undefined) results[at] = await work(value);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, values.length) }, worker));
  return results;
}
