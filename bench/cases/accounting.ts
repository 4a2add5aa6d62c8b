import { randomBytes } from 'node:crypto';
import {
  createLogAppender,
  emptyLogHead,
  inclusionProof,
  TileTree,
  tilesOverLeaves,
} from '../../src/accounting/index.ts';
import type { EntryDraft, LogAppender } from '../../src/accounting/index.ts';
import { leafHash } from '../../src/accounting/tree.ts';
import type { Store } from '../../src/broker/index.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { newSigner } from '../../test/accounting/log-fixture.ts';
import type { BenchCase } from '../case.ts';
import { createIssuances } from '../issuance.ts';
import { around, race, rate, repeated, repeatedAsync, speedRatio } from '../measure.ts';
import type { Contender, Sample } from '../measure.ts';
import type { Row } from '../report.ts';
import { newEd25519, signatureLoop } from '../signing.ts';
import { benchCa, newSqliteStore } from '../stores.ts';

const batch = 32;
const origin = 'bench.example.com/accounting/1';

/** Targets 8 and 9: what being accountable costs, in signatures. */
export const accountingCase: BenchCase = {
  name: 'accounting',
  async run({ rounds, quick, folder, progress }) {
    const { store } = newSqliteStore(folder);
    const issuances = await createIssuances(store, benchCa, { people: 64 });
    const { entries } = await issuances.next(Date.now());
    const appender = createLogAppender({ signer: newSigner(), origin, random: systemRandom });
    const size = quick ? 50_000 : 1_000_000;
    progress(`${rounds} rounds; proofs in a tree of ${size} leaves`);
    const { privateKey } = newEd25519();
    const samples = await race(rounds, {
      limit: signatureLoop(privateKey),
      record: recording(appender, entries),
      limitAfterRecord: signatureLoop(privateKey),
      stored: storing(store, entries),
      limitAfterStored: signatureLoop(privateKey),
      tree: growing(appender),
      limitAfterTree: signatureLoop(privateKey),
      proof: proving(size),
      limitAfterProof: signatureLoop(privateKey),
    });
    await store.close();
    return rowsOf(samples, size);
  },
};

/** Encode, hash the leaf, extend the tree, and a thirty-second part of a signed checkpoint. */
function recording(appender: LogAppender, entries: readonly EntryDraft[]): Contender {
  const drafts = Array.from({ length: batch }, () => entries).flat();
  let head = emptyLogHead(origin);
  const turn = repeated(200, 1, () => {
    ({ head } = appender.append(head, drafts));
  });
  return { run: async () => (await turn.run()) * batch };
}

/** The same in the embedded store, with the rows of entry, openings, tile hashes and head, and the COMMIT with its sync. */
function storing(store: Store, entries: readonly EntryDraft[]): Contender {
  const turn = repeatedAsync(300, () =>
    Promise.all(Array.from({ length: batch }, () => store.commit({ entries }))),
  );
  return { run: async () => (await turn.run()) * batch };
}

/** The tree alone: the hash of a leaf of 500 bytes, and the nodes that it completes. */
function growing(appender: LogAppender): Contender {
  const leaves = Array.from({ length: 256 }, () => randomBytes(500));
  let head = emptyLogHead(origin);
  const turn = repeated(150, 1, () => {
    ({ head } = appender.grow(head, leaves.map(leafHash)));
  });
  return { run: async () => (await turn.run()) * leaves.length };
}

/** Inclusion proofs of entries all over a tree whose tiles have been read before. */
function proving(size: number): Contender {
  const leaves = randomBytes(size * 32);
  const tiles = tilesOverLeaves((from, count) =>
    leaves.subarray(Number(from) * 32, (Number(from) + count) * 32),
  );
  const tree = new TileTree(tiles, Math.ceil(size / 256));
  let nth = 0;
  const proofs = repeatedAsync(300, () => {
    nth = (nth + 7919) % size;
    return inclusionProof(BigInt(nth), BigInt(size), tree);
  });
  const readAll = async (): Promise<void> => {
    for (let at = 0; at < size; at += 256) await inclusionProof(BigInt(at), BigInt(size), tree);
  };
  let reading: Promise<void> | undefined;
  return { ...proofs, prepare: () => (reading ??= readAll()) };
}

type Name =
  | 'limit'
  | 'record'
  | 'limitAfterRecord'
  | 'stored'
  | 'limitAfterStored'
  | 'tree'
  | 'limitAfterTree'
  | 'proof'
  | 'limitAfterProof';

function rowsOf(samples: Record<Name, readonly Sample[]>, size: number): Row[] {
  const { record, stored, tree, proof } = samples;
  const besideRecord = around(samples.limit, samples.limitAfterRecord);
  const besideStored = around(samples.limitAfterRecord, samples.limitAfterStored);
  const besideTree = around(samples.limitAfterStored, samples.limitAfterTree);
  const besideProof = around(samples.limitAfterTree, samples.limitAfterProof);
  const against = (of: readonly Sample[], limit: readonly Sample[]): string =>
    `${rate(of)} against ${rate(limit)} signatures`;
  return [
    {
      target: 8,
      name: `accounting per record at batch ${batch}: encode, leaf, tree, checkpoint, in U`,
      value: speedRatio(besideRecord, record),
      good: 'at most',
      gate: 0.25,
      stretch: 0.12,
      detail: `${against(record, besideRecord)}; an issuance with its commitments; no database`,
    },
    {
      target: 8,
      name: `the same with its rows in SQLite and the COMMIT, in U`,
      value: speedRatio(besideStored, stored),
      good: 'at most',
      detail: `${against(stored, besideStored)}; through the store, ${batch} changes of one entry each`,
    },
    {
      target: 9,
      name: 'tree append, leaf of 500 bytes and nodes / U-rate',
      value: speedRatio(tree, besideTree),
      good: 'at least',
      gate: 5,
      stretch: 9,
      detail: against(tree, besideTree),
    },
    {
      target: 9,
      name: `inclusion proof among ${size} leaves, tiles cached / U-rate`,
      value: speedRatio(proof, besideProof),
      good: 'at least',
      gate: 15,
      stretch: 35,
      detail: `${against(proof, besideProof)}; every tile was read before and its nodes are kept`,
    },
  ];
}
