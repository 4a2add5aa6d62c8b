// The peer of target 5: an HTTPS server that does what people's scripts do. For each request it writes the public key to a
// file, runs `ssh-keygen -s`, and writes one line to a journal with a sync, before it answers with the certificate.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';

const [folder = '', port = '', caFile = '', certificateFile = '', keyFile = ''] = process.argv.slice(2);
const run = promisify(execFile);
const tokens = new Set([createHash('sha256').update('bench').digest('hex')]);
let serial = 0;

async function issue(publicKey: string, journal: FileHandle): Promise<string> {
  const own = await mkdtemp(join(folder, 'request-'));
  try {
    await writeFile(join(own, 'id.pub'), `${publicKey}\n`);
    serial += 1;
    const options = ['-I', `bench-${serial}`, '-n', 'alice', '-V', '-1m:+8h', '-z', String(serial)];
    await run('ssh-keygen', ['-q', '-s', caFile, ...options, join(own, 'id.pub')]);
    const certificate = await readFile(join(own, 'id-cert.pub'), 'utf8');
    await journal.write(`${JSON.stringify({ serial, at: Date.now(), principals: ['alice'], publicKey })}\n`);
    await journal.datasync();
    return certificate;
  } finally {
    await rm(own, { recursive: true });
  }
}

const journal = await open(join(folder, 'journal'), 'a');
const tls = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
const server = createServer(tls, (request, response) => {
  const token = createHash('sha256')
    .update(String(request.headers.authorization).slice('Bearer '.length))
    .digest('hex');
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    if (!tokens.has(token)) {
      response.writeHead(401).end();
      return;
    }
    const { publicKey } = JSON.parse(Buffer.concat(parts).toString('utf8')) as { publicKey: string };
    issue(publicKey, journal).then(
      (certificate) =>
        response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ certificate })),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
});
server.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
process.once('SIGTERM', () => process.exit(0));
