import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answerOcsp } from '../../src/broker/index.ts';
import { createOcspSignerCertificate } from '../../src/issuance/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { encodePem } from '../../src/x509/index.ts';
import type { BenchCase } from '../case.ts';
import { race, rate, repeated, repeatedAsync, speedRatio } from '../measure.ts';
import type { Contender, Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { newTlsEstate, type TlsEstate } from '../tls-estate.ts';

const asked = 64;

/** OCSP with 100,000 revoked: answers that were signed ahead, answers for one asker, and `openssl ocsp` over the same certificates. */
export const ocspCase: BenchCase = {
  name: 'ocsp',
  async run(context) {
    const count = context.quick ? 20_000 : 100_000;
    const estate = await newTlsEstate(context, { revokedCount: count, goodCount: 1000 });
    try {
      await estate.publisher.publish();
      await estate.ocsp.renew();
      const serials = [...estate.revoked.slice(0, asked / 2), ...estate.good.slice(0, asked / 2)];
      const [plain, withNonce] = [
        requestsFor(estate, serials, '-no_nonce'),
        requestsFor(estate, serials, '-nonce'),
      ];
      const answer = async (bytes: Buffer): Promise<Buffer> => (await answerOcsp([estate.ocsp], bytes)).bytes;
      for (const bytes of plain) mustBeAnswer(estate, await answer(bytes));
      const before = estate.lookUps();
      const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
      const message = randomBytes(512);
      context.progress(`${context.rounds} rounds, with openssl ocsp in each`);
      const times = await race(context.rounds, {
        ahead: repeatedAsync(150, inTurn(plain, answer)),
        signed: repeatedAsync(300, inTurn(withNonce, answer)),
        limit: repeated(150, 16, () => void sign('sha256', message, { key, dsaEncoding: 'der' })),
        theirs: await opensslOcsp(estate),
      });
      return rowsOf(times, { count, lookUps: estate.lookUps() - before });
    } finally {
      await estate.store.close();
    }
  },
};

function inTurn(requests: readonly Buffer[], answer: (bytes: Buffer) => Promise<Buffer>) {
  let nth = 0;
  return (): Promise<Buffer> => answer(requests[(nth += 1) % requests.length] as Buffer);
}

/** As openssl writes them. */
function requestsFor({ folder }: TlsEstate, serials: readonly string[], nonce: string): readonly Buffer[] {
  const file = join(folder, 'request.der');
  return serials.map((serial) => {
    openssl(folder, ['ocsp', '-issuer', 'ca.pem', '-serial', `0x${serial}`, nonce, '-reqout', file]);
    return readFileSync(file);
  });
}

function openssl(folder: string, args: readonly string[]): string {
  const { status, stderr, stdout } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`);
  return `${stdout}${stderr}`;
}

function mustBeAnswer({ folder }: TlsEstate, bytes: Buffer): void {
  const file = join(folder, 'answer.der');
  writeFileSync(file, bytes);
  const said = openssl(folder, [
    'ocsp',
    '-respin',
    file,
    '-CAfile',
    'ca.pem',
    '-issuer',
    'ca.pem',
    '-resp_text',
  ]);
  if (!said.includes('Response verify OK')) throw new Error(`openssl does not take the answer: ${said}`);
}

/** `openssl ocsp` over the index of the same certificates, with a delegated signer of its own: one answer for each run of it. */
async function opensslOcsp(estate: TlsEstate): Promise<Contender> {
  const { folder, signer, issuer } = estate;
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ends = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 86_400_000 };
  const { certificate } = await createOcspSignerCertificate(
    { signer, certificate: issuer.certificate },
    { publicKey: pair.publicKey, commonName: 'Bench OCSP', ...ends },
    systemRandom,
  );
  writeFileSync(join(folder, 'ocsp.pem'), encodePem('CERTIFICATE', certificate));
  writeFileSync(join(folder, 'ocsp.key'), pair.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const by = ['-index', 'index.txt', '-CA', 'ca.pem', '-rsigner', 'ocsp.pem', '-rkey', 'ocsp.key'];
  return {
    run() {
      openssl(folder, ['ocsp', ...by, '-nmin', '60', '-reqin', 'request.der', '-respout', 'theirs.der']);
      return 1;
    },
  };
}

function rowsOf(
  times: Readonly<Record<'ahead' | 'signed' | 'limit' | 'theirs', readonly Sample[]>>,
  { count, lookUps }: { readonly count: number; readonly lookUps: number },
): Row[] {
  const { ahead, signed, limit, theirs } = times;
  const of = `${count.toLocaleString('en')} revoked`;
  return [
    {
      target: 5,
      name: `OCSP answers signed ahead / ECDSA P-256 signatures, ${of}`,
      value: speedRatio(ahead, limit),
      good: 'at least',
      gate: 3,
      stretch: 10,
      detail: `${rate(ahead)} against ${rate(limit)}; request read, answer from memory`,
    },
    {
      target: 5,
      name: 'OCSP answers with a nonce / ECDSA P-256 signatures',
      value: speedRatio(signed, limit),
      good: 'at least',
      detail: `${rate(signed)}; each is signed for its asker`,
    },
    {
      target: 5,
      name: 'questions to the database meanwhile',
      value: lookUps,
      good: 'at most',
      gate: 0,
      detail: 'who is revoked is known from the list, who is good from the first time',
    },
    {
      target: 5,
      name: 'OCSP answers with a nonce / openssl ocsp, one run each',
      value: speedRatio(signed, theirs),
      good: 'at least',
      detail: `${rate(signed)} against ${rate(theirs)}; it reads its index of text each time`,
    },
  ];
}
