import { CodedError } from '../../kernel/index.ts';

/** An RFC 9457 problem document, with our stable code and the next step. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly next?: string;
  readonly requestId: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not logged in',
  403: 'Refused',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Too large',
  415: 'Unsupported media type',
  429: 'Too many requests',
  500: 'Internal fault',
  503: 'Not available',
};

/** Every code that a client may meet. What is not here is our own fault: the client learns the request id and nothing else. */
const statusByCode: Readonly<Record<string, number>> = {
  'accounting.bad_range': 400,
  'accounting.export_changed': 409,
  'accounting.never_issued': 404,
  'accounting.log_before': 404,
  'accounting.no_quorum': 503,
  'hosts.bad_address': 400,
  'hosts.bad_lifetime': 400,
  'hosts.bad_name': 400,
  'hosts.bad_signature': 403,
  'hosts.bad_token': 403,
  'hosts.clock_skew': 403,
  'hosts.conflict': 409,
  'hosts.malformed': 400,
  'hosts.name_not_allowed': 403,
  'hosts.name_taken': 409,
  'hosts.not_a_login': 400,
  'hosts.no_script': 404,
  'hosts.other_fingerprint': 409,
  'hosts.pending': 403,
  'hosts.pending_full': 503,
  'hosts.replayed': 403,
  'hosts.retired': 403,
  'hosts.same_group': 409,
  'hosts.too_many_events': 429,
  'hosts.too_many_refusals': 429,
  'hosts.unknown_group': 409,
  'hosts.unknown_host': 404,
  'hosts.unknown_token': 404,
  'hosts.wrong_state': 409,
  'http.bad_request': 400,
  'http.method_not_allowed': 405,
  'http.not_found': 404,
  'http.not_permitted': 403,
  'http.too_large': 413,
  'http.unauthenticated': 401,
  'http.unsupported_media_type': 415,
  'issuance.authority_key': 403,
  'issuance.bad_renewal': 403,
  'issuance.no_authority': 404,
  'issuance.not_renewable': 409,
  'issuance.out_of_bounds': 403,
  'identity.account_disabled': 401,
  'identity.account_expired': 401,
  'identity.account_locked': 401,
  'identity.bad_directory_entry': 503,
  'identity.busy': 503,
  'identity.clock_skew': 401,
  'identity.directory_unavailable': 503,
  'identity.dpop_forgotten': 401,
  'identity.dpop_invalid': 401,
  'identity.dpop_missing': 401,
  'identity.dpop_replayed': 401,
  'identity.dpop_wrong_url': 401,
  'identity.group_limit': 403,
  'identity.locked_out': 403,
  'identity.login_refused': 401,
  'identity.must_change_password': 401,
  'identity.outside_logon_hours': 401,
  'identity.password_expired': 401,
  'identity.paused_by_directory': 403,
  'identity.session_ended': 401,
  'identity.session_expired': 401,
  'identity.session_unknown': 401,
  'identity.session_wrong_key': 401,
  'identity.throttled': 429,
  'identity.unknown_directory': 400,
  'kernel.bad_host_id': 400,
  'kernel.bad_key_id': 400,
  'kernel.bad_principal': 400,
  'kernel.bad_serial': 400,
  'policy.principal_in_use': 409,
  'probe.too_many_ports': 409,
  'policy.principal_unowned': 404,
  'policy.too_many_certificates': 429,
  'policy.too_many_looks': 429,
  'policy.unknown_person': 404,
  'responses.approved_already': 409,
  'responses.held': 409,
  'responses.not_open': 409,
  'responses.refused': 503,
  'responses.unknown': 404,
  'responses.unknown_quarantine': 409,
  'revocation.already_decided': 409,
  'revocation.ambiguous_person': 409,
  'revocation.bad_target': 400,
  'revocation.key_revoked': 403,
  'revocation.no_list': 503,
  'revocation.not_published': 503,
  'revocation.own_lock': 409,
  'revocation.unknown_review': 404,
  'revocation.unknown_target': 404,
  'ssh.certificate_as_key': 400,
  'ssh.dsa_key': 400,
  'ssh.invalid_key': 400,
  'ssh.malformed': 400,
  'ssh.private_key_given': 400,
  'ssh.unknown_key_type': 400,
  'ssh.unreadable_key': 400,
  'x509.bad_name': 400,
  'x509.bad_proof': 400,
  'x509.ca_requested': 400,
  'x509.key_size': 400,
  'x509.malformed': 400,
  'x509.not_pem': 400,
  'x509.too_large': 413,
  'x509.too_many_names': 400,
  'x509.unsupported_key': 400,
  'store.busy': 503,
  'store.conflict': 409,
  'store.unavailable': 503,
  'store.unresolved': 503,
};

/** @returns undefined when the fault is the broker's own. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof CodedError)) return undefined;
  // Whatever else policy says is a refusal.
  return statusByCode[error.code] ?? (error.code.startsWith('policy.') ? 403 : undefined);
}

/** Faults of what stands behind the broker: which disk or which server, and what it said, goes to the log alone. */
const behindTheBroker: Readonly<Record<string, string>> = {
  'store.unavailable': 'The broker cannot read or record anything at the moment. Nothing was released.',
  'store.unresolved':
    'The broker lost its database while it recorded this. Nothing was released; whether it was recorded shows when the database is back.',
  'identity.directory_unavailable':
    'The directory does not answer at the moment. Nobody was refused or revoked.',
  'identity.bad_directory_entry': 'The directory’s entry for you cannot be used.',
};

/** What the client is told: little. The log got everything. */
export function problemOf(error: unknown, requestId: string): Problem {
  const status = statusOf(error);
  if (status === undefined || !(error instanceof CodedError)) {
    return {
      type: 'about:blank',
      title: 'Internal fault',
      status: 500,
      code: 'http.internal',
      detail: 'The broker failed to do this. Nothing was released.',
      next: `Tell your administrator the request id ${requestId}; the broker's log has the cause.`,
      requestId,
    };
  }
  const masked = behindTheBroker[error.code];
  const detail = masked ?? error.message;
  const next =
    masked === undefined
      ? error.next
      : 'Try again in a moment; if it stays, tell your administrator the request id.';
  const details = masked === undefined ? error.details : {};
  return {
    type: 'about:blank',
    title: titles[status] ?? 'Refused',
    status,
    code: error.code,
    detail,
    ...(next === undefined ? {} : { next }),
    requestId,
    ...(Object.keys(details).length === 0 ? {} : { details }),
  };
}

/** Seconds after which it is worth trying again, for the statuses that say so. */
export function retryAfterSeconds(problem: Problem): number | undefined {
  const asked = problem.details?.['retryAfterSeconds'];
  if (problem.status === 429 && typeof asked === 'number') return asked;
  return problem.status === 503 ? 1 : undefined;
}
