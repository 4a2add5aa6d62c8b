import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CrlPublication, X509Serial } from '../../src/broker/index.ts';
import { CrlBody, signCrl } from '../../src/revocation/index.ts';
import type { BenchCase, BenchContext } from '../case.ts';
import { median, race, speedRatio, type Contender, type Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { newTlsEstate, type TlsEstate } from '../tls-estate.ts';

/** One more revocation with 100,000 in the list: through the publisher of the product, in its parts, and beside `openssl ca -gencrl`. */
export const crlCase: BenchCase = {
  name: 'crl',
  async run(context) {
    const count = context.quick ? 20_000 : 100_000;
    const estate = await newTlsEstate(context, { revokedCount: count, goodCount: 1000 });
    try {
      await estate.publisher.publish();
      context.progress(`${context.rounds} rounds, with openssl ca -gencrl in each`);
      const times = await timesOf(context, estate, count);
      mustReadBack(estate, await estate.publisher.publish());
      return rowsOf(times, { count, quick: context.quick });
    } finally {
      await estate.store.close();
    }
  },
};

type Times = Record<'published' | 'full' | 'delta' | 'theirs', Sample[]>;

function timesOf({ rounds }: BenchContext, estate: TlsEstate, count: number): Promise<Times> {
  const { signer, issuer, good, revoked } = estate;
  const list = { signer, subject: issuer.read.subject, deltaUrl: issuer.urls.deltaCrl };
  const body = bodyOf(revoked);
  const changed = bodyOf(good);
  const waiting = good.values();
  let number = 1n;
  const times = (): { number: bigint; thisUpdateMs: number; nextUpdateMs: number } => {
    const nowMs = Date.now();
    return { number: (number += 1n), thisUpdateMs: nowMs, nextUpdateMs: nowMs + 86_400_000 };
  };
  const one = (serial: X509Serial | undefined): X509Serial => serial ?? fail(`more than ${count} rounds`);
  return race(rounds, {
    published: {
      prepare: () => estate.revoke([one(waiting.next().value)]),
      run: async () => (await estate.publisher.publish(), 1),
    },
    full: {
      prepare: () => body.add(itemOf(`5${'0'.repeat(20)}${String(number).padStart(19, '0')}`)),
      run: async () => (await signCrl(list, body, times()), 1),
    },
    delta: { run: async () => (await signCrl(list, changed, { ...times(), baseNumber: 1n }), 1) },
    theirs: opensslCa(estate.folder),
  });
}

const itemOf = (serial: string) => ({ serial, revokedMs: Date.now(), reason: 'unspecified' as const });

function bodyOf(serials: readonly string[]): CrlBody {
  const body = new CrlBody();
  for (const serial of serials) body.add(itemOf(serial));
  return body;
}

function opensslCa(folder: string): Contender {
  return {
    run() {
      const args = ['ca', '-gencrl', '-config', 'ca.cnf', '-out', 'theirs.pem'];
      const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
      return status === 0 ? 1 : fail(`openssl ca failed: ${stderr}`);
    },
  };
}

/** A list that openssl does not take has cost nothing worth measuring. */
function mustReadBack({ folder }: TlsEstate, { full, delta }: CrlPublication): void {
  for (const bytes of [full, delta]) {
    const file = join(folder, 'ours.der');
    writeFileSync(file, bytes);
    const args = ['crl', '-inform', 'DER', '-in', file, '-CAfile', join(folder, 'ca.pem'), '-noout'];
    const { stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    if (!stderr.includes('verify OK')) fail(`openssl crl does not take the list: ${stderr}`);
  }
}

function rowsOf({ published, full, delta, theirs }: Times, of: { count: number; quick: boolean }): Row[] {
  const count = of.count.toLocaleString('en');
  const wall = (samples: readonly Sample[]): number => median(samples.map((sample) => sample.wall));
  const ms = (samples: readonly Sample[], by: keyof Sample = 'wall'): string =>
    `${(median(samples.map((sample) => sample[by])) * 1000).toFixed(1)} ms`;
  const gate = of.quick ? {} : { gate: 1, stretch: 0.5 };
  return [
    {
      target: 5,
      name: `one more revoked on ${count}: the full CRL / 200 ms, wall`,
      value: wall(full) / 0.2,
      good: 'at most',
      ...gate,
      detail: `${ms(full)}, of which CPU ${ms(full, 'cpu')}: encoded, signed by ECDSA P-256, read back serial by serial`,
    },
    {
      target: 5,
      name: `the delta of 1,000 / 50 ms, wall`,
      value: wall(delta) / 0.05,
      good: 'at most',
      ...gate,
      detail: `${ms(delta)}, of which CPU ${ms(delta, 'cpu')}`,
    },
    {
      target: 5,
      name: `both, collected from SQLite, recorded and served / 250 ms, wall`,
      value: wall(published) / 0.25,
      good: 'at most',
      ...gate,
      detail: `${ms(published)}, of which CPU ${ms(published, 'cpu')}: one publication as the broker makes it, with its entry and its sync`,
    },
    {
      target: 5,
      name: `openssl ca -gencrl of the same / the full CRL`,
      value: speedRatio(full, theirs),
      good: 'at least',
      detail: `${ms(theirs, 'cpu')} against ${ms(full, 'cpu')}; it reads its index of text each time`,
    },
  ];
}

function fail(why: string): never {
  throw new Error(why);
}
