import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeKrl, parseKrl } from '../../src/ssh/index.ts';
import { krlWith, rawKrl, section, seededNumbers, sshString, uint64 } from '../ssh/krl-fixtures.ts';
import { isInSet, pick, randomSet, toKrl } from '../ssh/krl-sets.ts';
import type { RevocationSet, Subject } from '../ssh/krl-sets.ts';
import { describeWithPeers } from '../support/peers.ts';
import { certificateLine, newKeyPair } from './krl-certificates.ts';

const max = 2n ** 64n - 1n;

describeWithPeers(['ssh-keygen'], 'ssh-keygen -Q and our revocation lists', () => {
  let folder = '';
  const cas = [newKeyPair(), newKeyPair(), newKeyPair()] as const;
  const users = [newKeyPair(), newKeyPair(), newKeyPair(), newKeyPair()] as const;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-krl-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** One answer per line of public keys or certificates: true is revoked. @throws when ssh-keygen cannot read the list */
  function query(krl: Buffer, lines: readonly string[]): boolean[] {
    const list = join(folder, 'list.krl');
    writeFileSync(list, krl);
    const files = lines.map((line, index) => {
      const file = join(folder, `${index}.pub`);
      writeFileSync(file, line);
      return file;
    });
    const { stdout, stderr } = spawnSync('ssh-keygen', ['-Q', '-f', list, ...files], { encoding: 'utf8' });
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => /: (ok|REVOKED)$/.exec(line)?.[1]);
    if (answers.length !== lines.length || answers.includes(undefined)) throw new Error(stderr + stdout);
    return answers.map((answer) => answer === 'REVOKED');
  }

  /** Certificates near the borders of what is revoked, and some far from it. */
  function probes(set: RevocationSet, random: () => number): Subject[] {
    const serials = [...set.authorities.values()].flatMap(({ serials }) => [...serials]);
    return Array.from({ length: 24 }, () => {
      const serial =
        (serials[Math.floor(random() * serials.length)] ?? 1n) + BigInt(Math.floor(random() * 3) - 1);
      return {
        key: pick(random, users).publicKey.blob,
        caKey: pick(random, cas).publicKey.blob,
        serial: serial > max ? max : serial,
        keyId: `id-${Math.floor(random() * 40)}`,
      };
    });
  }

  test('60 of the random sets: ssh-keygen, the oracle and our reader give the same answers', () => {
    const random = seededNumbers(20_261_124);
    const caKeys = cas.map(({ publicKey }) => publicKey.blob);
    const keys = [...users, ...cas].map(({ publicKey }) => publicKey.blob);
    const counts = { revoked: 0, free: 0 };
    for (let round = 0; round < 60; round += 1) {
      const set = randomSet(random, caKeys, keys);
      const krl = encodeKrl(toKrl(set));
      const parsed = parseKrl(krl);
      const subjects = probes(set, random);
      const lines = subjects.map(({ key, caKey, serial, keyId }) => {
        const subject = users.find(({ publicKey }) => publicKey.blob.equals(key)) ?? users[0];
        const ca = cas.find(({ publicKey }) => publicKey.blob.equals(caKey)) ?? cas[0];
        return certificateLine({ subject: subject.publicKey, ca, serial, keyId });
      });
      const wanted = subjects.map((subject) => isInSet(set, subject));
      expect(query(krl, lines), `set ${round}`).toEqual(wanted);
      expect(
        subjects.map((subject) => parsed.isRevoked(subject).revoked),
        `set ${round}`,
      ).toEqual(wanted);
      for (const revoked of wanted) counts[revoked ? 'revoked' : 'free'] += 1;
    }
    expect(Math.min(counts.revoked, counts.free)).toBeGreaterThan(300);
  });

  test('100,000 revoked of 1,000,000 serials load and answer', () => {
    const random = seededNumbers(1);
    const chosen = new Set<bigint>();
    while (chosen.size < 100_000) chosen.add(1n + BigInt(Math.floor(random() * 1_000_000)));
    const caKey = cas[0].publicKey.blob;
    const krl = encodeKrl(
      krlWith({ certificates: [{ caKey, serials: BigUint64Array.from(chosen), keyIds: [] }] }),
    );
    expect(krl.length).toBeLessThanOrEqual(130_000);
    const asked = Array.from({ length: 200 }, (_, i) => BigInt(500_000 + i));
    expect(
      query(
        krl,
        asked.map((serial) =>
          certificateLine({ subject: users[0].publicKey, ca: cas[0], serial, keyId: 'x' }),
        ),
      ),
    ).toEqual(asked.map((serial) => chosen.has(serial)));
  });

  test('every second of 100,000 serials: what ssh-keygen -k writes it cannot read, what we write it can', () => {
    const serials = BigUint64Array.from({ length: 50_000 }, (_, i) => BigInt(2 * i + 1));
    const [spec, theirs, ca] = ['spec', 'theirs.krl', 'ca.pub'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(spec, [...serials].map((serial) => `serial: ${serial}\n`).join(''));
    writeFileSync(ca, `ssh-ed25519 ${cas[0].publicKey.blob.toString('base64')}\n`);
    expect(spawnSync('ssh-keygen', ['-q', '-k', '-f', theirs, '-s', ca, spec]).status).toBe(0);
    expect(spawnSync('ssh-keygen', ['-Q', '-l', '-f', theirs], { encoding: 'utf8' }).stderr).toMatch(
      /too large|Invalid/i,
    );

    const ours = encodeKrl(
      krlWith({ certificates: [{ caKey: cas[0].publicKey.blob, serials, keyIds: [] }] }),
    );
    const lines = [99_997n, 99_998n, 99_999n, 100_000n].map((serial) =>
      certificateLine({ subject: users[0].publicKey, ca: cas[0], serial, keyId: 'x' }),
    );
    expect(query(ours, lines)).toEqual([true, false, true, false]);
  });

  test('lists that ssh-keygen -k writes read the same here', () => {
    const caKey = cas[0].publicKey.blob;
    const [spec, theirs, ca] = ['spec', 'theirs.krl', 'ca.pub'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const user = `ssh-ed25519 ${users[1].publicKey.blob.toString('base64')}`;
    writeFileSync(ca, `ssh-ed25519 ${caKey.toString('base64')}\n`);
    writeFileSync(
      spec,
      `serial: 5\nserial: 100-5000\nserial: 9000\nserial: 9002\nserial: 18446744073709551615\nid: one@two\nsha1: ${user}\nsha256: ${user}\nkey: ${user}\n`,
    );
    const made = spawnSync('ssh-keygen', ['-q', '-k', '-z', '77', '-f', theirs, '-s', ca, spec], {
      encoding: 'utf8',
    });
    expect(made.stderr).toBe('');
    const krl = parseKrl(readFileSync(theirs));
    expect(krl.version).toBe(77n);
    expect([krl.keys.length, krl.sha1.length, krl.sha256.length]).toEqual([1, 1, 1]);
    const revoked = [4n, 5n, 99n, 100n, 5000n, 5001n, 9000n, 9001n, 9002n, max - 1n, max].filter(
      (serial) => krl.isRevoked({ key: users[0].publicKey.blob, caKey, serial }).revoked,
    );
    expect(revoked).toEqual([5n, 100n, 5000n, 9000n, 9002n, max]);
    expect(krl.isRevoked({ key: users[0].publicKey.blob, caKey, keyId: 'one@two' })).toEqual({
      revoked: true,
      by: 'key_id',
    });
  });

  test('what our reader refuses for its serials, ssh-keygen refuses too', () => {
    const ca = sshString(cas[0].publicKey.blob);
    const broken = [
      section(0x20, uint64(0n)),
      section(0x20, Buffer.alloc(12, 1)),
      section(0x21, uint64(0n), uint64(9n)),
      section(0x21, uint64(9n), uint64(8n)),
      section(0x22, uint64(0n), sshString([1])),
      section(0x22, uint64(max), sshString([2])),
      section(0x22, uint64(1n), sshString([0x80])),
      section(0x22, uint64(1n), sshString(Buffer.alloc(2049, 0x7f))),
      section(0x24),
    ].map((part) => rawKrl(section(1, ca, sshString(''), part)));
    const plain = `ssh-ed25519 ${users[0].publicKey.blob.toString('base64')}\n`;
    for (const krl of [...broken, rawKrl(section(5, sshString(Buffer.alloc(20)))), rawKrl(section(9))]) {
      expect(() => parseKrl(krl)).toThrow(/revocation list/);
      expect(() => query(krl, [plain]), krl.toString('hex')).toThrow(/./);
    }
    expect(query(rawKrl(), [plain])).toEqual([false]);
  });
});
