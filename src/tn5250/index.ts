/**
 * tn5250: what an IBM i speaks and serves, as far as one can tell from outside: the first bytes of telnet, the answer of the
 * port mapper, and the catalogue of servers, ports and restart commands as data.
 * It opens no connection, logs in nowhere, and promises nothing about a real IBM i: each fact carries where it was read, and none
 * was tried on one. Specification: RFC 854, RFC 1205, RFC 4777 for the bytes; the sources named in the catalogue for the rest.
 */
export {
  applications,
  findApplication,
  nameOfPort,
  type Application,
  type Fact,
  type ListeningPort,
} from './catalogue.ts';
export { chooseApplications, groups, listApplications } from './choose-applications.ts';
export {
  parsePortMapperAnswer,
  portMapperQuestion,
  portMapperPort,
  portMapperAnswerBytes,
} from './port-mapper.ts';
export { sessionNeeds, type SessionNeed } from './session-needs.ts';
export { restartPlan, restarts, type Restart, type RestartWord } from './restarts.ts';
export {
  parseTelnet,
  recogniseTelnet,
  telnetOptions,
  type TelnetItem,
  type TelnetVerdict,
} from './telnet.ts';
export { parseUsageCsv, type CertificateUsage } from './usage-csv.ts';
