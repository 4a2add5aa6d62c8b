/** How the hosts of one group are treated. */
export interface HostGroup {
  readonly name: string;
  /** What a host does about sessions that were opened with a credential that is revoked now. */
  readonly endSessions: 'off' | 'report' | 'on';
  /** What a host does when its bundle is older than `freshForSeconds`: tell, or take no certificate any more. */
  readonly whenStale: 'warn' | 'close';
  readonly freshForSeconds: number;
  /** Life of a host certificate. */
  readonly certificateSeconds: number;
  /** Names that a certificate must bear to open an account. Empty: the name of the account itself. */
  readonly principals: readonly { readonly account: string; readonly names: readonly string[] }[];
}

/** The group of hosts that name none, which is there without being written down. */
export const defaultHostGroup: HostGroup = {
  name: 'default',
  endSessions: 'off',
  whenStale: 'warn',
  freshForSeconds: 86_400,
  certificateSeconds: 30 * 86_400,
  principals: [],
};
