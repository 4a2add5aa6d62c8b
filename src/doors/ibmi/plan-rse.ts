import {
  authorityPath,
  certificatePath,
  clientAuthorityPath,
  isAmong,
  type PlanInput,
} from './plan-input.ts';

/**
 * Bodies for IBM's RSE API (REST). That it can import certificates as Base64 and attach them to applications was read; its paths
 * and the names of its fields were not: whoever uses this takes them from the OpenAPI page of the own system. No secret is in it.
 */
export function renderRse(input: PlanInput): string {
  const { applications, authorities, clientAuthority, certificate, delivery, label } = input;
  const base64 = (raw: Buffer): string => raw.toString('base64');
  const importOf = (what: string, file: string, content: string): unknown => ({
    what,
    operation: 'import a certificate into a store',
    operationMark: 'verified: RSE API has it, the content as Base64',
    fieldsMark: 'unverified: names of fields and path',
    file,
    body: {
      store: '*SYSTEM',
      storePassword: 'ASK, DO NOT SAVE',
      ...(content === '' ? {} : { certificateBase64: content }),
    },
  });
  const foreign =
    clientAuthority === undefined || isAmong(clientAuthority, authorities) ? [] : [clientAuthority];
  const requests = [
    ...authorities.map((authority, nth) =>
      importOf('authority, before everything else', authorityPath(input, nth), base64(authority.raw)),
    ),
    ...foreign.map((authority) =>
      importOf('authority of clients', clientAuthorityPath, base64(authority.raw)),
    ),
    delivery.kind === 'pkcs12'
      ? importOf(
          `certificate with key, label ${label}; its content is the file in Base64`,
          `${label}.p12`,
          '',
        )
      : importOf(`certificate, label ${label}`, certificatePath(input), base64(certificate.raw)),
    ...applications.map(({ id }) => ({
      what: 'assign',
      operation: 'attach a certificate to an application definition',
      operationMark: 'verified: RSE API has it',
      fieldsMark: 'unverified: names of fields and path',
      body: { store: '*SYSTEM', applicationId: id, certificateLabel: label },
    })),
  ];
  const note =
    'UNVERIFIED as a whole: never sent to a real system. RSE API has no call for renewal, and works with CMS stores only. Take paths and names of fields from the OpenAPI page of your system. Servers are restarted as the runbook says.';
  return `${JSON.stringify({ note, requests }, undefined, 2)}\n`;
}
