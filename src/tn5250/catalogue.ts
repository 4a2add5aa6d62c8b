import type { RestartWord } from './restarts.ts';

/**
 * How well something is known. `verified`: read in the named source, not tried on a real IBM i. `unverified`: from memory, check
 * it on your system first.
 */
export interface Fact {
  readonly mark: 'verified' | 'unverified';
  readonly source: string;
}

export interface ListeningPort {
  /** As the service table and the port mapper call it. */
  readonly service: string;
  readonly port: number;
  readonly source: Fact;
}

/** One application of the Digital Certificate Manager: what a certificate is assigned to. */
export interface Application {
  /** How commands name it, e.g. `telnet`. */
  readonly word: string;
  /** Undefined where the id was not found in any source: look it up in the system's own list. */
  readonly id: string | undefined;
  readonly idSource: Fact;
  readonly serves: string;
  /** A client application connects outwards and listens nowhere. */
  readonly role: 'server' | 'client';
  readonly clear: readonly ListeningPort[];
  readonly tls: readonly ListeningPort[];
  /** Undefined: nothing known of how it is restarted; a plan cannot be made for it. */
  readonly restart: RestartWord | undefined;
  /** Whether it can ask its clients for certificates. */
  readonly clientAuthentication: 'can' | 'unknown';
}

const tools: Fact = { mark: 'verified', source: 'ThePrez/DCM-tools, DcmAssignCmd' };
const ports: Fact = {
  mark: 'verified',
  source: 'IBM Support, TCP/IP Ports Required for IBM i Access and Related Functions; IBM/JTOpen PortMapper',
};
const ldapPorts: Fact = { mark: 'verified', source: 'joekane.eu, list of ports' };
const memory: Fact = { mark: 'unverified', source: 'from memory' };

const at = (service: string, port: number, source: Fact = ports): ListeningPort => ({
  service,
  port,
  source,
});

function hostServer(word: string, serves: string, port: number): Application {
  return {
    word,
    id: `QIBM_OS400_QZBS_SVR_${word.toUpperCase()}`,
    idSource: tools,
    serves,
    role: 'server',
    clear: [at(`as-${word}`, port)],
    tls: [at(`as-${word}-s`, port + 1000)],
    restart: 'hostservers',
    clientAuthentication: 'unknown',
  };
}

function client(word: string, id: string, serves: string): Application {
  return {
    word,
    id,
    idSource: tools,
    serves,
    role: 'client',
    clear: [],
    tls: [],
    restart: undefined,
    clientAuthentication: 'unknown',
  };
}

/** Servers first, by what most people secure first. A system's own list may have more: see `parseUsageCsv`. */
export const applications: readonly Application[] = [
  {
    word: 'telnet',
    id: 'QIBM_QTV_TELNET_SERVER',
    idSource: tools,
    serves: 'Telnet: 5250 sessions',
    role: 'server',
    clear: [at('telnet', 23)],
    tls: [at('telnet-ssl', 992)],
    restart: 'telnet',
    clientAuthentication: 'can',
  },
  hostServer('central', 'licences, code page tables', 8470),
  hostServer('database', 'SQL, ODBC, JDBC', 8471),
  hostServer('dtaq', 'data queues', 8472),
  hostServer('file', 'integrated file system', 8473),
  hostServer('netprt', 'spooled files, printers', 8474),
  hostServer('rmtcmd', 'commands, program calls', 8475),
  hostServer('signon', 'sign-on, password change', 8476),
  {
    word: 'hostcnn',
    id: undefined,
    idSource: { mark: 'unverified', source: 'id not found in any source; look on a system with release 7.6' },
    serves: 'host connection server of release 7.6, for multi-factor sign-on; TLS only',
    role: 'server',
    clear: [],
    tls: [at('as-hostcnn-s', 9480)],
    restart: undefined,
    clientAuthentication: 'unknown',
  },
  {
    word: 'ddm',
    id: 'QIBM_OS400_QRW_SVR_DDM_DRDA',
    idSource: tools,
    serves: 'DDM and DRDA: remote files and databases',
    role: 'server',
    clear: [at('drda', 446)],
    tls: [at('ddm-ssl', 448)],
    restart: 'ddm',
    clientAuthentication: 'unknown',
  },
  {
    word: 'ldap',
    id: 'QIBM_GLD_DIRSRV_SERVER',
    idSource: tools,
    serves: 'Directory Server (LDAP)',
    role: 'server',
    clear: [at('ldap', 389, ldapPorts)],
    tls: [at('ldaps', 636, ldapPorts)],
    restart: 'directory',
    clientAuthentication: 'can',
  },
  {
    word: 'ftp',
    id: 'QIBM_QTMF_FTP_SERVER',
    idSource: tools,
    serves: 'FTP',
    role: 'server',
    clear: [at('ftp-control', 21)],
    tls: [at('ftps', 990, memory)],
    restart: 'ftp',
    clientAuthentication: 'can',
  },
  {
    word: 'smtp',
    id: 'QIBM_QTMS_SMTP_SERVER',
    idSource: tools,
    serves: 'mail, sending',
    role: 'server',
    clear: [at('smtp', 25, memory)],
    tls: [],
    restart: 'smtp',
    clientAuthentication: 'unknown',
  },
  {
    word: 'pop',
    id: 'QIBM_QTMM_POP_SERVER',
    idSource: tools,
    serves: 'mail, fetching',
    role: 'server',
    clear: [at('pop3', 110, memory)],
    tls: [at('pop3s', 995, memory)],
    restart: 'pop',
    clientAuthentication: 'unknown',
  },
  ...(
    [
      ['cluster', 'QIBM_QCST_CLUSTER_SECURITY', 'clustering'],
      ['journal', 'QIBM_QJO_RMT_JRN_TGT', 'remote journal'],
      ['vpn', 'QIBM_QTOK_VPN_KEYMGR', 'VPN key manager'],
    ] as const
  ).map(([word, id, serves]): Application => ({ ...client(word, id, serves), role: 'server' })),
  client('telnet-client', 'QIBM_QTV_TELNET_CLIENT', 'Telnet, outwards'),
  client('ddm-client', 'QIBM_OS400_QRW_CLT_DDM_DRDA', 'DDM and DRDA, outwards'),
  client('ftp-client', 'QIBM_QTMF_FTP_CLIENT', 'FTP, outwards'),
  client('ldap-client', 'QIBM_GLD_DIRSRV_CLIENT', 'LDAP, outwards'),
  client('eim-client', 'QIBM_QSY_EIM_CLIENT', 'Enterprise Identity Mapping, outwards'),
];

/** By word or application id, whatever the case of letters. */
export function findApplication(name: string): Application | undefined {
  const [word, id] = [name.toLowerCase(), name.toUpperCase()];
  return applications.find((application) => application.word === word || application.id === id);
}

/** The application and service that a port is for, where the catalogue knows one. */
export function nameOfPort(
  port: number,
): { readonly application: Application; readonly service: string; readonly tls: boolean } | undefined {
  for (const application of applications) {
    const clear = application.clear.find((listening) => listening.port === port);
    const tls = application.tls.find((listening) => listening.port === port);
    const found = clear ?? tls;
    if (found !== undefined) return { application, service: found.service, tls: tls !== undefined };
  }
  return undefined;
}
