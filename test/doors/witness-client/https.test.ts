import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { WitnessAnswer } from '../../../src/broker/index.ts';
import { createWitnessClient } from '../../../src/doors/witness-client/index.ts';
import { createWitness, openWitnessDoor, type WitnessDoor } from '../../../src/doors/witness/index.ts';
import { CodedError } from '../../../src/kernel/index.ts';
import { dayDrafts, makeLog, newSigner } from '../../accounting/log-fixture.ts';
import { freePort } from '../../support/free-port.ts';
import { describeWithPeers } from '../../support/peers.ts';
import { type Holder, makeSinkTls, type SinkTls } from '../../support/sink-tls.ts';

const log = makeLog(dayDrafts(3));

describeWithPeers(['openssl'], 'a witness that is asked over HTTPS', () => {
  let folder: string;
  let tls: SinkTls;
  let door: WitnessDoor | undefined;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-witness-tls-'));
    tls = makeSinkTls(folder);
  });
  afterEach(async () => {
    await door?.close();
    door = undefined;
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The real witness behind its real door, with the certificate of `holder`, or without TLS. */
  async function serve(holder?: Holder): Promise<string> {
    const kept = new Map<string, string>();
    const memory = {
      read: (of: string) => kept.get(of),
      write: (of: string, note: string) => void kept.set(of, note),
    };
    const witness = createWitness({
      name: 'witness.example/w1',
      signer: newSigner(),
      logs: [log.key],
      memory,
      clock: { nowMs: () => 1_790_000_000_000 },
      observe: () => undefined,
    });
    const pair = holder && {
      certificate: tls.pem(tls.certificateFile(holder)),
      key: tls.pem(tls.keyFile(holder)),
    };
    door = await openWitnessDoor({ witness, host: '127.0.0.1', port: 0, tls: pair, failed: () => undefined });
    return `https://127.0.0.1:${door.port}/`;
  }

  async function ask(url: string, caFile?: string): Promise<WitnessAnswer> {
    const client = createWitnessClient({ url, ca: caFile === undefined ? undefined : tls.pem(caFile) });
    try {
      return await client.addCheckpoint(
        { old: 0n, proof: [], note: log.checkpoint },
        new AbortController().signal,
      );
    } finally {
      client.close();
    }
  }

  /** Code, sentence and next step of a refusal. */
  async function refused(
    url: string,
    caFile?: string,
  ): Promise<readonly [code: string, sentence: string, next: string]> {
    try {
      await ask(url, caFile);
    } catch (error) {
      if (error instanceof CodedError) return [error.code, error.message, error.next ?? ''];
      throw error;
    }
    return ['accepted', '', ''];
  }

  it('cosigns for whoever trusts the authority of its certificate', async () => {
    expect(await ask(await serve('server'), tls.caFile)).toMatchObject({ kind: 'cosigned' });
  });

  it.each([
    {
      what: 'of another authority',
      holder: 'stranger',
      code: 'witness.certificate_not_trusted',
      next: 'log.witness-ca-file',
    },
    { what: 'that has expired', holder: 'expired', code: 'witness.certificate_expired', next: 'renew' },
    {
      what: 'for another name',
      holder: 'elsewhere',
      code: 'witness.certificate_wrong_name',
      next: 'policy file',
    },
  ] as const)(
    'is not asked with a certificate $what, and the error says so',
    async ({ holder, code, next }) => {
      const url = await serve(holder);
      const [found, sentence, step] = await refused(url, tls.caFile);
      expect(found).toBe(code);
      expect(sentence).toContain(url.slice(0, -1));
      expect(step).toContain(next);
    },
  );

  it('is not asked where only the authorities that Node knows may vouch, whatever the environment says', async () => {
    const url = await serve('server');
    expect((await refused(url))[0]).toBe('witness.certificate_not_trusted');
    expect((await refused(url, tls.strangerCaFile))[0]).toBe('witness.certificate_not_trusted');
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      expect((await refused(url))[0]).toBe('witness.certificate_not_trusted');
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });

  it('is not asked where no TLS is spoken, or nobody listens', async () => {
    expect((await refused(await serve(), tls.caFile))[0]).toBe('witness.not_tls');
    const [code, sentence] = await refused(`https://127.0.0.1:${await freePort()}/`, tls.caFile);
    expect([code, sentence]).toEqual([
      'witness.unreachable',
      expect.stringContaining('nothing listens there'),
    ]);
  });
});
