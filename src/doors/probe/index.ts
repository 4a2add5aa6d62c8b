/**
 * doors/probe: what the ports of an IBM i really serve, seen from outside: TLS or not, whose certificate, for how long, and whether
 * telnet speaks behind it. One connection to each port, closed after the first bytes of the server.
 * It never sends a user name, a password or a byte above TLS (the port mapper alone is asked, with names of services), and never
 * completes the negotiation of a session, so that no virtual device is made. It was never tried on a real IBM i.
 * Specification: docs/operations/ibmi.md; RFC 1205, RFC 4777, RFC 8446.
 */
export { parseAuthorities } from './authorities.ts';
export { escapeHtml, htmlPage } from './html-page.ts';
export { allFindings, renderHtml, stateText } from './html.ts';
export { matchesName, namesOf } from './judge-chain.ts';
export { probe, usualPatience, type ProbeOptions, type RevocationCheck } from './probe.ts';
export { maxListBytes, parseLists } from './given-lists.ts';
export { createRevocationCheck, type RevocationOptions } from './revocation.ts';
export type {
  CertificateLook,
  Finding,
  FindingCode,
  HostLook,
  PortLook,
  PortState,
  ProbeReport,
  TlsLook,
} from './report.ts';
export type { Patience } from './look-at-port.ts';
export { catalogueTargets, parseHosts, parsePorts, type PortTarget } from './targets.ts';
