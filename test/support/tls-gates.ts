import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './departures.ts';
import { freePort } from './free-port.ts';
import { findPeer } from './peers.ts';
import { untilListening } from './slapd.ts';

/** PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

export interface GateOptions {
  readonly server: Pair;
  /** Of the authority that signed for server and callers, PEM. */
  readonly issuing: string;
  readonly root: string;
  /** Lines of the configuration that say how revocation is looked up; `FOLDER` in them is where `files` are. */
  readonly checks: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

export interface Login {
  /** What the web server at the end says; undefined: not let in. */
  readonly answer: string | undefined;
  /** Of TLS, to come back with. */
  readonly session: Buffer | undefined;
}

/** A real TLS server that lets in who has a certificate of our authority. */
export interface TlsGate {
  /** One login, on a connection of its own. */
  logIn(caller: Partial<Pair>, session?: Buffer): Promise<Login>;
  /** Puts another file in the place of one. */
  write(name: string, content: string): void;
  /** Tells nginx to read its files anew. Resolves when no worker is left that has read the old ones. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** nginx. It answers with the name that it took the caller for. */
export async function startNginx(options: GateOptions): Promise<TlsGate> {
  const { folder, at, checks } = newFolder(options);
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    at('nginx.conf'),
    `daemon off; worker_processes 1; pid ${at('pid')}; error_log ${at('error.log')};
${process.getuid?.() === 0 ? 'user root;' : ''}
events { }
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${at(name)};`).join('\n')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${at('server.pem')};
    ssl_certificate_key ${at('server.key')};
    ssl_verify_client on;
    ssl_client_certificate ${at('ca.pem')};
    ssl_verify_depth 2;
${checks.map((line) => `    ${line};`).join('\n')}
    return 200 "$ssl_client_s_dn";
  }
}
`,
  );
  const program = findPeer('nginx') ?? 'nginx';
  const child = spawn(program, ['-p', folder, '-c', at('nginx.conf'), '-e', at('error.log')], {
    stdio: 'ignore',
  });
  return opened({ child, folder, port, root: options.root });
}

/** stunnel, with a web server behind it that answers everybody. */
export async function startStunnel(options: GateOptions): Promise<TlsGate> {
  const { folder, at, checks } = newFolder(options);
  const behind = createServer((_request, answer) => answer.end('behind')).listen(0, '127.0.0.1');
  await once(behind, 'listening');
  const port = await freePort();
  writeFileSync(
    at('stunnel.conf'),
    `foreground = yes
pid =
output = ${at('error.log')}
[gate]
accept = 127.0.0.1:${port}
connect = 127.0.0.1:${(behind.address() as AddressInfo).port}
cert = ${at('server.pem')}
key = ${at('server.key')}
CAfile = ${at('ca.pem')}
verifyChain = yes
${checks.join('\n')}
`,
  );
  const child = spawn(findPeer('stunnel4') ?? 'stunnel4', [at('stunnel.conf')], { stdio: 'ignore' });
  const gate = await opened({ child, folder, port, root: options.root });
  return {
    ...gate,
    async close() {
      await gate.close();
      behind.close();
    },
  };
}

function newFolder(options: GateOptions): {
  folder: string;
  at: (name: string) => string;
  checks: readonly string[];
} {
  const { server, issuing, root, checks, files } = options;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-gate-'));
  const at = (name: string): string => join(folder, name);
  const all = {
    'server.pem': server.certificate + issuing,
    'server.key': server.key,
    'ca.pem': issuing + root,
    ...files,
  };
  for (const [name, content] of Object.entries(all)) writeFileSync(at(name), content, { mode: 0o600 });
  return { folder, at, checks: checks.map((line) => line.replaceAll('FOLDER', folder)) };
}

interface Started {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly port: number;
  readonly root: string;
}

async function opened({ child, folder, port, root }: Started): Promise<TlsGate> {
  await untilListening('127.0.0.1', port, child);
  return {
    logIn: (caller, session) => logIn({ port, root, caller, session }),
    write: (name, content) => writeFileSync(join(folder, name), content),
    async reload() {
      const before = workersOf(child);
      child.kill('SIGHUP');
      await until(() => before.every((worker) => !workersOf(child).includes(worker)), 30_000);
    },
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function workersOf({ pid }: ChildProcess): readonly string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
}

interface Attempt {
  readonly port: number;
  readonly root: string;
  readonly caller: Partial<Pair>;
  readonly session: Buffer | undefined;
}

function logIn({ port, root, caller, session }: Attempt): Promise<Login> {
  return new Promise((resolve) => {
    let held: Buffer | undefined;
    const asked = request({
      host: '127.0.0.1',
      port,
      ca: root,
      agent: false,
      cert: caller.certificate,
      key: caller.key,
      ...(session && { session }),
    });
    const turnedAway = (): void => resolve({ answer: undefined, session: held });
    asked.on('socket', (socket) => socket.on('session', (given: Buffer) => (held = given)));
    asked.on('error', turnedAway);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('error', turnedAway);
      response.on('end', () =>
        resolve({ answer: response.statusCode === 200 ? text : undefined, session: held }),
      );
    });
    asked.end();
  });
}
