import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseHosts, parsePorts } from '../../src/doors/probe/index.ts';
import { CodedError } from '../../src/kernel/index.ts';
import { parseTelnet, parseUsageCsv, recogniseTelnet } from '../../src/tn5250/index.ts';

const runs = { seed: 20_261_130, numRuns: 5000 };

function isTotal(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof CodedError) return true;
    throw error;
  }
}

/** Bytes that are often commands. */
const stream = fc
  .array(fc.oneof(fc.constantFrom(255, 255, 250, 240, 251, 253, 239, 24, 39, 0), fc.nat(255)), {
    maxLength: 200,
  })
  .map((bytes) => Buffer.from(bytes));

/** What the items stand for, as bytes. */
function encode(items: ReturnType<typeof parseTelnet>['items']): Buffer {
  const doubled = (bytes: Buffer): number[] =>
    [...bytes].flatMap((byte) => (byte === 255 ? [255, 255] : [byte]));
  return Buffer.from(
    items.flatMap((item) => {
      if (item.kind === 'text') return doubled(item.bytes);
      if (item.kind === 'command') return [255, item.code];
      if (item.kind === 'negotiate')
        return [255, 251 + ['will', 'wont', 'do', 'dont'].indexOf(item.verb), item.option];
      return [255, 250, item.option, ...doubled(item.bytes), 255, 240];
    }),
  );
}

test('telnet is read or refused, and what was read stands for the bytes that came', () => {
  fc.assert(
    fc.property(stream, (bytes) => {
      if (!isTotal(() => parseTelnet(bytes))) return false;
      try {
        const { items, restBytes } = parseTelnet(bytes);
        return encode(items).equals(bytes.subarray(0, bytes.length - restBytes));
      } catch {
        return true;
      }
    }),
    runs,
  );
});

test('telnet that comes in pieces reads like the whole', () => {
  fc.assert(
    fc.property(stream, fc.nat(200), (bytes, cut) => {
      const whole = recogniseTelnet(bytes);
      const part = recogniseTelnet(bytes.subarray(0, cut));
      // More bytes may make clear what was not, and show that it was no telnet after all.
      return part === 'unclear' || part === whole || whole === 'other' || whole === 'telnet';
    }),
    runs,
  );
});

test('a list of applications is read or refused', () => {
  const text = fc
    .array(
      fc.oneof(
        fc.constantFrom('"', ',', '\n', '\r\n', ';', '""', 'APPLICATION_ID', 'QIBM_X', '["a"]', '{'),
        fc.string(),
      ),
      {
        maxLength: 40,
      },
    )
    .map((parts) => `APPLICATION_ID,CERTIFICATE_LABELS\n${parts.join('')}`);
  fc.assert(
    fc.property(text, (csv) => isTotal(() => parseUsageCsv(csv))),
    runs,
  );
});

test('a mutated list of applications is read or refused', () => {
  const good =
    'DESCRIPTION,APPLICATION_ID,CERTIFICATE_LABELS\r\n"Telnet, ""5250""",QIBM_QTV_TELNET_SERVER,"[""a""]"\r\nx,QIBM_Y,\r\n';
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(5), fc.string({ maxLength: 3 }), (at, cut, put) =>
      isTotal(() => parseUsageCsv(good.slice(0, at) + put + good.slice(at + cut))),
    ),
    runs,
  );
});

test('hosts and ports are read or refused', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV6())), (hosts) =>
      isTotal(() => parseHosts(hosts)),
    ),
    runs,
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9,:a-z-]{0,60}$/)), (ports) =>
      isTotal(() => parsePorts(ports)),
    ),
    runs,
  );
  expect(parseHosts(['B', 'b ', 'A'])).toEqual(['b', 'a']);
});
