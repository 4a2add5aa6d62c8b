import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { isCodedError, krlNamespace } from '../../src/kernel/index.ts';
import { createSigner, generatePrivateKey, keyAlgorithms, type Signer } from '../../src/keys/index.ts';
import { assembleKrl, signKrl, type RevokedSet, type SignedKrl } from '../../src/revocation/index.ts';
import {
  fingerprint,
  formatPublicKey,
  parseKrl,
  publicKeyFromKeyObject,
  verifySshsig,
} from '../../src/ssh/index.ts';
import * as ssh from '../../src/ssh/index.ts';
import { describeWithPeers, findPeer } from '../support/peers.ts';

const buildKrl = async (
  set: RevokedSet,
  version: bigint,
  nowMs: number,
  signer: Signer,
): Promise<SignedKrl> => signKrl(assembleKrl(set, version, nowMs), signer);

vi.mock('../../src/ssh/index.ts', async (original) => ({ ...(await original<typeof ssh>()) }));

const nowMs = Date.UTC(2026, 10, 23, 12);
const newKey = () => publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey);
const caKey = newKey();
const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
const revokedKey = newKey();
const set = (over: Partial<RevokedSet> = {}): RevokedSet => ({
  caKey: caKey.blob,
  serials: BigUint64Array.of(1n, 2n, 3n, 70n, 1n << 40n),
  keyIds: ['sp-1', 'sp-2'],
  keyFingerprints: [fingerprint(revokedKey.blob)],
  ...over,
});
const empty = set({ serials: new BigUint64Array(), keyIds: [], keyFingerprints: [] });

function countingSigner(): Signer & { count: number } {
  const counting = {
    ...signer,
    count: 0,
    sign(message: Uint8Array) {
      counting.count += 1;
      return signer.sign(message);
    },
  };
  return counting;
}

describe('a list', () => {
  it('holds a range of a billion serials as one run, together with single ones', async () => {
    const ranges = [
      { first: 1n, last: 1_000_000_000n },
      { first: 500n, last: 2_000_000_000n },
    ];
    const list = await buildKrl(set({ ranges }), 1n, nowMs, signer);
    const krl = parseKrl(list.bytes);
    const ask = (serial: bigint) =>
      krl.isRevoked({ key: newKey().blob, caKey: caKey.blob, serial, keyId: 'sp-9' }).revoked;
    expect([1n, 70n, 2_000_000_000n, 2_000_000_001n, 1n << 40n].map(ask)).toEqual([
      true,
      true,
      true,
      false,
      true,
    ]);
    expect(list.bytes.length).toBeLessThan(500);
  });

  it('revokes what it should and nothing else, and says its version and hash', async () => {
    const list = await buildKrl(set(), 42n, nowMs, signer);
    expect(list.sha256).toBe(createHash('sha256').update(list.bytes).digest('hex'));
    const krl = parseKrl(list.bytes);
    expect(krl.version).toBe(42n);
    const ask = (serial: bigint, keyId = 'sp-9', key = newKey()) =>
      krl.isRevoked({ key: key.blob, caKey: caKey.blob, serial, keyId }).revoked;
    expect([1n, 2n, 3n, 70n, 1n << 40n].map((serial) => ask(serial))).toEqual([true, true, true, true, true]);
    expect([4n, 69n, 71n, (1n << 40n) + 1n].map((serial) => ask(serial))).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect([ask(5n, 'sp-1'), ask(5n, 'sp-3'), ask(5n, 'sp-9', revokedKey)]).toEqual([true, false, true]);
    expect(krl.isRevoked({ key: newKey().blob, caKey: newKey().blob, serial: 1n, keyId: 'x' }).revoked).toBe(
      false,
    );
  });

  it('that revokes nothing is no empty file: sshd would take that for “nothing is revoked” whatever happened to it', async () => {
    const list = await buildKrl(empty, 1n, nowMs, signer);
    expect(list.bytes.length).toBeGreaterThan(40);
    const krl = parseKrl(list.bytes);
    expect(krl.version).toBe(1n);
    expect(
      krl.isRevoked({ key: revokedKey.blob, caKey: caKey.blob, serial: 1n, keyId: 'sp-1' }).revoked,
    ).toBe(false);
  });

  it.each(keyAlgorithms)('is signed by a list key of %s so that our verifier agrees', async (algorithm) => {
    const own = createSigner(await generatePrivateKey(algorithm));
    const list = await buildKrl(set(), 1n, nowMs, own);
    const trustedKeys = [publicKeyFromKeyObject(own.publicKey)];
    const verdict = (message: Buffer, namespace = krlNamespace) =>
      verifySshsig(list.signature, message, { namespace, trustedKeys });
    expect(krlNamespace).toBe('sallyport-krl');
    expect(verdict(list.bytes)).toMatchObject({ outcome: 'valid' });
    expect(verdict(list.bytes.subarray(1))).toMatchObject({ outcome: 'invalid', check: 'signature' });
    expect(verdict(list.bytes, 'file')).toMatchObject({ outcome: 'invalid', check: 'namespace' });
  });
});

describe('a list that an encoder got wrong', () => {
  afterEach(() => vi.restoreAllMocks());
  const honest = ssh.encodeKrl;
  type Krl = Parameters<typeof honest>[0];
  const section = (krl: Krl, over: object): Krl => ({
    ...krl,
    certificates: krl.certificates.map((one) => ({ ...one, ...over })),
  });

  const lies: [string, (krl: Krl) => Krl, RevokedSet?][] = [
    ['another version', (krl) => ({ ...krl, version: krl.version + 1n })],
    ['one serial less', (krl) => section(krl, { serials: BigUint64Array.of(1n, 2n, 3n, 70n) })],
    [
      'one serial more',
      (krl) => section(krl, { serials: BigUint64Array.of(1n, 2n, 3n, 4n, 70n, 1n << 40n) }),
    ],
    ['another serial', (krl) => section(krl, { serials: BigUint64Array.of(1n, 2n, 3n, 71n, 1n << 40n) })],
    ['no serials', (krl) => section(krl, { serials: new BigUint64Array() })],
    ['one key id less', (krl) => section(krl, { keyIds: ['sp-1'] })],
    ['another key id', (krl) => section(krl, { keyIds: ['sp-1', 'sp-3'] })],
    ['another CA', (krl) => section(krl, { caKey: newKey().blob })],
    ['every CA', (krl) => section(krl, { caKey: undefined })],
    [
      'a second CA',
      (krl) => ({
        ...krl,
        certificates: [
          ...krl.certificates,
          { caKey: newKey().blob, serials: BigUint64Array.of(9n), keyIds: [] },
        ],
      }),
    ],
    ['nothing about certificates', (krl) => ({ ...krl, certificates: [] })],
    ['one key less', (krl) => ({ ...krl, sha256: [] })],
    ['another key', (krl) => ({ ...krl, sha256: [Buffer.alloc(32, 1)] })],
    ['a key nobody revoked', (krl) => ({ ...krl, keys: [newKey().blob] })],
    ['a serial where nothing is revoked', (krl) => section(krl, { serials: BigUint64Array.of(1n) }), empty],
  ];
  it.each(lies)('says %s: it is not signed and not published', async (_what, lie, meant = set()) => {
    vi.spyOn(ssh, 'encodeKrl').mockImplementation((krl) => honest(lie(krl)));
    const counting = countingSigner();
    const failed = await buildKrl(meant, 5n, nowMs, counting).catch((error: unknown) => error);
    expect(isCodedError(failed, 'revocation.bad_list')).toBe(true);
    expect(counting.count).toBe(0);
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['cut short', (bytes) => bytes.subarray(0, bytes.length - 1)],
    ['empty', () => Buffer.alloc(0)],
    ['followed by something', (bytes) => Buffer.concat([bytes, Buffer.of(0)])],
    ['not a list', () => Buffer.from('ssh-ed25519 AAAA')],
  ])('is %s: it is not signed and not published', async (_what, damage) => {
    vi.spyOn(ssh, 'encodeKrl').mockImplementation((krl) => damage(honest(krl)));
    const counting = countingSigner();
    const failed = await buildKrl(set(), 5n, nowMs, counting).catch((error: unknown) => error);
    expect(isCodedError(failed)).toBe(true);
    expect(counting.count).toBe(0);
  });
});

describeWithPeers(['ssh-keygen'], 'the signature of a list, to ssh-keygen', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-krl-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string): string => join(folder, name);
  const verify = (bytes: Buffer, signature: string, namespace = 'sallyport-krl'): number | null => {
    writeFileSync(at('list.sig'), signature);
    const args = ['-Y', 'verify', '-f', at('signers'), '-I', 'broker', '-n', namespace, '-s', at('list.sig')];
    return spawnSync(findPeer('ssh-keygen') ?? 'ssh-keygen', args, { input: bytes }).status;
  };

  it.each(keyAlgorithms)('of %s is good for the very bytes and the very namespace', async (algorithm) => {
    const own = createSigner(await generatePrivateKey(algorithm));
    const line = formatPublicKey(publicKeyFromKeyObject(own.publicKey), 'list key');
    writeFileSync(at('signers'), `broker namespaces="sallyport-krl" ${line}\n`);
    const list = await buildKrl(set(), 7n, nowMs, own);
    expect(verify(list.bytes, list.signature)).toBe(0);
    expect(verify(Buffer.concat([list.bytes, Buffer.of(0)]), list.signature)).not.toBe(0);
    expect(verify((await buildKrl(set(), 8n, nowMs, own)).bytes, list.signature)).not.toBe(0);
    expect(verify(list.bytes, list.signature, 'file')).not.toBe(0);
    expect(verify(list.bytes, (await buildKrl(set(), 7n, nowMs, signer)).signature)).not.toBe(0);
  });

  it('and an empty list loads, which an empty file would not tell from a broken one', async () => {
    const list = await buildKrl(empty, 1n, nowMs, signer);
    writeFileSync(at('list.krl'), list.bytes);
    writeFileSync(at('key.pub'), `${formatPublicKey(revokedKey, 'x')}\n`);
    const keygen = findPeer('ssh-keygen') ?? 'ssh-keygen';
    expect(spawnSync(keygen, ['-Q', '-f', at('list.krl'), at('key.pub')]).status).toBe(0);
    writeFileSync(at('list.krl'), (await buildKrl(set(), 2n, nowMs, signer)).bytes);
    expect(spawnSync(keygen, ['-Q', '-f', at('list.krl'), at('key.pub')]).status).not.toBe(0);
  });
});
