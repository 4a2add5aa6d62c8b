import { createPrivateKey, sign } from 'node:crypto';
import type { BrokerClient } from '../../src/doors/client/index.ts';
import { renewalStatement } from '../../src/issuance/index.ts';
import { readCertificate, decodePem } from '../../src/x509/index.ts';
import { makeCsr, makeWorkbench, type Workbench } from './tls-authority.ts';

/** What `POST /v1/tls/renew` takes: signed with the key of the old certificate, which is `KEY.key` of the bench. */
export function renewalOf(
  bench: Workbench,
  {
    certificate,
    key,
    csr,
    time = new Date().toISOString(),
  }: { certificate: string; key: string; csr: string; time?: string },
): { certificate: string; csr: string; time: string; signature: string } {
  const { serial } = readCertificate(decodePem(certificate, ['CERTIFICATE']));
  const privateKey = createPrivateKey(bench.read(`${key}.key`));
  const signature = sign('sha256', renewalStatement(serial, csr, time), privateKey).toString('base64');
  return { certificate, csr, time, signature };
}

/** A certificate for `as400`, and all that it takes to renew it. */
export async function newRenewal(admin: Pick<BrokerClient, 'issueTls'>, time: string): Promise<object> {
  const bench = makeWorkbench();
  try {
    const { certificate } = await admin.issueTls({
      profile: 'ibmi',
      csr: makeCsr(bench, 'old', { subject: '/CN=as400' }),
    });
    return renewalOf(bench, { certificate, key: 'old', csr: makeCsr(bench, 'new'), time });
  } finally {
    bench.remove();
  }
}
