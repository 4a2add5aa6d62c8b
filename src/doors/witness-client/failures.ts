import { CodedError } from '../../kernel/index.ts';

interface Failure {
  readonly code: `${string}.${string}`;
  readonly why: string;
  readonly next: string;
}

const notTrusted: Failure = {
  code: 'witness.certificate_not_trusted',
  why: 'nobody whom this broker trusts vouches for its TLS certificate',
  next: 'Name the authority of its certificate at `log.witness-ca-file`, got on a safe way from whoever runs the witness.',
};
const askItsAdmin =
  'Check this machine’s clock; if it is right, tell whoever runs the witness to renew its certificate.';
const checkAddress = 'Check the address in the policy file, and that the witness runs.';
const notTls: Failure = {
  code: 'witness.not_tls',
  why: 'what answers there does not speak TLS 1.2 or newer',
  next: 'Check the port in the policy file, and `tls` in the configuration of the witness.',
};
const noRoute: Failure = {
  code: 'witness.unreachable',
  why: 'it cannot be reached over the network',
  next: checkAddress,
};

/** By the codes of Node and OpenSSL (X509_verify_cert_error_string). */
const failures: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: { code: 'witness.unreachable', why: 'nothing listens there', next: checkAddress },
  ENOTFOUND: { code: 'witness.unreachable', why: 'its name is unknown', next: checkAddress },
  EAI_AGAIN: { code: 'witness.unreachable', why: 'the DNS did not answer for its name', next: checkAddress },
  EHOSTUNREACH: noRoute,
  ENETUNREACH: noRoute,
  ETIMEDOUT: noRoute,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: notTrusted,
  UNABLE_TO_GET_ISSUER_CERT: notTrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: notTrusted,
  SELF_SIGNED_CERT_IN_CHAIN: notTrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: notTrusted,
  CERT_SIGNATURE_FAILURE: notTrusted,
  CERT_UNTRUSTED: notTrusted,
  INVALID_CA: notTrusted,
  CERT_HAS_EXPIRED: {
    code: 'witness.certificate_expired',
    why: 'its TLS certificate has expired',
    next: askItsAdmin,
  },
  CERT_NOT_YET_VALID: {
    code: 'witness.certificate_expired',
    why: 'its TLS certificate is not valid yet',
    next: askItsAdmin,
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: 'witness.certificate_wrong_name',
    why: 'its TLS certificate is for another name',
    next: 'Write the name that its certificate holds into the policy file, or have the certificate made for this one.',
  },
  EPROTO: notTls,
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
};

/** Why a witness could not be asked, by what Node says of it: cause and next step. Nothing of the log left, or no answer came. */
export function unreachable({ origin }: URL, cause: unknown): CodedError {
  const given = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer';
  const known = Object.hasOwn(failures, given) ? failures[given] : undefined;
  const { code, why, next } = known ?? {
    code: 'witness.unreachable',
    why: `it gives no answer (${given})`,
    next: checkAddress,
  };
  return new CodedError(code, `The witness at ${origin} cannot be asked: ${why}.`, { next, cause });
}
