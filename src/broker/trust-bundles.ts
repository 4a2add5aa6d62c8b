import {
  createSignBundle,
  encodeBundle,
  encodeBundledList,
  type EncodedList,
  type SignBundle,
} from '../hosts/index.ts';
import { CodedError, sha256, type Clock } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import type { HostGroup, Policy } from '../policy/index.ts';
import type { Host } from './host-rows.ts';
import type { KrlPublisher } from './publish-krl.ts';

export interface TrustBundlesOptions {
  readonly krl: Pick<KrlPublisher, 'current'>;
  readonly policy: () => Policy;
  /** The key that hosts pin: the one that signs the lists. */
  readonly signer: Signer;
  /** One line. */
  readonly bundleKey: string;
  readonly userCa: string;
  readonly hostCa: string;
  /** Where hosts reach this broker. */
  readonly brokerUrl: string;
  readonly clock: Clock;
}

/** Makes the bundle of each host. The version of a bundle is that of the list in it: whatever changes in bundles is published with a new list. */
export class TrustBundles {
  readonly #options: TrustBundlesOptions;
  readonly #sign: SignBundle;
  #list: { readonly version: bigint; readonly encoded: EncodedList } | undefined;

  constructor(options: TrustBundlesOptions) {
    this.#options = options;
    this.#sign = createSignBundle(options.signer);
  }

  get bundleKey(): string {
    return this.#options.bundleKey;
  }

  /** Digest of all that bundles hold besides the list. */
  get digest(): string {
    const { policy, userCa, hostCa, brokerUrl } = this.#options;
    const groups = [...policy().hostGroups.values()];
    return sha256(JSON.stringify({ groups, userCa, hostCa, brokerUrl })).toString('hex');
  }

  /** @throws CodedError `hosts.unknown_group` when the policy does not know the group of the host any more, `revocation.no_list` */
  async make({ id, group: name }: Pick<Host, 'id' | 'group'>): Promise<Buffer> {
    const { krl, userCa, hostCa, brokerUrl, clock } = this.#options;
    const group = this.loadGroup(name);
    const list = krl.current;
    if (list === undefined) {
      throw new CodedError('revocation.no_list', 'No list has been published yet.', {
        next: 'Try again in a moment; keep what you have.',
      });
    }
    if (this.#list?.version !== list.version)
      this.#list = { version: list.version, encoded: encodeBundledList(list) };
    const issuedMs = clock.nowMs();
    const bundle = {
      brokerUrl,
      host: id,
      group: name,
      version: list.version,
      issuedMs,
      freshUntilMs: issuedMs + group.freshForSeconds * 1000,
      whenStale: group.whenStale,
      endSessions: group.endSessions,
      userCas: [userCa],
      hostCas: [hostCa],
      principals: group.principals,
    };
    return this.#sign(encodeBundle(bundle, this.#list.encoded));
  }

  /** @throws CodedError `hosts.unknown_group` */
  loadGroup(name: string): HostGroup {
    const group = this.#options.policy().hostGroups.get(name);
    if (group !== undefined) return group;
    // Without its group nobody can say which role principals open its accounts: what the host has stays.
    throw new CodedError('hosts.unknown_group', `The policy has no group of hosts “${name}”.`, {
      next: 'Write it under host-groups in the policy file, or retire the hosts of that group.',
    });
  }
}
