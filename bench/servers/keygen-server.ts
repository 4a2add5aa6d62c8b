// The peer of target 5, what is built around ssh-keygen: HTTPS, express with its JSON parser, a session token that is looked up
// by its SHA-256, `ssh-keygen -s` in a folder of the request's own, and one row in SQLite (write-ahead log, synchronous=FULL) that
// is committed by itself before the answer. Arguments: folder, port, CA key, TLS certificate, TLS key.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import express, { type Request, type Response } from 'express';

const [folder = '', port = '', caFile = '', certificateFile = '', keyFile = ''] = process.argv.slice(2);
const run = promisify(execFile);

interface Session {
  readonly login: string;
  readonly expiresMs: number;
}

const tokenHash = (token: string): string => createHash('sha256').update(token).digest('base64');
const sessions = new Map<string, Session>([
  [tokenHash('bench'), { login: 'alice', expiresMs: Date.now() + 3_600_000 }],
]);
// As many as a broker has on a working day.
for (let other = 0; other < 1000; other += 1)
  sessions.set(tokenHash(randomBytes(16).toString('hex')), { login: `person${other}`, expiresMs: Infinity });

const database = new DatabaseSync(join(folder, 'keygen-server.db'));
database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
  CREATE TABLE certificate (
    serial INTEGER PRIMARY KEY, key_id TEXT NOT NULL, login TEXT NOT NULL, public_key TEXT NOT NULL, certificate TEXT NOT NULL,
    issued_ms INTEGER NOT NULL
  ) STRICT`);
const insert = database.prepare('INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?)');
let serial = 0;

async function issue(publicKey: string, login: string): Promise<string> {
  serial += 1;
  const [number, keyId] = [serial, `sp-${randomBytes(8).toString('hex')}`];
  const own = await mkdtemp(join(folder, 'request-'));
  try {
    await writeFile(join(own, 'id.pub'), `${publicKey}\n`);
    const options = ['-I', keyId, '-n', login, '-V', '-1m:+8h', '-z', String(number)];
    await run('ssh-keygen', ['-q', '-s', caFile, ...options, join(own, 'id.pub')]);
    const certificate = await readFile(join(own, 'id-cert.pub'), 'utf8');
    // Its own transaction: durable when this returns.
    insert.run(number, keyId, login, publicKey, certificate, Date.now());
    return certificate;
  } finally {
    await rm(own, { recursive: true });
  }
}

async function sign(request: Request, response: Response): Promise<void> {
  const token = String(request.headers.authorization).slice('Bearer '.length);
  const session = sessions.get(tokenHash(token));
  const { publicKey } = request.body as { readonly publicKey?: unknown };
  if (session === undefined || session.expiresMs < Date.now())
    response.status(401).json({ error: 'session' });
  else if (typeof publicKey !== 'string') response.status(400).json({ error: 'publicKey' });
  else response.status(201).json({ serial, certificate: await issue(publicKey, session.login) });
}

const app = express();
app.disable('x-powered-by');
app.use(express.json());
app.post('/sign', (request, response, next) => {
  sign(request, response).catch(next);
});
const tls = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
createServer(tls, app).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
process.once('SIGTERM', () => process.exit(0));
