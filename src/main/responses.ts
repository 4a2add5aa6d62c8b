import { createRevocationLimit, type Quarantine, type Responses } from '../broker/index.ts';
import { CodedError, quarantineNamespace, type Clock } from '../kernel/index.ts';
import type { Signer } from '../keys/index.ts';
import {
  encodeSignature,
  encodeSshsig,
  encodeSshsigToBeSigned,
  publicKeyFromKeyObject,
} from '../ssh/index.ts';
import type { Config } from './config.ts';

/** Puts together what is done about logins that nothing explains, as the configuration says it. */
export function createResponses(
  { logins: { responses } }: Config,
  parts: {
    readonly quarantines: ReadonlyMap<string, Quarantine>;
    readonly listSigner: Signer;
    readonly clock: Clock;
  },
): Responses {
  const { quarantines, listSigner, clock } = parts;
  const hostsPerTenMinutes = responses['hosts-per-ten-minutes'];
  return {
    rules: responses.rules.map(({ verdicts, revoke, quarantine, live }) => ({
      verdicts: new Set<string>(verdicts),
      ...(revoke === undefined ? {} : { revoke }),
      ...(quarantine === undefined ? {} : { quarantine }),
      live,
    })),
    limits: { hostsPerTenMinutes, fleetPercent: responses['fleet-percent'] },
    mayRevoke: createRevocationLimit(clock),
    quarantine(name) {
      const known = quarantines.get(name);
      if (known !== undefined) return known;
      throw new CodedError(
        'responses.unknown_quarantine',
        `The quarantine “${name}” is not configured any more.`,
        {
          next: 'Reject the request, or put the quarantine back into the configuration.',
        },
      );
    },
    async sign(document) {
      const raw = await listSigner.sign(encodeSshsigToBeSigned(quarantineNamespace, document));
      const key = publicKeyFromKeyObject(listSigner.publicKey);
      return encodeSshsig(key, quarantineNamespace, encodeSignature(listSigner.algorithm, raw));
    },
  };
}
