/**
 * doors/sinks: the ways out: requests to take a host off the net, and copies of the log: how an entry looks to others (RFC 5424, CEF, OCSF, JSON lines) and how it gets
 * there (syslog over TLS, HTTPS, mail, a file). It decides nothing, keeps no position and tries nothing twice: that is the work of
 * `src/broker/deliver-log.ts`, whose `Sink` it implements.
 */
export { onlyTypes } from './chosen-types.ts';
export { entryTitle } from './event-words.ts';
export { createFileSink, type FileSinkOptions } from './file.ts';
export { createLine, createSyslogMessage, type FormatName } from './format.ts';
export { createMailSink, type MailSinkOptions } from './mail.ts';
export { ocsfVersion } from './ocsf.ts';
export type { LineContext } from './opened-entry.ts';
export { quarantineByCommand, quarantineByWebhook } from './quarantine.ts';
export { exampleEnterpriseNumber } from './rfc5424.ts';
export { createSyslogSink, type ClientTls, type SyslogSinkOptions } from './syslog-tls.ts';
export { createWebhookSink, type WebhookAddress, type WebhookSinkOptions } from './webhook.ts';
