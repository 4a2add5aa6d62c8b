import { X509Certificate } from 'node:crypto';
import { CodedError } from '../../../kernel/index.ts';
import { chooseApplications } from '../../../tn5250/index.ts';
import { type TlsIssued, writeByRename } from '../../client/index.ts';
import { checkPlanNames, type Delivery } from '../../ibmi/index.ts';
import { parseAuthorities } from '../../probe/index.ts';
import { type Result, withSession } from '../command.ts';
import { readGivenFile } from '../given-file.ts';
import { fieldLines } from '../output.ts';
import { checkNewKeyFile, checkOutFolder } from '../out-folder.ts';
import { withProgress } from '../progress.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';
import { fromRoot, labelFor, writePlan } from './ibmi-plan.ts';
import { readCsr } from './tls.ts';

export interface IbmiIssueFlags {
  readonly apps: string;
  readonly csr?: string;
  /** True without a file. */
  readonly p12?: string | true;
  readonly compat: 'dcm' | 'modern';
  readonly keyType: string;
  readonly profile: string;
  readonly name?: readonly string[];
  readonly days?: number;
  readonly reason?: string;
  readonly label?: string;
  readonly previousLabel?: string;
  readonly clientCa?: string;
  readonly out: string;
}

const daySeconds = 86_400;

/** Gets a certificate for the servers of an IBM i from the broker, and writes the folder with everything that is to be done. */
export async function issueForIbmi(host: string, flags: IbmiIssueFlags, terminal: Terminal): Promise<Result> {
  // 1. Whatever could be wrong is found before a certificate is there that nobody can write down.
  const applications = chooseApplications(flags.apps);
  if ((flags.csr === undefined) === (flags.p12 === undefined))
    throw usage(
      'Give either --csr FILE or --p12.',
      'With --csr DCM made the key; with --p12 the broker makes it.',
    );
  const label = flags.label ?? labelFor(flags.apps, flags.previousLabel, terminal);
  checkPlanNames({ host, label, previousLabel: flags.previousLabel });
  checkOutFolder(flags.out);
  if (typeof flags.p12 === 'string') checkNewKeyFile(flags.p12);
  const csr = flags.csr === undefined ? undefined : readCsr(flags.csr);
  const next = 'Name the PEM file of the authority of clients.';
  const [clientAuthority] =
    flags.clientCa === undefined ? [] : readGivenFile(flags.clientCa, next, parseAuthorities);
  // 2. The certificate, for the name that is dialled and all others.
  const encryption = flags.compat === 'modern' ? 'modern' : 'compatible';
  const issued = await withSession(terminal, ({ client }) =>
    withProgress(
      terminal,
      'Getting a certificate',
      client.issueTls({
        profile: flags.profile,
        ...(csr === undefined
          ? { newKey: { type: flags.keyType, encryption, friendlyName: label } }
          : { csr }),
        names: [...new Set([host, ...(flags.name ?? [])])],
        ...(flags.days === undefined ? {} : { ttlSeconds: flags.days * daySeconds }),
        ...(flags.reason === undefined ? {} : { reason: flags.reason }),
        servedBy: { applications: applications.map(({ word }) => word), label },
      }),
    ),
  );
  // 3. The folder.
  const delivery: Delivery =
    issued.pkcs12 === undefined
      ? { kind: 'signed' }
      : { kind: 'pkcs12', bytes: issued.pkcs12.file, encryption };
  const certificate = new X509Certificate(issued.certificate);
  const above = [issued.root, ...issued.chain].map((pem) => new X509Certificate(pem));
  const written = orLost(issued, () => {
    if (typeof flags.p12 === 'string' && issued.pkcs12 !== undefined)
      writeByRename(flags.p12, issued.pkcs12.file, terminal.random, 0o600);
    return writePlan(
      {
        host,
        applications,
        label,
        previousLabel: flags.previousLabel,
        certificate,
        authorities: fromRoot(above, certificate),
        delivery,
        clientAuthority,
        madeMs: terminal.clock.nowMs(),
        version: terminal.version,
      },
      flags.out,
      terminal,
    );
  });
  return issued.pkcs12 === undefined ? written : withPassword(written, issued.pkcs12.password, terminal);
}

/** The only place where the password is: it is in no file of the folder. */
function withPassword(result: Result, password: string, { stdout }: Terminal): Result {
  return {
    ...result,
    value: { ...(result.value as object), password },
    lines: [...result.lines, ...fieldLines(stdout, [['password', password]])],
    notes: [
      {
        text: 'The password is shown this once; DCM asks for it when the bundle is imported.',
        tone: 'warning',
      },
      ...(result.notes ?? []),
    ],
  };
}

/** A certificate that could not be written down is out all the same. */
function orLost(issued: TlsIssued, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw new CodedError(error.code as `cli.${string}`, error.message, {
      next: `The certificate ${issued.issued.serial} was issued and is in no file: revoke it (sallyport admin revoke --serial ${issued.issued.serial}), and ask again when the cause is gone.`,
      details: error.details,
      cause: error,
    });
  }
}
