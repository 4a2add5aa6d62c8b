import type { Application, Fact } from './catalogue.ts';

/** Servers that are restarted together, in the order in which a plan restarts them: those that cut the fewest people first. */
export type RestartWord = 'directory' | 'smtp' | 'pop' | 'ftp' | 'ddm' | 'hostservers' | 'telnet';

export interface Restart {
  readonly word: RestartWord;
  /** CL commands; nothing else in a plan ends or starts these servers. */
  readonly end: string;
  readonly start: string;
  /** Whom the end hits, as a sentence. */
  readonly cuts: string;
  /** Of the commands. */
  readonly source: Fact;
  readonly cutsSource: Fact;
  /** Value of `name_list`, and which module of the Ansible collection ibm.power_ibmi takes it. */
  readonly ansible: {
    readonly module: 'ibmi_tcp_server_service' | 'ibmi_host_server_service';
    readonly name: string;
  };
}

const memory: Fact = { mark: 'unverified', source: 'from memory' };
const values: Fact = {
  mark: 'verified',
  source:
    'the value: IBM ansible-for-i, ibmi_tcp_server_service; the command: tn5250 README.ssl, for *TELNET',
};

function tcpServer(
  word: RestartWord,
  name: string,
  cuts: string,
  sources: Partial<Pick<Restart, 'source' | 'cutsSource'>> = {},
): Restart {
  return {
    word,
    end: `ENDTCPSVR SERVER(${name})`,
    start: `STRTCPSVR SERVER(${name})`,
    cuts,
    source: sources.source ?? values,
    cutsSource: sources.cutsSource ?? memory,
    ansible: { module: 'ibmi_tcp_server_service', name },
  };
}

/**
 * Whether a server must be restarted at all when a certificate that is already assigned changes is not settled: a plan restarts, and
 * the probe shows whether it was enough.
 */
export const restarts: readonly Restart[] = [
  tcpServer('directory', '*DIRSRV', 'every program that is asking the Directory Server (LDAP)'),
  tcpServer('smtp', '*SMTP', 'mail that is on its way in; senders try again'),
  tcpServer('pop', '*POP', 'everybody who is fetching mail'),
  tcpServer('ftp', '*FTP', 'every FTP session and every transfer that is under way'),
  tcpServer(
    'ddm',
    '*DDM',
    'remote database connections (DRDA) and remote file access (DDM), also those of other systems',
  ),
  {
    word: 'hostservers',
    end: 'ENDHOSTSVR SERVER(*ALL)',
    start: 'STRHOSTSVR SERVER(*ALL)',
    cuts: 'new connections of ACS, ODBC, JDBC, data queues, file and print services until they are started again; expect that open ones break, too',
    source: {
      mark: 'verified',
      source: 'db2i driver README; IBM: STRHOSTSVR also starts the port mapper (449) again',
    },
    cutsSource: memory,
    ansible: { module: 'ibmi_host_server_service', name: '*ALL' },
  },
  tcpServer(
    'telnet',
    '*TELNET',
    'every 5250 session at once, with TLS and without, your own too: unsaved work is lost',
    {
      source: { mark: 'verified', source: 'tn5250 README.ssl' },
      cutsSource: { mark: 'verified', source: 'IBM, ENDTCPSVR: active sessions end at once' },
    },
  ),
];

/** What must be restarted for these applications, each once, in the order of `restarts`. */
export function restartPlan(chosen: readonly Application[]): readonly Restart[] {
  const words = new Set(chosen.map(({ restart }) => restart));
  return restarts.filter(({ word }) => words.has(word));
}
