export type { TlsKind } from '../policy/index.ts';
export type { RevocationReason } from '../revocation/index.ts';
import { revocationReasons, type RevocationReason } from '../revocation/index.ts';

/** What an admin may say of why a certificate ends. Holding one is not among it: here, revoked is for ever. */
export const revocationCodes = Object.keys(revocationReasons) as readonly RevocationReason[];
