import type { Fact } from '../../tn5250/index.ts';

export const trustClients = ['acs', 'tn5250', 'tn5250j', 'jdbc', 'odbc', 'browser'] as const;
export type TrustClient = (typeof trustClients)[number];

/** What somebody must know to make one kind of client trust an authority. */
export interface ClientAdvice {
  readonly title: string;
  /** The file of the pack that it takes. */
  readonly file: string;
  readonly where: string;
  /** Whether it compares the name that was dialled with those in the certificate. */
  readonly names: string;
  readonly source: Fact;
}

const code = (source: string): Fact => ({ mark: 'verified', source });

/** Two lines for each client; which of them check names differs more than anybody expects. */
export const clientAdvice: Readonly<Record<TrustClient, ClientAdvice>> = {
  acs: {
    title: 'IBM i Access Client Solutions (Java)',
    file: 'ca-bundle.p7b',
    where:
      'Open Key Management in ACS and add the authority there, or put trust.p12 into the store of the Java that runs it. ODBC of the Windows application package has a store of its own: see odbc.',
    names:
      'Whether it checks the name of the host was not found out: put every name that people dial into the certificate.',
    source: { mark: 'unverified', source: 'from memory; section 9.7 of its guide' },
  },
  tn5250: {
    title: 'tn5250 (Linux)',
    file: 'ca-bundle.pem',
    where:
      'In ~/.tn5250rc: ssl_ca_file=/path/ca-bundle.pem together with +ssl_verify_server. Without the second it checks NOTHING: unknown authorities and expired certificates are taken.',
    names:
      'It does NOT check the name of the host, ever: any certificate of a trusted authority will do. Trust only an authority that issues for these hosts.',
    source: code('source of tn5250 0.19.0'),
  },
  tn5250j: {
    title: 'tn5250j (Java)',
    file: 'trust.p12',
    where:
      'Copy trust.p12 to the file “keystore” in its settings folder; the password is changeit. Without it, it asks to accept each certificate.',
    names: 'It does NOT check the name of the host.',
    source: code('source of tn5250j, 2021'),
  },
  jdbc: {
    title: 'JTOpen and JDBC (Java)',
    file: 'trust.p12',
    where:
      'Either -Djavax.net.ssl.trustStore=/path/trust.p12 -Djavax.net.ssl.trustStorePassword=changeit, or the properties “tls truststore” and its password. Never *ANY: it trusts everybody.',
    names:
      'JTOpen does NOT check the name of the host. Drivers for Go and Node (db2i, Mapepire) check it strictly: the very name that is dialled must be in the certificate.',
    source: code('source of IBM/JTOpen 21; issues of mapepire and vscode-ibmi'),
  },
  odbc: {
    title: 'ODBC of IBM i Access',
    file: 'ca/01-root.crt',
    where:
      'Windows: only its own tools import into its .kdb store; import each file of ca. Linux: the store of the distribution is NOT used (CWBCO1050, an open issue); see the manual of the driver.',
    names: 'Whether it checks the name of the host was not found out.',
    source: code('IBM Support, Importing Certificates, ACS WinAP; ibmi-oss-docs issue 147'),
  },
  browser: {
    title: 'Browsers',
    file: 'ca/01-root.der',
    where:
      'Windows: certmgr.msc, Trusted Root Certification Authorities, import ca/01-root.der; or by group policy. Firefox: Settings, Certificates, Authorities, import. Linux: ca-bundle.pem by the tools of the distribution.',
    names: 'They check the name of the host strictly, against the subjectAltName alone.',
    source: { mark: 'unverified', source: 'from memory' },
  },
};
