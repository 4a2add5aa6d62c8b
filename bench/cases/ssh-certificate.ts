import { spawnSync } from 'node:child_process';
import { sign } from 'node:crypto';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pooledRandom, systemRandom } from '../../src/kernel/index.ts';
import {
  createCertificateEncoder,
  formatOpensshPrivateKey,
  formatPublicKey,
  parseCertificate,
  publicKeyFromKeyObject,
  verifySignature,
} from '../../src/ssh/index.ts';
import type { BenchCase } from '../case.ts';
import { around, race, rate, repeated, speedRatio } from '../measure.ts';
import type { Contender, Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { newEd25519, signatureLoop } from '../signing.ts';

const principals = ['alice', 'deploy', 'backup'];
const extensions = [
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
];

/** The parts of sshpk that issue a certificate; the package brings no types. */
interface Sshpk {
  parsePrivateKey(text: string): object;
  parseKey(text: string): object;
  identityForUser(name: string): object;
  createCertificate(
    subject: object,
    key: object,
    issuer: object,
    issuerKey: object,
    options?: object,
  ): object;
}

/** Targets 1 to 3: a user certificate with three principals, a source address and five extensions. */
export const sshCertificateCase: BenchCase = {
  name: 'ssh-certificate',
  async run({ rounds, folder, progress }) {
    const [ca, subject] = [newEd25519(), newEd25519()];
    const caFile = join(folder, 'ca');
    writeFileSync(caFile, formatOpensshPrivateKey(ca.privateKey, 'ca', systemRandom), { mode: 0o600 });
    const subjectLine = `${formatPublicKey(publicKeyFromKeyObject(subject.publicKey))}\n`;
    writeFileSync(join(folder, 'id.pub'), subjectLine);
    progress(`${rounds} rounds of five contenders`);
    const samples = await race(rounds, {
      limit: signatureLoop(ca.privateKey),
      ours: inProcess(ca, subject),
      limitAgain: signatureLoop(ca.privateKey),
      onePerSpawn: sshKeygen(folder, caFile, 1, 20),
      manyPerSpawn: sshKeygen(folder, caFile, 200, 1),
      sshpk: sshpkCertificates(ca, subject),
    });
    return rowsOf(samples);
  },
};

type Pair = ReturnType<typeof newEd25519>;

function inProcess(ca: Pair, subject: Pair): Contender {
  const key = publicKeyFromKeyObject(subject.publicKey);
  const encoder = createCertificateEncoder(publicKeyFromKeyObject(ca.publicKey), 'ed25519');
  const nonce = pooledRandom(systemRandom);
  const criticalOptions = new Map([['source-address', '10.0.0.0/8']]);
  const flags = new Map(extensions.map((name) => [name, '']));
  const validAfter = BigInt(Math.floor(Date.now() / 1000)) - 60n;
  let serial = 0n;
  const issue = (): Buffer => {
    serial += 1n;
    const toBeSigned = encoder.encodeToBeSigned({
      key,
      nonce: nonce(32),
      serial,
      kind: 'user',
      keyId: 'sp-0123456789abcdef',
      principals,
      validAfter,
      validBefore: validAfter + 28_800n,
      criticalOptions,
      extensions: flags,
    });
    return encoder.finish(toBeSigned, sign(null, toBeSigned, ca.privateKey));
  };
  const certificate = parseCertificate(issue());
  if (!verifySignature(certificate.caKey, certificate.signature, certificate.toBeSigned))
    throw new Error('the certificate that is measured does not verify');
  return repeated(300, 64, () => {
    issue();
  });
}

function sshKeygen(folder: string, caFile: string, perSpawn: number, spawns: number): Contender {
  const files = Array.from({ length: perSpawn }, (_, i) => join(folder, `k${perSpawn}-${i}.pub`));
  for (const file of files) copyFileSync(join(folder, 'id.pub'), file);
  const args = ['-q', '-s', caFile, '-I', 'sp-0123456789abcdef', '-n', principals.join(','), '-V', '-1m:+8h'];
  return {
    run() {
      for (let spawn = 1; spawn <= spawns; spawn += 1) {
        const { status, stderr } = spawnSync(
          'ssh-keygen',
          [...args, '-z', String(spawn), '-O', 'source-address=10.0.0.0/8', ...files],
          { encoding: 'utf8' },
        );
        if (status !== 0) throw new Error(`ssh-keygen -s failed: ${stderr}`);
        for (const file of files) rmSync(file.replace(/\.pub$/, '-cert.pub'));
      }
      return perSpawn * spawns;
    },
  };
}

function sshpkCertificates(ca: Pair, subject: Pair): Contender {
  const sshpk = createRequire(import.meta.url)('sshpk') as Sshpk;
  const caKey = sshpk.parsePrivateKey(formatOpensshPrivateKey(ca.privateKey, 'ca', systemRandom));
  const subjectKey = sshpk.parseKey(formatPublicKey(publicKeyFromKeyObject(subject.publicKey)));
  const [alice, issuer] = [sshpk.identityForUser('alice'), sshpk.identityForUser('ca')];
  return {
    run() {
      for (let i = 0; i < 20; i += 1)
        sshpk.createCertificate([alice], subjectKey, issuer, caKey, { lifetime: 28_800 });
      return 20;
    },
  };
}

function rowsOf(
  samples: Record<
    'limit' | 'ours' | 'limitAgain' | 'onePerSpawn' | 'manyPerSpawn' | 'sshpk',
    readonly Sample[]
  >,
): Row[] {
  const { ours, limit, limitAgain, onePerSpawn, manyPerSpawn, sshpk } = samples;
  const besideOurs = around(limit, limitAgain);
  const row = (
    target: number,
    name: string,
    other: readonly Sample[],
    gate: number,
    stretch: number,
  ): Row => ({
    target,
    name: `SSH certificate in process / ${name}`,
    value: speedRatio(ours, other),
    good: 'at least',
    gate,
    stretch,
    detail: `${rate(ours)} against ${rate(other)}`,
  });
  return [
    row(1, 'U-rate', besideOurs, 0.8, 0.95),
    row(2, 'ssh-keygen -s, one per spawn', onePerSpawn, 150, 300),
    row(2, 'ssh-keygen -s, 200 per spawn', manyPerSpawn, 10, 20),
    row(3, 'sshpk.createCertificate', sshpk, 150, 250),
  ];
}
