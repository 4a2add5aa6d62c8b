import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/accounting/verify/index.ts';
import { exportLog, inPieces, makeLog } from './log-fixture.ts';

const documents = join(import.meta.dirname, '../../docs/formats');
const block = (file: string, name: string): string => {
  const text = readFileSync(join(documents, file), 'utf8');
  const [, found] = new RegExp(`<!-- ${name} -->\n\`\`\`\n([^]*?)\`\`\``).exec(text) ?? [];
  if (found === undefined) throw new Error(`${file} has no example called ${name}`);
  return found;
};

describe('the example in docs/formats', () => {
  // The private key of RFC 8032 section 7.1, test 1.
  const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const signer = {
    publicKey: createPublicKey(privateKey),
    sign: (message: Uint8Array) => sign(null, message, privateKey),
  };
  const timeMs = Date.UTC(2026, 10, 23, 8);
  const log = makeLog(
    [
      { type: 'system.start', outcome: 'success', timeMs, actor: { kind: 'broker' } },
      {
        type: 'auth.fail',
        outcome: 'denied',
        reasonCode: 'identity.wrong_password',
        timeMs: timeMs + 1500,
        actor: { kind: 'unknown' },
        personal: { 'src.ip': '192.0.2.7', 'src.ua': 'curl/8.5' },
      },
    ],
    signer,
  );

  it('is what the writer writes', async () => {
    const bundle = await exportLog(log, { withhold: (path) => path === 'src.ua' });
    expect(block('bundle.md', 'bundle')).toBe(bundle.toString());
    expect(block('checkpoint.md', 'checkpoint')).toBe(log.checkpoint);
    expect(block('checkpoint.md', 'key')).toBe(`${log.key}\n`);
  });

  it('is what the verifier accepts', async () => {
    const bundle = Buffer.from(block('bundle.md', 'bundle'));
    const verdict = await verifyBundle(inPieces(bundle), {
      verifierKey: block('checkpoint.md', 'key').trim(),
    });
    expect(verdict).toMatchObject({ exitCode: 0, facts: { opened: 1, withheld: 1, erased: 0 } });
  });
});
