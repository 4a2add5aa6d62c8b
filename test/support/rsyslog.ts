import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { findPeer } from './peers.ts';
import { makeSinkTls, type SinkTls } from './sink-tls.ts';
import { untilListening } from './slapd.ts';

/** What rsyslog understood of a message. */
export interface Received {
  readonly pri: string;
  readonly time: string;
  readonly host: string;
  readonly app: string;
  readonly msgid: string;
  readonly sd: string;
  readonly msg: string;
}

/** A real rsyslog that takes RFC 5425 on loopback from clients with a certificate of its authority. */
export interface Rsyslog {
  readonly port: number;
  readonly tls: SinkTls;
  received(): readonly Received[];
  start(): Promise<void>;
  /** SIGKILL unless said otherwise. */
  stop(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Stops answering without closing a connection, and goes on. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

const properties = [
  ['pri', 'pri'],
  ['time', 'timereported" dateFormat="rfc3339'],
  ['host', 'hostname'],
  ['app', 'app-name'],
  ['msgid', 'msgid'],
  ['sd', 'structured-data'],
  ['msg', 'msg'],
] as const;

/** rsyslog's TLS by OpenSSL or by GnuTLS. */
export type Driver = 'ossl' | 'gtls';

/** @param permittedPeer takes only certificates of this name, and turns others down after the handshake. */
export async function startRsyslog(tlsDriver: Driver, permittedPeer?: string): Promise<Rsyslog> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-rsyslog-'));
  const at = (name: string): string => join(folder, name);
  const tls = makeSinkTls(at('tls'));
  const port = await freePort();
  const who = permittedPeer === undefined ? 'certvalid"' : `name" PermittedPeer=["${permittedPeer}"]`;
  const driver = `StreamDriver.Name="${tlsDriver}" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/${who}`;
  writeFileSync(
    at('rsyslog.conf'),
    `global(workDirectory="${folder}" maxMessageSize="256k" DefaultNetstreamDriver="${tlsDriver}"
  DefaultNetstreamDriverCAFile="${tls.caFile}"
  DefaultNetstreamDriverCertFile="${tls.certificateFile('server')}" DefaultNetstreamDriverKeyFile="${tls.keyFile('server')}")
module(load="imtcp" ${driver})
template(name="line" type="list" option.jsonf="on") {
${properties.map(([out, name]) => `  property(outname="${out}" name="${name}" format="jsonf")`).join('\n')}
}
ruleset(name="keep") { action(type="omfile" file="${at('received.jsonl')}" template="line") }
input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="keep")
`,
  );
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = spawn(findPeer('rsyslogd') ?? 'rsyslogd', ['-n', '-f', at('rsyslog.conf'), '-i', at('pid')], {
      stdio: 'ignore',
    });
    await untilListening('127.0.0.1', port, child);
  };
  const stop = async (signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
    rmSync(at('pid'), { force: true });
  };
  await start();
  return {
    port,
    tls,
    received() {
      if (!existsSync(at('received.jsonl'))) return [];
      // A line that SIGKILL cut in two is not received.
      const lines = readFileSync(at('received.jsonl'), 'utf8').split('\n').slice(0, -1);
      return lines.map((line) => JSON.parse(line) as Received);
    },
    start,
    stop,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
