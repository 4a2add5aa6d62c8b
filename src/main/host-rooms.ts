import { existsSync, readFileSync } from 'node:fs';
import {
  createHostRefusalQuota,
  createHostReportQuota,
  SerialSource,
  TrustBundles,
  WaitingHosts,
  type HostRooms,
  type KrlPublisher,
  type Rooms,
  type Store,
} from '../broker/index.ts';
import { createNonces } from '../identity/index.ts';
import type { SshHostIssuer } from '../issuance/index.ts';
import type { Clock } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import type { Policy } from '../policy/index.ts';
import type { Config } from './config.ts';
import { readConfigured } from './read-configured.ts';

const refusalsPerHour = 60;
const scriptFile = new URL('../../host/sallyport-host.sh', import.meta.url);
/** What the script has between these lines is replaced. */
const settings = /^# >>> broker\n[\s\S]*?^# <<< broker\n/m;

export interface HostRoomParts {
  readonly config: Config;
  readonly store: Store;
  readonly krl: KrlPublisher;
  readonly issuer: SshHostIssuer;
  readonly authority: Pick<Rooms['authority'], 'sshUserCa' | 'sshHostCa' | 'listKey'>;
  readonly listSigner: Signer;
  readonly policy: () => Policy;
  readonly clock: Clock;
}

/** What the flows about hosts need. */
export function createHostRooms(parts: HostRoomParts): HostRooms {
  const { config, store, krl, issuer, authority, listSigner, policy, clock } = parts;
  const brokerUrl = config.hosts.url ?? config.origins[0] ?? '';
  const bundleKey = authority.listKey.publicKey;
  return {
    issuer,
    serials: new SerialSource(store, issuer.caFingerprint),
    bundles: new TrustBundles({
      krl,
      policy,
      signer: listSigner,
      bundleKey,
      userCa: authority.sshUserCa.publicKey,
      hostCa: authority.sshHostCa.publicKey,
      brokerUrl,
      clock,
    }),
    waiting: new WaitingHosts(krl, store),
    nonces: createNonces({ clock, shared: store.shared }),
    refusalQuota: createHostRefusalQuota({ perHour: refusalsPerHour, clock }),
    reportQuota: createHostReportQuota({ perHour: config.logins['events-per-hour'], clock }),
    script: () => hostScript({ brokerUrl, bundleKey, caPem: caPemOf(config) }),
  };
}

function caPemOf(config: Config): string {
  const { 'ca-file': caFile } = config.hosts;
  if (caFile === undefined) return '';
  return readConfigured(
    caFile,
    'The TLS CA certificate for hosts',
    '`hosts.ca-file` in the configuration',
  ).toString('utf8');
}

/** The script as it is in this installation, with this broker's address and keys written into it; read anew each time. */
function hostScript(values: {
  readonly brokerUrl: string;
  readonly bundleKey: string;
  readonly caPem: string;
}): Buffer | undefined {
  if (!existsSync(scriptFile)) return undefined;
  const script = readFileSync(scriptFile, 'utf8');
  if (!settings.test(script)) return undefined;
  const lines = [
    '# >>> broker',
    `broker_url=${quoted(values.brokerUrl)}`,
    `broker_bundle_key=${quoted(values.bundleKey)}`,
    `broker_ca_pem=${quoted(values.caPem.trim())}`,
    '# <<< broker',
  ];
  return Buffer.from(script.replace(settings, () => `${lines.join('\n')}\n`));
}

/** As a POSIX shell takes a text word for word. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
