// So many hosts that wait for news at a broker: one connection each, the request of the host protocol, signed. Arguments: a file with the
// port, the CA of the broker and the identity key, the version they have, and the first and the last host. Prints `ready` when every
// request is sent, then one line for each answer: milliseconds since 1970, status, bytes.
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { newProtocolHost, type KeyPair } from '../../test/support/protocol-host.ts';
import { hostIdAt, type WaitingEstate } from '../waiting-estate.ts';

const [file = '', have = '0', firstText = '0', lastText = '0'] = process.argv.slice(2);
const { port, ca, identityPem } = JSON.parse(readFileSync(file, 'utf8')) as WaitingEstate;
const privateKey = createPrivateKey(identityPem);
const identity: KeyPair = {
  privateKey,
  publicKey: publicKeyFromKeyObject(createPublicKey(privateKey)),
  line: '',
  fingerprint: '',
};
const atOnce = 32;
const agent = new Agent({ ca, maxSockets: Infinity, maxCachedSessions: 0 });
const machine = randomBytes(16).toString('hex');
let [next, sent] = [Number(firstText), 0];
const last = Number(lastText);
const count = last - next + 1;

function begin(): void {
  if (next > last) return;
  const host = newProtocolHost({ identity, machine });
  host.id = hostIdAt(next);
  next += 1;
  // Each wrote its steps down: a later run goes on from there.
  host.step = BigInt(Date.now());
  const body = host.syncing({ have: BigInt(have), waitSeconds: 300 });
  const asked = request({
    agent,
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: '/v1/hosts/sync',
    headers: {
      'content-type': 'text/plain',
      accept: 'text/plain',
      'content-length': Buffer.byteLength(body),
    },
  });
  asked.on('response', (response) => {
    let bytes = 0;
    response.on('data', (part: Buffer) => (bytes += part.length));
    response.on('end', () => process.stdout.write(`answer ${Date.now()} ${response.statusCode} ${bytes}\n`));
  });
  asked.on('error', (error) => process.stdout.write(`answer ${Date.now()} 0 ${error.message}\n`));
  asked.end(body, () => {
    sent += 1;
    if (sent === count) process.stdout.write('ready\n');
    begin();
  });
}
for (let nth = 0; nth < atOnce; nth += 1) begin();
