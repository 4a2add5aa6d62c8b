import { request } from 'node:http';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  consistencyProof,
  cosignerKey,
  findCosignature,
  parseCosignerKey,
} from '../../../src/accounting/index.ts';
import {
  createWitness,
  openWitnessDoor,
  type Witness,
  type WitnessDoor,
  type WitnessEvent,
} from '../../../src/doors/witness/index.ts';
import { codeOf, dayDrafts, makeLog, newSigner, origin } from '../../accounting/log-fixture.ts';
import { textOf } from '../../accounting/witness-fixture.ts';

const name = 'witness.example/w1';
const signer = newSigner();
const key = parseCosignerKey(cosignerKey(name, signer.publicKey));
const drafts = dayDrafts(21);
const log = makeLog(drafts);
/** Sizes at which an append ended: 1, 3, 6, 10, 15, 21. */
const noteAt = (size: number): string => log.checkpoints.get(size) ?? '';
const proofOf = (old: number, size: number): Promise<Buffer[]> =>
  consistencyProof(BigInt(old), BigInt(size), log.readTile);
/** The same key signs another history: of this a witness must save everybody. */
const fork = makeLog(dayDrafts(22).slice(1), log.signer, 2);

interface Setup {
  readonly witness: Witness;
  readonly kept: Map<string, string>;
  readonly events: WitnessEvent[];
}

function setUp(
  options: {
    readonly logs?: readonly string[];
    readonly kept?: Map<string, string>;
    readonly write?: () => void;
  } = {},
): Setup {
  const kept = options.kept ?? new Map<string, string>();
  const events: WitnessEvent[] = [];
  const witness = createWitness({
    name,
    signer,
    logs: options.logs ?? [log.key],
    memory: {
      read: (of) => kept.get(of),
      write: (of, note) => {
        options.write?.();
        kept.set(of, note);
      },
    },
    clock: { nowMs: () => 1_790_000_000_000 },
    observe: (event) => events.push(event),
  });
  return { witness, kept, events };
}

function bodyOf(old: number | string, proof: readonly Buffer[], note: string): Buffer {
  return Buffer.from(`old ${old}\n${proof.map((hash) => `${hash.toString('base64')}\n`).join('')}\n${note}`);
}

async function send(witness: Witness, old: number, size: number): Promise<number> {
  return witness.addCheckpoint(bodyOf(old, await proofOf(old, size), noteAt(size))).status;
}

describe('a witness', () => {
  it('cosigns what continues the tree that it knows, and remembers it first', async () => {
    const { witness, kept, events } = setUp();
    const answer = witness.addCheckpoint(bodyOf(0, [], noteAt(6)));
    expect(answer.status).toBe(200);
    expect(kept.get(origin)).toBe(noteAt(6));
    expect(findCosignature(textOf(noteAt(6)), answer.body, key)).toMatchObject({ seconds: 1_790_000_000n });
    expect(await send(witness, 6, 15)).toBe(200);
    expect(await send(witness, 15, 21)).toBe(200);
    expect(kept.get(origin)).toBe(noteAt(21));
    expect(events.map(({ what, size }) => [what, size])).toEqual([
      ['cosigned', 6n],
      ['cosigned', 15n],
      ['cosigned', 21n],
    ]);
  });

  it('cosigns the same tree again without writing anything', async () => {
    const { witness } = setUp({ kept: new Map([[origin, noteAt(6)]]), write: () => expect.fail('it wrote') });
    expect(await send(witness, 6, 6)).toBe(200);
  });

  it('says what it knows to whoever assumes something else', () => {
    const { witness } = setUp({ kept: new Map([[origin, noteAt(10)]]) });
    for (const [old, size] of [
      [0, 21],
      [6, 10],
      [15, 21],
    ] as const) {
      const answer = witness.addCheckpoint(bodyOf(old, [], noteAt(size)));
      expect(answer).toEqual({ status: 409, contentType: 'text/x.tlog.size', body: '10\n' });
    }
  });

  it('never cosigns a smaller tree: a rollback', async () => {
    const { witness, kept } = setUp({ kept: new Map([[origin, noteAt(15)]]) });
    expect(await send(witness, 6, 10)).toBe(409);
    expect(await send(witness, 0, 10)).toBe(409);
    expect(witness.addCheckpoint(bodyOf(15, [], noteAt(10))).status).toBe(400);
    expect(kept.get(origin)).toBe(noteAt(15));
  });

  it('never cosigns another history of the same log, and keeps the evidence in its own log', async () => {
    const { witness, kept, events } = setUp({ kept: new Map([[origin, noteAt(10)]]) });
    const same = fork.checkpoints.get(10) ?? '';
    const split = witness.addCheckpoint(bodyOf(10, [], same));
    expect([split.status, split.contentType]).toEqual([409, 'text/plain; charset=utf-8']);
    const later = fork.checkpoints.get(21) ?? '';
    const proof = await consistencyProof(10n, 21n, fork.readTile);
    expect(witness.addCheckpoint(bodyOf(10, proof, later)).status).toBe(422);
    expect(witness.addCheckpoint(bodyOf(10, await proofOf(10, 21), later)).status).toBe(422);
    expect(events.map(({ evidence, unproven }) => [evidence, unproven])).toEqual([
      [{ sent: same, seen: noteAt(10) }, undefined],
      [undefined, later],
      [undefined, later],
    ]);
    expect(kept.get(origin)).toBe(noteAt(10));
    expect(await send(witness, 10, 21)).toBe(200);
  });

  it('accuses no log because somebody sends one of its checkpoints without a proof', () => {
    const { witness, events } = setUp({ kept: new Map([[origin, noteAt(6)]]) });
    const receipt = noteAt(15);
    expect(witness.addCheckpoint(bodyOf(6, [Buffer.alloc(32)], receipt)).status).toBe(422);
    expect(events.map(({ evidence }) => evidence)).toEqual([undefined]);
    expect(events[0]).toMatchObject({ status: 422, unproven: receipt });
  });

  it.each([
    ['no proof', async () => []],
    ['a hash too many', async () => [...(await proofOf(10, 21)), Buffer.alloc(32)]],
    ['a hash too few', async () => (await proofOf(10, 21)).slice(1)],
    ['hashes in another order', async () => (await proofOf(10, 21)).toReversed()],
  ])('refuses a continuation with %s', async (_what, proof) => {
    const { witness } = setUp({ kept: new Map([[origin, noteAt(10)]]) });
    expect(witness.addCheckpoint(bodyOf(10, await proof(), noteAt(21))).status).toBe(422);
  });

  it('takes a proof from nothing only when it is empty', () => {
    const { witness } = setUp();
    expect(witness.addCheckpoint(bodyOf(0, [Buffer.alloc(32)], noteAt(6))).status).toBe(422);
  });

  it('does not know other logs, and no keys but those that it was given', () => {
    const { witness, events } = setUp();
    const foreign = makeLog(drafts, newSigner(), 1, 'other.example/log');
    expect(witness.addCheckpoint(bodyOf(0, [], foreign.checkpoint)).status).toBe(404);
    const impostor = makeLog(drafts, newSigner());
    expect(witness.addCheckpoint(bodyOf(0, [], impostor.checkpoint)).status).toBe(403);
    const own = noteAt(6).split('\n').at(-2) ?? '';
    const wrong = noteAt(10).replace(/— .*\n$/, `${own}\n`);
    expect(witness.addCheckpoint(bodyOf(0, [], wrong)).status).toBe(403);
    expect(events.map(({ status }) => status)).toEqual([403, 403]);
  });

  it('passes over signatures of others, and takes any key of the log', () => {
    const second = makeLog(drafts, newSigner());
    const { witness } = setUp({ logs: [log.key, second.key] });
    const note = `${noteAt(6)}— grease 3q2+7wABAgM=\n`;
    expect(witness.addCheckpoint(bodyOf(0, [], note)).status).toBe(200);
    expect(
      setUp({ logs: [second.key, log.key] }).witness.addCheckpoint(bodyOf(0, [], second.checkpoint)).status,
    ).toBe(200);
  });

  it('cosigns the lines that another kind of log adds to its checkpoints', () => {
    const { witness } = setUp();
    const text = `${textOf(noteAt(6))}an extension\n`;
    const id = Buffer.from((/ (\S+)\n$/.exec(noteAt(6))?.[1] ?? '').slice(0, 8), 'base64').subarray(0, 4);
    const signature = Buffer.concat([id, log.signer.sign(Buffer.from(text))]).toString('base64');
    const answer = witness.addCheckpoint(bodyOf(0, [], `${text}\n— ${origin} ${signature}\n`));
    expect(answer.status).toBe(200);
    expect(findCosignature(text, answer.body, key)).toMatchObject({ line: answer.body });
  });

  it('cosigns nothing that it could not write down', () => {
    const { witness, kept } = setUp({
      write: () => {
        throw new Error('no space');
      },
    });
    expect(() => witness.addCheckpoint(bodyOf(0, [], noteAt(6)))).toThrow('no space');
    expect(kept.size).toBe(0);
  });

  it('does not start with a memory that the log did not sign: it would begin anew', () => {
    for (const bad of ['', 'nonsense', noteAt(6).replace('\n6\n', '\n5\n'), noteAt(6).slice(0, -1)])
      expect(codeOf(() => setUp({ kept: new Map([[origin, bad]]) }))).toBe('witness.bad_memory');
    expect(codeOf(() => setUp({ logs: ['nonsense'] }))).toBe('witness.bad_log_key');
  });

  it.each([
    ['nothing', ''],
    ['no old size', `\n${noteAt(6)}`],
    ['a leading zero', `old 00\n\n${noteAt(6)}`],
    ['a negative size', `old -1\n\n${noteAt(6)}`],
    ['a capital letter', `Old 0\n\n${noteAt(6)}`],
    ['two spaces', `old  0\n\n${noteAt(6)}`],
    ['CR LF', `old 0\r\n\r\n${noteAt(6)}`],
    ['no empty line', `old 0\n${textOf(noteAt(6))}`],
    ['a hash of 31 bytes', `old 0\n${Buffer.alloc(31).toString('base64')}\n\n${noteAt(6)}`],
    ['a hash without padding', `old 0\n${'A'.repeat(43)}\n\n${noteAt(6)}`],
    ['64 hashes', `old 0\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}\n${noteAt(6)}`],
    ['no checkpoint', 'old 0\n\n'],
    ['a checkpoint without a signature', `old 0\n\n${textOf(noteAt(6))}\n`],
    ['a checkpoint that is cut off', `old 0\n\n${noteAt(6).slice(0, -1)}`],
    ['a checkpoint with a size of no number', `old 0\n\n${noteAt(6).replace('\n6\n', '\nsix\n')}`],
    ['a checkpoint with a short root', `old 0\n\n${origin}\n6\nAAAA\n\n— a AAAAAAA=\n`],
    ['an old size that is too large', bodyOf(7, [], noteAt(6)).toString()],
    ['a control character', `old 0\n\n${noteAt(6).replace('— ', '—\t')}`],
  ])('refuses a request with %s', (_what, body) => {
    expect(setUp().witness.addCheckpoint(Buffer.from(body)).status).toBe(400);
  });

  it('answers whatever comes with a status, and cosigns none of it', () => {
    const good = bodyOf(0, [], noteAt(6)).toString();
    fc.assert(
      fc.property(
        fc.nat(good.length),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
        (at, extra) => {
          const { witness, kept } = setUp();
          const bent = good.slice(0, at) + extra.toWellFormed() + good.slice(at + extra.length);
          fc.pre(bent !== good);
          const { status } = witness.addCheckpoint(Buffer.from(bent));
          expect([200, 400, 403, 404, 409, 422]).toContain(status);
          // A line of somebody else may stand behind, and nothing more.
          if (status === 200) expect(kept.get(origin)).toContain(textOf(noteAt(6)));
          else expect(kept.size).toBe(0);
        },
      ),
      { seed: 20_261_124, numRuns: 500 },
    );
  });
});

describe('the door of a witness', () => {
  let door: WitnessDoor | undefined;
  afterEach(() => door?.close());

  async function open(
    witness: Witness = setUp().witness,
  ): Promise<
    (path: string, method: string, body?: Buffer) => Promise<{ status: number; type: string; body: string }>
  > {
    const opened = await openWitnessDoor({
      witness,
      host: '127.0.0.1',
      port: 0,
      tls: undefined,
      failed: () => undefined,
    });
    door = opened;
    return (path, method, body) =>
      new Promise((resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port: opened.port, path, method }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              type: response.headers['content-type'] ?? '',
              body: text,
            }),
          );
        });
        asked.on('error', reject).end(body);
      });
  }

  it('takes checkpoints by POST at one place', async () => {
    const ask = await open();
    const good = await ask('/add-checkpoint', 'POST', bodyOf(0, [], noteAt(6)));
    expect(good.status).toBe(200);
    expect(findCosignature(textOf(noteAt(6)), good.body, key)).toBeDefined();
    expect(await ask('/add-checkpoint', 'POST', bodyOf(0, [], noteAt(6)))).toEqual({
      status: 409,
      type: 'text/x.tlog.size',
      body: '6\n',
    });
    expect((await ask('/add-checkpoint', 'GET')).status).toBe(405);
    expect((await ask('/', 'POST', Buffer.from('x'))).status).toBe(404);
    expect((await ask('/add-checkpoint', 'POST', Buffer.alloc(70_000, 0x20))).status).toBe(413);
    expect((await ask('/add-checkpoint', 'POST', Buffer.from('x'))).status).toBe(400);
  });

  it('says nothing of its own faults', async () => {
    const ask = await open({
      origins: [],
      addCheckpoint: () => {
        throw new Error('a secret path');
      },
    });
    const answer = await ask('/add-checkpoint', 'POST', Buffer.from('x'));
    expect(answer.status).toBe(500);
    expect(answer.body).not.toContain('secret');
  });
});
