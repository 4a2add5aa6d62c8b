import type { X509Certificate } from 'node:crypto';
import type { Application } from '../../tn5250/index.ts';

/** How the certificate gets to the system. */
export type Delivery =
  /** The key was made by DCM and never left: only the signed certificate travels. */
  | { readonly kind: 'signed' }
  /** Key and certificate travel together; the password is told apart and is in no file. */
  | { readonly kind: 'pkcs12'; readonly bytes: Buffer; readonly encryption: 'compatible' | 'modern' };

export interface PlanInput {
  /** The name that the probe dials, and the name of the host in the playbook. */
  readonly host: string;
  /** As `chooseApplications` gives them. */
  readonly applications: readonly Application[];
  readonly label: string;
  /** What is assigned now; undefined: nothing, or not known. */
  readonly previousLabel: string | undefined;
  readonly certificate: X509Certificate;
  /** The root first, then what stands between it and the certificate. */
  readonly authorities: readonly X509Certificate[];
  readonly delivery: Delivery;
  /** Whether clients are to need a certificate, by the authority whose certificates let them in. */
  readonly clientAuthority: X509Certificate | undefined;
  readonly madeMs: number;
  /** Of sallyport. */
  readonly version: string;
}

export const clientAuthorityPath = 'ca/client-authority.crt';

/** Numbered in the order in which they are imported. */
export function authorityPath({ authorities }: Pick<PlanInput, 'authorities'>, nth: number): string {
  const word = nth === 0 ? 'root' : authorities.length === 2 ? 'issuing' : `issuing-${nth}`;
  return `ca/${String(nth + 1).padStart(2, '0')}-${word}.crt`;
}

export const certificatePath = ({ label }: Pick<PlanInput, 'label'>): string => `${label}.crt`;

/** One PEM block, lines of 64, LF, nothing before or behind it: what DCM reads without complaint. */
export function pemOf(certificate: X509Certificate): string {
  const base64 = certificate.raw.toString('base64').replaceAll(/(.{64})(?!$)/g, '$1\n');
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

export function isAmong(certificate: X509Certificate, others: readonly X509Certificate[]): boolean {
  return others.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256);
}
