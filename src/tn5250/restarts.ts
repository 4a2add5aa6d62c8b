import type { Application, Fact } from './catalogue.ts';

/** Servers that are restarted together, in the order in which a plan restarts them: those that cut the fewest people first. */
export type RestartWord = 'directory' | 'mail' | 'ftp' | 'ddm' | 'hostservers' | 'telnet';

export interface Restart {
  readonly word: RestartWord;
  /** CL commands; nothing else in a plan ends or starts these servers. */
  readonly end: string;
  readonly start: string;
  /** Whom the end hits, as a sentence. */
  readonly cuts: string;
  readonly source: Fact;
  /** Value of `name_list`, and which module of the Ansible collection ibm.power_ibmi takes it. */
  readonly ansible: {
    readonly module: 'ibmi_tcp_server_service' | 'ibmi_host_server_service';
    readonly name: string;
  };
}

const memory: Fact = { mark: 'unverified', source: 'from memory' };

/**
 * Whether a server must be restarted at all when a certificate that is already assigned changes is not settled: a plan restarts, and
 * the probe shows whether it was enough.
 */
export const restarts: readonly Restart[] = [
  {
    word: 'directory',
    end: 'ENDTCPSVR SERVER(*DIRSRV)',
    start: 'STRTCPSVR SERVER(*DIRSRV)',
    cuts: 'every program that is asking the Directory Server (LDAP)',
    source: memory,
    ansible: { module: 'ibmi_tcp_server_service', name: '*DIRSRV' },
  },
  {
    word: 'mail',
    end: 'ENDTCPSVR SERVER(*POP)',
    start: 'STRTCPSVR SERVER(*POP)',
    cuts: 'everybody who is fetching mail',
    source: memory,
    ansible: { module: 'ibmi_tcp_server_service', name: '*POP' },
  },
  {
    word: 'ftp',
    end: 'ENDTCPSVR SERVER(*FTP)',
    start: 'STRTCPSVR SERVER(*FTP)',
    cuts: 'every FTP session and every transfer that is under way',
    source: memory,
    ansible: { module: 'ibmi_tcp_server_service', name: '*FTP' },
  },
  {
    word: 'ddm',
    end: 'ENDTCPSVR SERVER(*DDM)',
    start: 'STRTCPSVR SERVER(*DDM)',
    cuts: 'remote database connections (DRDA) and remote file access (DDM), also those of other systems',
    source: memory,
    ansible: { module: 'ibmi_tcp_server_service', name: '*DDM' },
  },
  {
    word: 'hostservers',
    end: 'ENDHOSTSVR SERVER(*ALL)',
    start: 'STRHOSTSVR SERVER(*ALL)',
    cuts: 'new connections of ACS, ODBC, JDBC, data queues, file and print services until they are started again; expect that open ones break, too',
    source: {
      mark: 'verified',
      source: 'db2i driver README; IBM: STRHOSTSVR also starts the port mapper (449) again',
    },
    ansible: { module: 'ibmi_host_server_service', name: '*ALL' },
  },
  {
    word: 'telnet',
    end: 'ENDTCPSVR SERVER(*TELNET)',
    start: 'STRTCPSVR SERVER(*TELNET)',
    cuts: 'every 5250 session at once, with TLS and without, your own too: unsaved work is lost',
    source: { mark: 'verified', source: 'tn5250 README.ssl; IBM: ENDTCPSVR ends active sessions at once' },
    ansible: { module: 'ibmi_tcp_server_service', name: '*TELNET' },
  },
];

/** What must be restarted for these applications, each once, in the order of `restarts`. */
export function restartPlan(chosen: readonly Application[]): readonly Restart[] {
  const words = new Set(chosen.map(({ restart }) => restart));
  return restarts.filter(({ word }) => words.has(word));
}
