import type { Nonces } from '../identity/index.ts';
import type { SshHostIssuer } from '../issuance/index.ts';
import type { HourlyQuota, Quota } from './hourly-quota.ts';
import type { SerialSource } from './serial-source.ts';
import type { TrustBundles } from './trust-bundles.ts';
import type { WaitingHosts } from './waiting-hosts.ts';

/** What the flows about hosts work with, besides the rest of `Rooms`. */
export interface HostRooms {
  readonly issuer: SshHostIssuer;
  readonly serials: SerialSource;
  readonly bundles: TrustBundles;
  readonly waiting: WaitingHosts;
  readonly nonces: Nonces;
  /** Entries that one address makes by asking for what is refused. */
  readonly refusalQuota: Quota;
  /** Events that one host may report. */
  readonly reportQuota: Pick<HourlyQuota, 'take'>;
  /** The script that enrols a host, with this broker's address and keys in it; undefined where there is none. */
  readonly script: () => Buffer | undefined;
}
