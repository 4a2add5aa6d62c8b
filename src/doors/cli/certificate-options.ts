import type { SignRequest } from '../client/index.ts';
import { parseDuration } from './times.ts';

/** Flags that narrow a certificate, of `login` and `sign`. */
export interface CertificateOptions {
  readonly profile?: string;
  readonly principal?: readonly string[];
  readonly ttl?: string;
  readonly reason?: string;
}

/**
 * The flags as the API takes them; what was not said is left out.
 * @throws CodedError `cli.usage` for a length of time that is none
 */
export function signRequest(options: CertificateOptions): SignRequest {
  return {
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(options.principal === undefined ? {} : { principals: options.principal }),
    ...(options.ttl === undefined ? {} : { ttlSeconds: parseDuration(options.ttl) }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  };
}
