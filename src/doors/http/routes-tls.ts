import {
  authoritiesOf,
  chainOf,
  issueTls,
  listTls,
  noAuthority,
  renewTls,
  type Rooms,
  type ServedBy,
  type TlsRoom,
} from '../../broker/index.ts';
import { route, type Route } from './route.ts';
import * as schema from './schemas-tls.ts';
import { viewTls } from './views-tls.ts';

/** Routes about certificates for TLS. */
export const tlsRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/tls/issue',
    permission: 'session',
    summary: 'An X.509 certificate for a CSR, or for a pair made for the caller and handed over once.',
    body: schema.tlsIssueBody,
    answers: { status: 201, json: schema.tlsIssueAnswer },
    async handle({ rooms, body }, caller) {
      const { profile, csr, newKey, names, ttlSeconds, reason, servedBy } = body;
      const { certificate, issuer, credential, pkcs12 } = await issueTls(
        rooms,
        {
          profile,
          ...(csr === undefined ? {} : { csr }),
          ...(newKey === undefined ? {} : { newKey }),
          ...(names === undefined ? {} : { names }),
          ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
          ...(reason === undefined ? {} : { reason }),
          ...(servedBy === undefined ? {} : { servedBy: servedByOf(servedBy) }),
        },
        caller,
      );
      return {
        json: {
          certificate: pem(certificate),
          chain: chainOf(issuer).map(pem),
          root: pem(tlsOf(rooms).root),
          issued: viewTls(credential, rooms.clock.nowMs()),
          ...(pkcs12 === undefined
            ? {}
            : {
                pkcs12: {
                  file: pkcs12.bytes.toString('base64'),
                  password: pkcs12.password,
                  friendlyName: pkcs12.friendlyName,
                },
              }),
        },
      };
    },
  }),
  route({
    method: 'post',
    path: '/v1/tls/renew',
    permission: 'public',
    summary: 'A server’s certificate for the same names, for whoever proves that they hold its key.',
    body: schema.tlsRenewBody,
    answers: { status: 201, json: schema.tlsIssueAnswer },
    async handle({ rooms, body }, caller) {
      const { ttlSeconds, ...asked } = body;
      const { certificate, issuer, credential } = await renewTls(
        rooms,
        { ...asked, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) },
        caller,
      );
      return {
        json: {
          certificate: pem(certificate),
          chain: chainOf(issuer).map(pem),
          root: pem(tlsOf(rooms).root),
          issued: viewTls(credential, rooms.clock.nowMs()),
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/tls/certificates',
    permission: 'session',
    summary: 'Certificates for TLS, newest first. Admins and auditors see all, a person their own.',
    query: schema.tlsListQuery,
    answers: { status: 200, json: schema.tlsListAnswer },
    async handle({ rooms, query }, caller) {
      const { person, live, endsWithinDays, after, limit } = query;
      const { credentials, next, nowMs } = await listTls(
        rooms,
        {
          live: live === 'true',
          limit,
          ...(person === undefined ? {} : { person }),
          ...(endsWithinDays === undefined ? {} : { endsWithinDays }),
          ...(after === undefined ? {} : { before: BigInt(after) }),
        },
        caller,
      );
      return {
        json: {
          certificates: credentials.map((credential) => viewTls(credential, nowMs)),
          ...(next === undefined ? {} : { next: String(next) }),
        },
      };
    },
  }),
  route({
    method: 'get',
    path: '/v1/tls/authority',
    permission: 'public',
    summary: 'The authorities for TLS of this broker, and where their lists are.',
    answers: { status: 200, json: schema.tlsAuthorityAnswer },
    async handle({ rooms }) {
      const tls = tlsOf(rooms);
      return {
        json: {
          root: pem(tls.root),
          address: tls.address,
          authorities: authoritiesOf(tls).map(({ issuer }) => ({
            name: issuer.name,
            kind: issuer.name.startsWith('logon') ? 'logon' : 'issuing',
            certificate: pem(issuer.certificate),
            fingerprint: issuer.caFingerprint,
            notAfter: new Date(issuer.read.notAfterMs).toISOString(),
            crl: issuer.urls.crl,
            deltaCrl: issuer.urls.deltaCrl,
            ocsp: issuer.urls.ocsp,
          })),
        },
      };
    },
  }),
];

function servedByOf({
  applications,
  label,
}: {
  readonly applications: readonly string[];
  readonly label?: string | undefined;
}): ServedBy {
  return { applications, ...(label === undefined ? {} : { label }) };
}

function tlsOf({ tls }: Rooms): TlsRoom {
  if (tls === undefined) throw noAuthority('TLS');
  return tls;
}

/** One certificate, LF, without bag attributes: what DCM on IBM i takes. */
export function pem(der: Buffer): string {
  const lines = der.toString('base64').replaceAll(/.{64}(?!$)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
