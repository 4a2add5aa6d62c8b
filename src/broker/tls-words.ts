export type { TlsKind } from '../policy/index.ts';
export type { RevocationReason } from '../revocation/index.ts';
