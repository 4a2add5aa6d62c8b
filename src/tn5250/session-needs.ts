/** One of the ports that a 5250 session over TLS needs, and what for. */
export interface SessionNeed {
  readonly port: number;
  readonly service: string;
  readonly why: string;
}

/**
 * What a 5250 session of IBM i Access Client Solutions over TLS needs together. Securing Telnet alone is half of it: licence check
 * and sign-on go on in the clear, or the session does not open.
 * Read in: IBM Support, “TCP/IP Ports Required for IBM i Access and Related Functions”.
 */
export const sessionNeeds: readonly SessionNeed[] = [
  { port: 449, service: 'as-svrmap', why: 'tells the ports of the host servers; always in the clear' },
  { port: 992, service: 'telnet-ssl', why: 'the 5250 session itself' },
  { port: 9470, service: 'as-central-s', why: 'licence check and code page tables' },
  { port: 9475, service: 'as-rmtcmd-s', why: 'remote commands' },
  { port: 9476, service: 'as-signon-s', why: 'sign-on: user and password' },
];
