import { restartPlan, sessionNeeds, type Fact } from '../../tn5250/index.ts';
import { namesOf } from '../probe/index.ts';
import {
  authorityPath,
  certificatePath,
  clientAuthorityPath,
  isAmong,
  type PlanInput,
} from './plan-input.ts';

/** A line of a step: words, in which `code` stands in backticks, or a command to be typed. */
export type PlanLine =
  | { readonly kind: 'words'; readonly text: string; readonly fact?: Fact }
  | { readonly kind: 'command'; readonly text: string; readonly where: 'CL' | 'shell'; readonly fact?: Fact };

export interface PlanStep {
  readonly title: string;
  readonly lines: readonly PlanLine[];
}

const memory: Fact = { mark: 'unverified', source: 'from memory' };
const read = (source: string): Fact => ({ mark: 'verified', source });
const words = (text: string, fact?: Fact): PlanLine => ({
  kind: 'words',
  text,
  ...(fact === undefined ? {} : { fact }),
});
const cl = (text: string, fact?: Fact): PlanLine => ({
  kind: 'command',
  where: 'CL',
  text,
  ...(fact === undefined ? {} : { fact }),
});
const shell = (text: string): PlanLine => ({ kind: 'command', where: 'shell', text });

/** What is done, in this order. Every command that ends or starts a server comes from the catalogue. */
export function planSteps(input: PlanInput): readonly PlanStep[] {
  return [
    before(input),
    transfer(input),
    importAuthorities(input),
    importCertificate(input),
    clientAuthentication(input),
    assign(input),
    restart(input),
    check(input),
    rollBack(input),
    ...(input.applications.some(({ word }) => word === 'telnet') ? [closeClear()] : []),
  ];
}

function before({ host, previousLabel }: PlanInput): PlanStep {
  return {
    title: 'Before you begin',
    lines: [
      words('Read this to the end once. Step 7 cuts people off: agree on the time with them first.'),
      words(
        'Have a user profile with the special authorities *ALLOBJ and *SECADM, and the password of the *SYSTEM store.',
        read('IBM, Configuring Telnet and Host Servers; db2i driver README'),
      ),
      words(`Have a way in that step 7 does not cut: the console, or SSH to ${host}.`),
      words(
        previousLabel === undefined
          ? 'Write down which certificate each application has now, in DCM under the definition of the application: the way back needs it.'
          : `The certificate that is assigned now has the label \`${previousLabel}\`. Do not remove it: the way back needs it.`,
      ),
      words(
        'Save the store before you change it: the folder `/QIBM/UserData/ICSS/Cert`, the password stash (SAVSECDTA) and the assignments (QUSRSYS/QYCDCERTI), all three, or it can be lost.',
        read('IBM Support, How to Backup/Migrate/Replicate DCM'),
      ),
    ],
  };
}

function transfer({ delivery, label }: PlanInput): PlanStep {
  return {
    title: 'Bring the files to the system',
    lines: [
      words('Check that nothing was damaged on the way here, in this folder:'),
      shell('sha256sum -c SHA256SUMS'),
      delivery.kind === 'pkcs12'
        ? words(
            `Transfer \`${label}.p12\` in binary mode. It holds the private key: remove it from every place between when it is imported.`,
            read('IBM Support, An asn.1 encoding/decoding error occurred'),
          )
        : words(
            'The private key is already there: DCM made it together with the request. No secret travels.',
          ),
      words(
        'Transfer the files in `ca` and `*.crt` in text mode, or mark them with CCSID 819 or 1208 afterwards.',
        memory,
      ),
      words(
        '“An asn.1 encoding/decoding error occurred” later means a wrong transfer mode, or a PKCS#12 file newer than this DCM knows; then ask for one with `--compat dcm`.',
        read('IBM Support, page of that title'),
      ),
    ],
  };
}

function importAuthorities(input: PlanInput): PlanStep {
  const foreign = input.clientAuthority !== undefined && !isAmong(input.clientAuthority, input.authorities);
  return {
    title: 'Import the certificates of the authorities, these first',
    lines: [
      words(
        'Open DCM in a browser: port 2006, or 2007 where it has TLS already. Choose the *SYSTEM store and give its password.',
        read('IBM Support, ports page'),
      ),
      words(
        'Import as **certificate authority**, in this order. One that is there already is told by its fingerprint: skip it.',
        memory,
      ),
      ...input.authorities.map((authority, nth) =>
        words(`\`${authorityPath(input, nth)}\`, SHA-256 \`${authority.fingerprint256}\``),
      ),
      ...(foreign && input.clientAuthority !== undefined
        ? [
            words(
              `\`${clientAuthorityPath}\`, for the certificates of clients, SHA-256 \`${input.clientAuthority.fingerprint256}\``,
            ),
          ]
        : []),
    ],
  };
}

function importCertificate(input: PlanInput): PlanStep {
  const { delivery, label } = input;
  return {
    title: `Import the certificate under the new label ${label}`,
    lines: [
      delivery.kind === 'pkcs12'
        ? words(
            `Import \`${label}.p12\` as **server or client** certificate. The password was shown once when the file was made; it is kept nowhere.`,
            memory,
          )
        : words(
            `Import \`${certificatePath(input)}\` as **server or client** certificate. It completes the request that DCM made; give it the label \`${label}\` if DCM asks.`,
            memory,
          ),
      words(
        'Never use a label again, and never a key: DCM skips an entry whose label or public key it has already, and says nothing.',
        read('IBM, API QykmImportKeyStore'),
      ),
      ...input.authorities
        .filter((authority) => authority.validToDate < input.certificate.validToDate)
        .map((authority) =>
          words(
            `**Look out:** the authority \`${authority.subject.split('\n').join(', ')}\` ends ${authority.validTo}, before this certificate: from then on nobody accepts it.`,
          ),
        ),
      words('Look at what DCM shows of it before you go on:'),
      words(`names \`${namesOf(input.certificate).join('`, `')}\``),
      words(`good until \`${dateOf(input)}\`, serial \`${input.certificate.serialNumber}\``),
    ],
  };
}

function clientAuthentication({ applications, clientAuthority, authorities }: PlanInput): PlanStep {
  const able = applications.filter((one) => one.clientAuthentication === 'can');
  const unknown = applications.filter((one) => one.clientAuthentication !== 'can');
  if (clientAuthority === undefined)
    return {
      title: 'Client authentication stays as it is',
      lines: [
        words(
          'Nobody asked that clients need a certificate. Leave “Client authentication required” as it stands in each application definition.',
        ),
        words(
          'Do not add authorities to the trust list of an application that does not ask for certificates.',
        ),
      ],
    };
  return {
    title: 'Let in only clients that have a certificate',
    lines: [
      words(
        'Do this only when every client has its certificate: from step 7 on, a client without one gets no session.',
        read('IBM, Controlling Telnet access'),
      ),
      ...able.map(({ id }) =>
        words(
          `\`${id ?? ''}\`: set “Client authentication required” to yes.`,
          read('IBM, DCM application definitions'),
        ),
      ),
      words(
        `In the trust list of the application define exactly one authority as trusted: \`${clientAuthority.subject.split('\n').join(', ')}\`. Do not trust all authorities of the store.`,
        read('IBM, DCM APIs'),
      ),
      ...(isAmong(clientAuthority, authorities)
        ? [
            words(
              'The same authority vouches for servers: whoever runs one of them could come in as a client. An authority of its own for clients is safer.',
            ),
          ]
        : []),
      ...(unknown.length === 0
        ? []
        : [
            words(
              `No document says that ${listed(unknown.map(({ word }) => word))} can ask for client certificates: leave them as they are.`,
              memory,
            ),
          ]),
      words(
        'A certificate alone signs nobody on: the sign-on screen still asks for user and password, unless an exit program says otherwise.',
        read('IBM, INIT0100 exit'),
      ),
    ],
  };
}

function assign({ applications, label, previousLabel }: PlanInput): PlanStep {
  return {
    title: `Assign ${label} to each application`,
    lines: [
      words('In DCM, “Manage application definitions”, for each of these, and to no other:', memory),
      ...applications.map(({ id, serves, idSource }) => words(`\`${id ?? ''}\` (${serves})`, idSource)),
      words(
        'An application takes up to four certificates. Replace the old one; do not add the new one beside it, or either may be served.',
        read('IBM docs 7.4, Managing the certificate assignment'),
      ),
      ...(previousLabel === undefined
        ? []
        : [words(`Only the assignment of \`${previousLabel}\` goes; the certificate stays in the store.`)]),
    ],
  };
}

function restart({ applications }: PlanInput): PlanStep {
  return {
    title: 'Restart the servers, in this order',
    lines: [
      words(
        'Type this at the console or over SSH, **never in a 5250 session**: it would cut itself off in the middle.',
        memory,
      ),
      ...restartPlan(applications).flatMap(({ end, start, cuts, source, cutsSource }) => [
        words(`This cuts ${cuts}.`, cutsSource),
        cl(end, source),
        words('Wait until the server has ended: a start that comes too early is lost.', memory),
        cl(start, source),
      ]),
      words(
        'Whether a restart is always needed is not settled. If nobody may be cut off now, look with the probe first (step 8): the new certificate may be served already.',
        memory,
      ),
    ],
  };
}

function check(input: PlanInput): PlanStep {
  const { host, applications } = input;
  const ports = applications.flatMap(({ tls }) => tls.map(({ port }) => port));
  const needs = sessionNeeds.filter(({ port }) => !ports.includes(port));
  const isTelnet = applications.some(({ word }) => word === 'telnet');
  return {
    title: 'Check what is really served',
    lines: [
      words(
        'From another computer, in this folder. It makes one connection to each port and sends no user name and no password:',
      ),
      shell(
        `sallyport probe ${host} --ca ${authorityPath(input, 0)} --ports ${[...new Set([...(isTelnet ? [449] : []), ...ports])].join(',')}`,
      ),
      words(
        `Each port must show TLS, “ours”, and the new end: ${dateOf(input)}. The fingerprint in \`--json\` must be \`${input.certificate.fingerprint256.replaceAll(':', '').toLowerCase()}\`.`,
      ),
      ...(isTelnet && needs.length > 0
        ? [
            words(
              `A 5250 session of ACS needs ${needs.map(({ port, service }) => `${port} (${service})`).join(', ')} as well, which this plan does not change.`,
              read('IBM Support, ports page'),
            ),
          ]
        : []),
      words(
        'On the system: `NETSTAT *CNN`, F14 for port numbers; each TLS port must be in the state listen.',
        read('tn5250 README.ssl'),
      ),
      words(
        'If Telnet does not answer, the job log of QTVTELNET has the return code: -2 no certificate assigned, -4 bad or untrusted, -16 the peer is not known, -18 self-signed.',
        read('IBM docs 7.1, SSL return codes'),
      ),
    ],
  };
}

function rollBack({ applications, previousLabel, label }: PlanInput): PlanStep {
  return {
    title: 'The way back',
    lines: [
      words(
        previousLabel === undefined
          ? 'In DCM, assign to each application what it had before (step 1). If it had none, remove the assignment: its TLS port then closes.'
          : `In DCM, assign \`${previousLabel}\` to each application again, in the place of \`${label}\`.`,
      ),
      words('Restart the same servers again; it cuts the same people:'),
      ...restartPlan(applications).flatMap(({ end, start, source }) => [cl(end, source), cl(start, source)]),
      words(
        'Check again as in step 8. Remove nothing from the store before the new certificate has served for a week.',
      ),
      words('If the old certificate was revoked meanwhile, it must not come back: ask for a new one.'),
    ],
  };
}

function closeClear(): PlanStep {
  return {
    title: 'Later: end clear text',
    lines: [
      words('TLS on 992 does not close 23: until somebody does, passwords can still be sent in the clear.'),
      words('When nobody uses 23 any more (`NETSTAT *CNN` shows who does):'),
      cl('CHGTELNA ALWSSL(*ONLY)', {
        mark: 'unverified',
        source: 'nicklitten.com; the spelling of the keyword is from memory: prompt the command with F4',
      }),
      words(
        'The host servers have no such switch: restrict 8470 to 8476 by port restrictions or a firewall. Some programs on the system use them on loopback.',
        read('IBM Support, How to configure the IBM i Host Servers for SSL Only'),
      ),
    ],
  };
}

function dateOf({ certificate }: PlanInput): string {
  return `${certificate.validToDate.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}
