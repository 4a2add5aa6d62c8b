import type { Answer } from './answer.ts';

const pemGrammar = /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n$/;
const serialGrammar = /^[0-9a-f]{40}$/;
const maxPemChars = 64 * 1024;

/** What is asked for; names of a person come from the directory, whatever is said. */
export interface TlsIssueAsked {
  readonly profile: string;
  /** PEM. */
  readonly csr?: string;
  readonly newKey?: { readonly type: string; readonly encryption?: string; readonly friendlyName?: string };
  readonly names?: readonly string[];
  readonly ttlSeconds?: number;
  readonly reason?: string;
  readonly servedBy?: TlsServedBy;
}

/** What is to serve a certificate, so that its renewal can be planned. */
export interface TlsServedBy {
  /** Words of the catalogue of IBM i. */
  readonly applications: readonly string[];
  readonly label?: string;
}

export interface TlsCertificate {
  readonly serial: string;
  readonly kind: 'tls-server' | 'tls-client' | 'windows-logon';
  readonly profile: string;
  readonly commonName: string;
  readonly names: readonly string[];
  readonly keyType: string;
  readonly keyFingerprint: string;
  readonly person: { readonly id: string; readonly login: string };
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly issuedAtMs: number;
  /** As it was said when it was asked for. */
  readonly servedBy: TlsServedBy | undefined;
  readonly state: 'live' | 'expired' | 'revoked';
  readonly revokedReason: string | undefined;
  /** What CRL and OCSP say. */
  readonly revokedCode: string | undefined;
}

export interface TlsIssued {
  /** PEM. */
  readonly certificate: string;
  /** PEM, one each: what stands between it and the root. */
  readonly chain: readonly string[];
  /** PEM. */
  readonly root: string;
  readonly issued: TlsCertificate;
  /** Where the broker made the pair. It is nowhere else. */
  readonly pkcs12:
    { readonly file: Buffer; readonly password: string; readonly friendlyName: string } | undefined;
}

export interface TlsRenewAsked {
  readonly certificate: string;
  readonly csr: string;
  readonly time: string;
  readonly signature: string;
  readonly ttlSeconds?: number;
}

export interface TlsAuthorities {
  /** PEM. */
  readonly root: string;
  readonly address: string;
  readonly authorities: readonly {
    readonly name: string;
    readonly kind: 'issuing' | 'logon';
    readonly certificate: string;
    readonly fingerprint: string;
    readonly notAfterMs: number;
    readonly crl: string;
    readonly deltaCrl: string;
    readonly ocsp: string;
  }[];
}

/** The part of a client that is about certificates for TLS. */
export interface TlsClient {
  issueTls(asked: TlsIssueAsked): Promise<TlsIssued>;
  /** Needs no session: the signature is the proof. */
  renewTls(asked: TlsRenewAsked): Promise<TlsIssued>;
  listTls(
    query: Readonly<Record<string, string | undefined>>,
  ): Promise<{ readonly items: readonly TlsCertificate[]; readonly next: string | undefined }>;
  tlsAuthorities(): Promise<TlsAuthorities>;
}

type Json = (
  asked: {
    readonly method: 'GET' | 'POST';
    readonly path: string;
    readonly body?: unknown;
    readonly open?: boolean;
    readonly query?: Readonly<Record<string, string | undefined>>;
  },
  what: string,
) => Promise<Answer>;

export function createTlsClient(json: Json): TlsClient {
  return {
    issueTls: async (asked) =>
      readTlsIssued(await json({ method: 'POST', path: '/v1/tls/issue', body: asked }, 'certificate')),
    renewTls: async (asked) =>
      readTlsIssued(
        await json({ method: 'POST', path: '/v1/tls/renew', body: asked, open: true }, 'certificate'),
      ),
    listTls: async (query) => {
      const answer = await json(
        { method: 'GET', path: '/v1/tls/certificates', query },
        'list of certificates',
      );
      return {
        items: answer.objects('certificates').map(readTlsCertificate),
        next: answer.optionalText('next', 1000),
      };
    },
    tlsAuthorities: async () =>
      readTlsAuthorities(await json({ method: 'GET', path: '/v1/tls/authority', open: true }, 'authority')),
  };
}

/** @throws CodedError `client.bad_answer` */
export function readTlsIssued(answer: Answer): TlsIssued {
  return {
    certificate: answer.token('certificate', pemGrammar, maxPemChars),
    chain: readPems(answer, 'chain'),
    root: answer.token('root', pemGrammar, maxPemChars),
    issued: readTlsCertificate(answer.object('issued')),
    pkcs12: readPkcs12(answer.optionalObject('pkcs12')),
  };
}

function readPkcs12(answer: Answer | undefined): TlsIssued['pkcs12'] {
  return (
    answer && {
      file: Buffer.from(answer.token('file', /^[A-Za-z0-9+/]+={0,2}$/, 256 * 1024), 'base64'),
      password: answer.token('password', /^[A-Za-z0-9-]{16,64}$/),
      friendlyName: answer.text('friendlyName', 100),
    }
  );
}

function readServedBy(answer: Answer | undefined): TlsServedBy | undefined {
  if (answer === undefined) return undefined;
  const label = answer.optionalText('label', 64);
  return { applications: answer.texts('applications', 64, 32), ...(label === undefined ? {} : { label }) };
}

function readPems(answer: Answer, name: string): readonly string[] {
  return answer.texts(name, 8, maxPemChars).filter((pem) => pemGrammar.test(pem));
}

/** @throws CodedError `client.bad_answer` */
export function readTlsCertificate(answer: Answer): TlsCertificate {
  const person = answer.object('person');
  return {
    serial: answer.token('serial', serialGrammar),
    kind: answer.word('kind', ['tls-server', 'tls-client', 'windows-logon']),
    profile: answer.text('profile', 100),
    commonName: answer.text('commonName', 100),
    names: answer.texts('names', 200, 300),
    keyType: answer.text('keyType', 100),
    keyFingerprint: answer.text('keyFingerprint', 100),
    person: { id: person.text('id', 200), login: person.text('login', 400) },
    notBeforeMs: answer.time('notBefore'),
    notAfterMs: answer.time('notAfter'),
    issuedAtMs: answer.time('issuedAt'),
    servedBy: readServedBy(answer.optionalObject('servedBy')),
    state: answer.word('state', ['live', 'expired', 'revoked']),
    revokedReason: answer.optionalText('revokedReason', 2000),
    revokedCode: answer.optionalText('revokedCode', 40),
  };
}

/** @throws CodedError `client.bad_answer` */
export function readTlsAuthorities(answer: Answer): TlsAuthorities {
  return {
    root: answer.token('root', pemGrammar, maxPemChars),
    address: answer.text('address', 400),
    authorities: answer.objects('authorities', 1000).map((item) => ({
      name: item.token('name', /^[a-z]+-[0-9]+$/),
      kind: item.word('kind', ['issuing', 'logon']),
      certificate: item.token('certificate', pemGrammar, maxPemChars),
      fingerprint: item.text('fingerprint', 100),
      notAfterMs: item.time('notAfter'),
      crl: item.text('crl', 400),
      deltaCrl: item.text('deltaCrl', 400),
      ocsp: item.text('ocsp', 400),
    })),
  };
}
