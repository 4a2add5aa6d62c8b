import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createLogAppender,
  emptyLogHead,
  type LogSigner,
  meetsQuorum,
  parseCheckpoint,
  parseWitnessPolicy,
  verifierKey,
} from '../../src/accounting/index.ts';
import { judgeWitnesses, parsePinnedPolicy } from '../../src/accounting/verify/witnesses.ts';
import { Cosigning, type Store, type WitnessClient } from '../../src/broker/index.ts';
import { createWitness } from '../../src/doors/witness/index.ts';
import { CodedError, systemRandom } from '../../src/kernel/index.ts';
import { makeWitness, policyOf, type TestWitness, textOf } from '../accounting/witness-fixture.ts';
import { entries, implementations, origin, type Place } from '../contract/store-fixture.ts';
import { loggedSince } from './fixtures.ts';

const witnesses = ['W1', 'W2', 'W3'].map(makeWitness);
const clock = { ms: 1_790_000_000_000, nowMs: (): number => clock.ms };
const stopwatch = { ms: 0, elapsedMs: (): number => stopwatch.ms };
const pass = (milliseconds: number): void => {
  clock.ms += milliseconds;
  stopwatch.ms += milliseconds;
};

let place: Place;
let store: Store;
let cosigning: Cosigning | undefined;
beforeEach(async () => {
  const [sqlite] = implementations;
  if (sqlite === undefined) throw new Error('there is a store');
  place = sqlite.newPlace();
  store = await place.open();
});
afterEach(async () => {
  await cosigning?.close();
  for (const another of others.splice(0)) await another.close();
  await store.close();
  place.remove();
});

interface Honest extends WitnessClient {
  readonly kept: Map<string, string>;
  asked: number;
}

/** The real witness, without a network between. */
function honest({ name, signer }: TestWitness, key: LogSigner = signer): Honest {
  const kept = new Map<string, string>();
  const witness = createWitness({
    name,
    signer: key,
    logs: [verifierKey(origin, place.signer.publicKey)],
    memory: { read: (of) => kept.get(of), write: (of, note) => void kept.set(of, note) },
    clock,
    observe: () => undefined,
  });
  return {
    kept,
    asked: 0,
    async addCheckpoint({ old, proof, note }) {
      this.asked += 1;
      const lines = proof.map((hash) => `${hash.toString('base64')}\n`).join('');
      const { status, body } = witness.addCheckpoint(Buffer.from(`old ${old}\n${lines}\n${note}`));
      if (status === 200) return { kind: 'cosigned', lines: body };
      if (status === 409 && /^\d+\n$/.test(body)) return { kind: 'size', size: BigInt(body.trim()) };
      throw new CodedError('witness.refused', `${status} ${body}`);
    },
  };
}

const dead: WitnessClient = {
  addCheckpoint: () => Promise.reject(new CodedError('witness.unreachable', 'It is dead.')),
};
/** Never answers, until it is let go. */
const hanging: WitnessClient = {
  addCheckpoint: (_request, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('let go')));
    }),
};

const others: Cosigning[] = [];
/** Another broker on the same store. */
function startAnother(clients: readonly (WitnessClient | undefined)[], needed?: number): Cosigning {
  const first = cosigning;
  const another = start(clients, needed);
  others.push(another);
  cosigning = first;
  return another;
}

function start(clients: readonly (WitnessClient | undefined)[], needed = 2): Cosigning {
  const named = clients.flatMap((client, nth) =>
    client === undefined ? [] : ([[witnesses[nth]?.name ?? '', client]] as const),
  );
  const policy = parseWitnessPolicy(Buffer.from(policyOf(needed, witnesses)), 'policy');
  cosigning = new Cosigning({
    store,
    clock,
    stopwatch,
    policy,
    clients: new Map(named),
    observe: () => undefined,
  });
  return cosigning;
}

/** One second of a broker's life, and everything that follows from it at once. */
async function second(of: Cosigning): Promise<void> {
  pass(1000);
  await of.look();
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function keptSize(): Promise<bigint | undefined> {
  return (await store.cosignedCheckpoint())?.size;
}

/** What an auditor says of the kept checkpoint. */
async function verdict(needed = 2): Promise<string> {
  const kept = await store.cosignedCheckpoint();
  const pinned = parsePinnedPolicy(policyOf(needed, witnesses));
  if (kept === undefined || typeof pinned === 'string') throw new Error('nothing to judge');
  const text = textOf(kept.note);
  return judgeWitnesses(
    text,
    kept.note
      .slice(text.length + 1)
      .trimEnd()
      .split('\n'),
    pinned,
  ).state;
}

const tales = async (): Promise<unknown[]> =>
  (await loggedSince(store, 0n))
    .filter(({ type }) => type.startsWith('witness.'))
    .map(({ type, reason_code }) => [type, reason_code]);

describe('cosigning', () => {
  it('keeps the newest checkpoint with everybody’s lines, and asks nobody while nothing happens', async () => {
    const clients = witnesses.map((one) => honest(one));
    const running = start(clients);
    await store.commit({ entries: entries(5) });
    await second(running);
    expect(await keptSize()).toBe(5n);
    const kept = await store.cosignedCheckpoint();
    expect(kept?.note.split('\n— ')).toHaveLength(5);
    expect(parseCheckpoint(kept?.note ?? '').size).toBe(5n);
    expect(await verdict(3)).toBe('verified');
    await store.commit({ entries: entries(300) });
    await second(running);
    expect(await keptSize()).toBe(305n);
    expect(running.newest?.size).toBe(305n);
    for (let nth = 0; nth < 5; nth += 1) await second(running);
    expect(clients.map(({ asked }) => asked)).toEqual([2, 2, 2]);
    expect((await store.logHead()).size).toBe(305n);
  });

  it('asks at most once a second', async () => {
    const client = honest(witnesses[0] ?? makeWitness('W1'));
    const running = start([client, undefined, undefined], 1);
    for (let nth = 0; nth < 10; nth += 1) {
      await store.commit({ entries: entries(1) });
      pass(100);
      await running.look();
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(client.asked).toBe(1);
  });

  it('needs no more than the quorum: one may be dead', async () => {
    const [one, two] = witnesses.map((witness) => honest(witness));
    const running = start([one, two, dead]);
    await store.commit({ entries: entries(5) });
    await second(running);
    expect(await keptSize()).toBe(5n);
    expect(await verdict()).toBe('verified');
  });

  it.each([-3_600_000, 3_600_000])('goes on while the clock of the machine is put by %d ms', async (byMs) => {
    const [one] = witnesses.map((witness) => honest(witness));
    let up = false;
    const flaky: WitnessClient = {
      addCheckpoint: (...asked) => (up && one ? one : dead).addCheckpoint(...asked),
    };
    const running = start([flaky, undefined, undefined], 1);
    await store.commit({ entries: entries(3) });
    await second(running);
    clock.ms += byMs;
    await second(running);
    up = true;
    for (let nth = 0; nth < 4; nth += 1) await second(running);
    expect(running.newest?.size).toBe((await store.logHead()).size);
    await store.commit({ entries: entries(3) });
    clock.ms += byMs;
    await second(running);
    expect(running.newest?.size).toBe((await store.logHead()).size);
  });

  it('waits for none that hangs', async () => {
    const next = start([hanging, ...witnesses.slice(1).map((witness) => honest(witness))]);
    for (let nth = 1; nth <= 3; nth += 1) {
      await store.commit({ entries: entries(5) });
      await second(next);
      expect(await keptSize()).toBe(BigInt(5 * nth));
    }
  });

  it('takes no cosignature of another key', async () => {
    const impostor = honest(witnesses[1] ?? makeWitness('W2'), makeWitness('W2').signer);
    const running = start([honest(witnesses[0] ?? makeWitness('W1')), impostor, dead]);
    await store.commit({ entries: entries(5) });
    await second(running);
    expect(await keptSize()).toBeUndefined();
    for (let nth = 0; nth < 8; nth += 1) await second(running);
    expect(await keptSize()).toBeUndefined();
    expect(await tales()).toEqual(
      expect.arrayContaining([
        ['witness.fail', 'witness.bad_cosignature'],
        ['witness.fail', 'witness.unreachable'],
      ]),
    );
  });

  it('tells once of a witness that fails, and once when it is back', async () => {
    let up = false;
    const [first, ...others] = witnesses.map((witness) => honest(witness));
    if (first === undefined) throw new Error('there is one');
    const flaky: WitnessClient = {
      addCheckpoint: (...asked) => (up ? first.addCheckpoint(...asked) : dead.addCheckpoint(...asked)),
    };
    const running = start([flaky, ...others]);
    await store.commit({ entries: entries(5) });
    for (let nth = 0; nth < 30; nth += 1) await second(running);
    expect(await tales()).toEqual([['witness.fail', 'witness.unreachable']]);
    up = true;
    for (let nth = 0; nth < 130; nth += 1) await second(running);
    expect(await tales()).toEqual([
      ['witness.fail', 'witness.unreachable'],
      ['witness.recover', undefined],
    ]);
    expect(await keptSize()).toBe((await store.logHead()).size);
    expect(await verdict(3)).toBe('verified');
  });

  it('goes on from where a witness stands, also after a restart of the broker', async () => {
    const clients = witnesses.map((one) => honest(one));
    const running = start(clients);
    await store.commit({ entries: entries(5) });
    await second(running);
    await running.close();
    await store.commit({ entries: entries(4) });
    const next = start(clients);
    await second(next);
    expect(await keptSize()).toBe(9n);
    expect(clients.map(({ asked }) => asked)).toEqual([2, 2, 2]);
  });

  it('asks a second time from the size that the witness says', async () => {
    const clients = witnesses.map((one) => honest(one));
    await store.commit({ entries: entries(3) });
    const { checkpoint } = await store.logHead();
    await clients[0]?.addCheckpoint({ old: 0n, proof: [], note: checkpoint }, new AbortController().signal);
    await store.commit({ entries: entries(4) });
    const running = start(clients);
    await second(running);
    expect(await keptSize()).toBe(7n);
    expect(await verdict(3)).toBe('verified');
    expect(clients.map(({ asked }) => asked)).toEqual([3, 1, 1]);
  });

  it('calls it a rollback when a witness has seen more than there is', async () => {
    const ahead: WitnessClient = { addCheckpoint: async () => ({ kind: 'size', size: 1000n }) };
    const running = start([ahead, ...witnesses.slice(1).map((one) => honest(one))]);
    await store.commit({ entries: entries(5) });
    for (let nth = 0; nth < 5; nth += 1) await second(running);
    expect(await tales()).toEqual([['witness.fail', 'witness.ahead']]);
    expect(await verdict()).toBe('verified');
  });

  it.each([
    ['always the same', [1n]],
    ['nothing and something in turn', [0n, 1n]],
    ['something and nothing in turn', [1n, 0n]],
    ['that it has lost more each time', [3n, 2n, 1n, 0n]],
  ])('tells of a witness that only says where it stands: %s', async (_says, sizes) => {
    let asked = 0;
    const stubborn: WitnessClient = {
      addCheckpoint: async () => ({ kind: 'size', size: sizes[asked++ % sizes.length] ?? 0n }),
    };
    const running = start([stubborn, ...witnesses.slice(1).map((one) => honest(one))]);
    await store.commit({ entries: entries(5) });
    for (let nth = 0; nth < 40; nth += 1) {
      await second(running);
      await store.commit({ entries: entries(1) });
    }
    expect(await tales()).toEqual([['witness.fail', 'witness.no_cosignature']]);
    // And leaves it alone a while, as any other that fails.
    expect(asked).toBeLessThan(40);
  });

  it('tells of one that always claims to have seen what came just now', async () => {
    const quick: WitnessClient = {
      async addCheckpoint() {
        await store.commit({ entries: entries(1) });
        return { kind: 'size', size: (await store.logHead()).size };
      },
    };
    const running = start([quick, ...witnesses.slice(1).map((one) => honest(one))]);
    for (let nth = 0; nth < 40; nth += 1) {
      await store.commit({ entries: entries(1) });
      await second(running);
    }
    expect(await tales()).toEqual([['witness.fail', 'witness.no_cosignature']]);
  });

  it('does not tell of one that others are quicker to ask', async () => {
    const [one] = witnesses.map((witness) => honest(witness));
    if (one === undefined) throw new Error('there is one');
    const another = startAnother([one, undefined, undefined], 1);
    const late: WitnessClient = {
      async addCheckpoint(...asked) {
        await store.commit({ entries: entries(1) });
        await second(another);
        return one.addCheckpoint(...asked);
      },
    };
    const running = start([late, undefined, undefined], 1);
    for (let nth = 0; nth < 20; nth += 1) {
      await store.commit({ entries: entries(1) });
      await second(running);
    }
    expect(await tales()).toEqual([]);
    expect(running.newest?.size).toBeGreaterThan(20n);
  });

  it('does not count what was kept under another policy', async () => {
    const [one] = witnesses.map((witness) => honest(witness));
    const lenient = start([one, undefined, undefined], 1);
    await store.commit({ entries: entries(5) });
    await second(lenient);
    expect(lenient.newest?.size).toBe(5n);
    await lenient.close();
    const strict = start([dead, dead, dead], 2);
    await second(strict);
    expect(strict.newest).toBeUndefined();
    expect(meetsQuorum(parseWitnessPolicy(Buffer.from(policyOf(2, witnesses)), 'p'), new Set(['W1']))).toBe(
      false,
    );
  });
});

describe('waiting for a quorum', () => {
  it('is without hope from the end of a round without one until there is one', async () => {
    let up = false;
    const flaky = witnesses.map((one): WitnessClient => {
      const client = honest(one);
      return { addCheckpoint: (...asked) => (up ? client : dead).addCheckpoint(...asked) };
    });
    const running = start(flaky);
    expect(running.isFailing).toBe(false);
    await store.commit({ entries: entries(5) });
    await second(running);
    expect(running.isFailing).toBe(false);
    await second(running);
    expect(running.isFailing).toBe(true);
    for (let nth = 0; nth < 30; nth += 1) await second(running);
    expect(running.isFailing).toBe(true);
    up = true;
    // Without a new entry: its pauses end by themselves.
    for (let nth = 0; nth < 16; nth += 1) await second(running);
    expect(running.isFailing).toBe(false);
    for (let nth = 0; nth < 5; nth += 1) {
      await store.commit({ entries: entries(1) });
      await second(running);
      expect(running.isFailing).toBe(false);
    }
  });

  it('has hope again when another broker gets one', async () => {
    const running = start([dead, dead, dead]);
    await store.commit({ entries: entries(5) });
    for (let nth = 0; nth < 3; nth += 1) await second(running);
    expect(running.isFailing).toBe(true);
    await second(startAnother(witnesses.map((one) => honest(one))));
    await second(running);
    expect(running.isFailing).toBe(false);
  });

  it('ends with a checkpoint that covers the entry', async () => {
    const running = start(witnesses.map((one) => honest(one)));
    const { firstIndex } = await store.commit({ entries: entries(5) });
    pass(1000);
    const covering = await running.covering(firstIndex + 4n, 5000);
    expect(covering?.size).toBe(5n);
    expect(await store.cosignedCheckpoint()).toEqual(covering);
    expect(await running.covering(2n, 0)).toEqual(covering);
  });

  it('ends without one when the time is up, or the broker stops', async () => {
    const running = start([hanging, dead, dead]);
    await store.commit({ entries: entries(5) });
    expect(await running.covering(4n, 50)).toBeUndefined();
    const waiting = running.covering(4n, 60_000);
    await running.close();
    expect(await waiting).toBeUndefined();
    expect(await running.covering(4n, 60_000)).toBeUndefined();
  });
});

describe('another broker on the same store', () => {
  const all = (): Honest[] => witnesses.map((one) => honest(one));

  it('has what this one needs: its checkpoint is taken over at the next look, and nobody is asked', async () => {
    const own = all();
    const running = start(own);
    const another = startAnother(all());
    await store.commit({ entries: entries(5) });
    await second(another);
    await second(running);
    expect(running.newest).toEqual(await store.cosignedCheckpoint());
    expect(own.map(({ asked }) => asked)).toEqual([0, 0, 0]);
    await store.commit({ entries: entries(2) });
    await second(another);
    await second(running);
    expect(running.newest?.size).toBe(7n);
    expect(own.map(({ asked }) => asked)).toEqual([0, 0, 0]);
  });

  it('ends the waiting of who loses every race for the witnesses', async () => {
    const running = start([hanging, hanging, hanging]);
    const another = startAnother(all());
    const { firstIndex } = await store.commit({ entries: entries(5) });
    const waiting = running.covering(firstIndex, 10_000);
    await second(another);
    await second(running);
    expect((await waiting)?.size).toBe(5n);
  });

  it('is looked at once more before anybody gives up', async () => {
    const running = start([hanging, hanging, hanging]);
    const another = startAnother(all());
    const { firstIndex } = await store.commit({ entries: entries(5) });
    const patience = running.covering(firstIndex, 300);
    await second(another);
    expect(another.newest?.size).toBe(5n);
    expect((await patience)?.size).toBe(5n);
  });

  it('is not believed: who can write to the database makes no quorum', async () => {
    const running = start([dead, dead, dead]);
    const another = startAnother(all());
    await store.commit({ entries: entries(5) });
    await second(another);
    const { note } = (await store.cosignedCheckpoint()) ?? { note: '' };
    const { firstIndex } = await store.commit({ entries: entries(5) });
    const head = (await store.logHead()).checkpoint;
    const lines = note.slice(textOf(note).length + 1);
    const twin = createLogAppender({ signer: place.signer, origin, random: systemRandom });
    const forks = twin.append(emptyLogHead(origin), entries(10)).checkpoint;
    for (const written of [
      note,
      `${textOf(head)}\n${lines}`,
      head,
      forks + witnesses.map((one) => one.cosign(forks)).join(''),
      'nonsense',
    ]) {
      place.sql(`UPDATE cosigned_checkpoint SET size = 10, note = '${written}'`);
      await second(running);
      expect(running.newest).toBeUndefined();
      expect(await running.covering(firstIndex, 10)).toBeUndefined();
    }
  });
});
