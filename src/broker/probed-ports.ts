/** What the probe saw of one port that is open. */
export interface ProbedPort {
  readonly port: number;
  /** As the catalogue calls it. */
  readonly service: string;
  readonly application: string;
  /** `clear`, `tls`, `silent`, …: docs/operations/ibmi.md. */
  readonly state: string;
  /** Last moment of the certificate; undefined where none was seen. */
  readonly notAfterMs: number | undefined;
  /** Codes of what is to be said about it. */
  readonly findings: readonly string[];
}

/** What is known of a host since it was last looked at. */
export interface ProbedHost {
  /** As it was dialled. */
  readonly host: string;
  readonly probedMs: number;
  readonly ports: readonly ProbedPort[];
}

/** What a change does with what the probe saw: all of a host's ports are replaced, unless a later look is there already. */
export interface ProbedHosts {
  readonly hosts: readonly ProbedHost[];
  /** Hosts that were not looked at since are forgotten. */
  readonly forgetBeforeMs: number;
}

export interface ProbedPortReads {
  /** By host and port. */
  probedPorts(): Promise<readonly (ProbedPort & Pick<ProbedHost, 'host' | 'probedMs'>)[]>;
  /** How many ports of other hosts than these are kept. */
  probedPortsBeside(hosts: readonly string[]): Promise<number>;
}
