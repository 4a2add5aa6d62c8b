import { randomBytes, randomFillSync } from 'node:crypto';
import { KrlPublisher } from '../../src/broker/index.ts';
import type { Credential, Store } from '../../src/broker/index.ts';
import { createSshHostIssuer, createSshUserIssuer } from '../../src/issuance/index.ts';
import { systemClock, systemRandom } from '../../src/kernel/index.ts';
import { createSigner, generatePrivateKey } from '../../src/keys/index.ts';
import { ListWorker } from '../../src/revocation/index.ts';
import type { BenchCase, BenchContext } from '../case.ts';
import { createIssuances } from '../issuance.ts';
import { inUnits, longestGap } from '../loop-gap.ts';
import type { Beside, Gaps } from '../loop-gap.ts';
import { measure } from '../measure.ts';
import type { Row } from '../report.ts';
import { newEd25519, signatureLoop } from '../signing.ts';
import { newSqliteStore } from '../stores.ts';

/** Target 16: how long the loop is held up while heavy work is done beside it. */
export const eventLoopCase: BenchCase = {
  name: 'event-loop',
  async run(context) {
    const { store } = newSqliteStore(context.folder);
    const count = context.quick ? 10_000 : 100_000;
    try {
      const publisher = await publisherOf(context, store, count);
      const signing = await rsaSigning();
      const publishing: Beside = async () => void (await publisher.publish());
      const together: Beside = async () => {
        await Promise.all([signing(), newKeyPair(), publishing()]);
      };
      context.progress(`${context.rounds} rounds of six kinds of work`);
      const idle: Beside = async () => undefined;
      const work = { together, resting: together, signing, newKeyPair, publishing, idle };
      return rowsOf(await gapsOf(context.rounds, work), count);
    } finally {
      await store.close();
    }
  },
};

/** A store that has issued twice as many certificates as are revoked, and the publisher over it. */
async function publisherOf({ progress }: BenchContext, store: Store, count: number): Promise<KrlPublisher> {
  const issuer = createSshUserIssuer({ signer: createSigner(newEd25519().privateKey), random: systemRandom });
  progress(`issuing ${2 * count} certificates and revoking half of them`);
  const issuances = await createIssuances(store, issuer.caFingerprint);
  const issued: Credential[] = [];
  while (issued.length < 2 * count) {
    const changes = await Promise.all(Array.from({ length: 1000 }, () => issuances.next(Date.now())));
    await Promise.all(changes.map((change) => issuances.commit(change)));
    issued.push(...changes.flatMap(({ credential }) => (credential === undefined ? [] : [credential])));
  }
  await issuances.finish();
  const atMs = Date.now();
  for (let from = 0; from < issued.length; from += 2000) {
    const credentials = issued.slice(from, from + 2000).filter((_, nth) => nth % 2 === 0);
    await store.commit({ revoke: { credentials, atMs, reason: 'bench' }, entries: [] });
  }
  // As many serials as the database names, but random ones: the largest list, of which no run and no bitmap can be made.
  const random = randomFillSync(new BigUint64Array(count)).sort();
  const revokedSerials: Store['revokedSerials'] = async (...asked) =>
    random.slice(0, (await store.revokedSerials(...asked)).length);
  const listSigner = createSigner(newEd25519().privateKey);
  const worker = new ListWorker();
  return new KrlPublisher({
    store: { ...store, revokedSerials },
    issuer,
    hostIssuer: createSshHostIssuer({ signer: createSigner(newEd25519().privateKey), random: systemRandom }),
    listSigner,
    worker,
    clock: systemClock,
  });
}

/** Signatures in the thread pool, each verified there before it is released, as an RSA CA makes them. */
async function rsaSigning(): Promise<Beside> {
  const signer = createSigner(await generatePrivateKey('rsa-4096'));
  const message = randomBytes(800);
  return async () => {
    for (let i = 0; i < 64; i += 1) await signer.sign(message);
  };
}

async function newKeyPair(): Promise<void> {
  await generatePrivateKey('rsa-4096');
}

type Name = 'together' | 'resting' | 'signing' | 'newKeyPair' | 'publishing' | 'idle';

async function gapsOf(rounds: number, work: Readonly<Record<Name, Beside>>): Promise<Record<Name, Gaps>> {
  const names = Object.keys(work) as Name[];
  const none: [Name, Gaps][] = names.map((name) => [name, { gaps: [], units: [] }]);
  const found = Object.fromEntries(none) as Record<Name, Gaps>;
  const limit = signatureLoop(newEd25519().privateKey);
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const { cpu } = await measure(limit);
      const gap = await longestGap(work[name], name === 'resting' ? 'resting' : 'busy');
      // The first round warms up.
      if (round === 0) continue;
      found[name].gaps.push(gap);
      found[name].units.push(cpu);
    }
  }
  return found;
}

function rowsOf(found: Record<Name, Gaps>, count: number): Row[] {
  const alone = (name: Name, what: string): Row => ({
    target: 16,
    name: `longest gap of the event loop, ${what}, in U`,
    value: inUnits(found[name]),
    good: 'at most',
    detail: `in each round ${found[name].gaps.map((gap) => (gap * 1000).toFixed(1)).join(', ')} ms`,
  });
  return [
    {
      ...alone('together', `RSA-4096 signing, an RSA-4096 key pair and a KRL of ${count} serials beside`),
      gate: 40,
      stretch: 10,
    },
    alone('resting', 'the same beside a loop that rests a millisecond between turns'),
    alone('signing', 'RSA-4096 signing alone'),
    alone('newKeyPair', 'the key pair alone'),
    alone('publishing', 'the list alone, collected, built, read back, signed and recorded'),
    alone('idle', 'nothing beside: what the machine does to it'),
  ];
}
