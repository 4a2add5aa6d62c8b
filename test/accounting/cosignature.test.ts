import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  cosign,
  cosignerKey,
  findCosignature,
  type LogSigner,
  parseCosignerKey,
} from '../../src/accounting/index.ts';
import { cosignatureState, parseWitnessKey } from '../../src/accounting/verify/cosignature.ts';
import { codeOf } from './log-fixture.ts';

// RFC 8032 section 7.1, test 1.
const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
const raw = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
const privateKey = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
  format: 'der',
  type: 'pkcs8',
});
const signer: LogSigner = {
  publicKey: createPublicKey(privateKey),
  sign: (message) => sign(null, message, privateKey),
};
const name = 'witness.example.com/w1';
// The checkpoint and the time of the examples in C2SP tlog-cosignature.
const text = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const seconds = 1_679_315_147n;
/** Made by hand from the words of the specification, so that encoder and readers cannot agree on an error. */
const id = createHash('sha256')
  .update(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(4), raw]))
  .digest()
  .subarray(0, 4);
const vkey = `${name}+${id.toString('hex')}+${Buffer.concat([Buffer.of(4), raw]).toString('base64')}`;
const signature = sign(null, Buffer.from(`cosignature/v1\ntime 1679315147\n${text}`), privateKey);
const time = Buffer.from('00000000641850cb', 'hex');
const line = `— ${name} ${Buffer.concat([id, time, signature]).toString('base64')}\n`;

/** What the broker and the auditor each say of the same lines. */
function both(lines: string, signed = text): readonly string[] {
  const key = parseCosignerKey(vkey);
  const pinned = parseWitnessKey(vkey);
  if (pinned === undefined) throw new Error('the key was refused');
  const found = findCosignature(signed, lines, key);
  const broker = found === undefined ? 'missing' : found === 'broken' ? 'broken' : 'valid';
  return [broker, cosignatureState(signed, lines.split('\n').slice(0, -1), pinned)];
}

describe('cosignatures', () => {
  it('are written as C2SP tlog-cosignature says', () => {
    expect(cosignerKey(name, signer.publicKey)).toBe(vkey);
    expect(cosign(text, { name, signer, seconds })).toBe(line);
  });

  it('carry the time where the example of the specification has it', () => {
    const example =
      'jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==';
    const bytes = Buffer.from(example, 'base64');
    expect(bytes.length).toBe(76);
    expect(bytes.readBigUInt64BE(4)).toBe(seconds);
  });

  it('are read by the broker and by the auditor', () => {
    expect(both(line)).toEqual(['valid', 'valid']);
    expect(findCosignature(text, line, parseCosignerKey(vkey))).toEqual({ line, seconds });
    const other = line.replace(name, 'somebody.else/w');
    expect(both(`${other}— grease AAAAAAAA\nnot a line at all\n${line}`)).toEqual(['valid', 'valid']);
    expect(both(other)).toEqual(['missing', 'missing']);
    expect(both('')).toEqual(['missing', 'missing']);
  });

  it.each([
    ['another text', Buffer.concat([id, time, signature]), text.replace('20852163', '20852164')],
    ['another time', Buffer.concat([id, Buffer.from('00000000641850cc', 'hex'), signature]), text],
    [
      'a time that no clock shows',
      Buffer.concat([id, Buffer.from('ffffffffffffffff', 'hex'), signature]),
      text,
    ],
    ['a byte too many', Buffer.concat([id, time, signature, Buffer.of(0)]), text],
    ['a byte too few', Buffer.concat([id, time, signature.subarray(1)]), text],
    ['no time', Buffer.concat([id, signature]), text],
    ['a bit flipped', Buffer.concat([id, time, flipped(signature)]), text],
    [
      'the plain signature of a log',
      Buffer.concat([id, time, sign(null, Buffer.from(text), privateKey)]),
      text,
    ],
  ])('are broken with %s', (_what, bytes, signed) => {
    expect(both(`— ${name} ${bytes.toString('base64')}\n`, signed)).toEqual(['broken', 'broken']);
  });

  it('are missing where the id is that of another key', () => {
    const bytes = Buffer.concat([Buffer.alloc(4, 9), time, signature]);
    expect(both(`— ${name} ${bytes.toString('base64')}\n`)).toEqual(['missing', 'missing']);
  });

  it.each([
    '',
    name,
    vkey.replace('+', '-'),
    vkey.slice(0, -1),
    `${vkey}=`,
    `${vkey} `,
    vkey.replace(id.toString('hex'), '00000000'),
    vkey.replace(id.toString('hex'), id.toString('hex').toUpperCase()),
    vkey.replace('witness', 'wit ness'),
    // A log's key is none of a witness.
    `${name}+${createHash('sha256')
      .update(Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(1), raw]))
      .digest('hex')
      .slice(0, 8)}+${Buffer.concat([Buffer.of(1), raw]).toString('base64')}`,
  ])('are not looked for with the key %j', (text) => {
    expect(codeOf(() => parseCosignerKey(text))).toBe('accounting.bad_witness_key');
    expect(parseWitnessKey(text)).toBeUndefined();
  });

  it('bear no name that a line could not hold', () => {
    for (const bad of ['', 'a b', 'a+b', 'a\nb', 'x'.repeat(201)])
      expect(codeOf(() => cosignerKey(bad, signer.publicKey))).toBe('accounting.bad_witness_key');
  });
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[9] = (copy[9] ?? 0) ^ 1;
  return copy;
}
