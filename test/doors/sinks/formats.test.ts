import { describe, expect, it } from 'vitest';
import type { StoredEntry } from '../../../src/broker/index.ts';
import { logTypes } from '../../../src/doors/client/index.ts';
import { createLine, createSyslogMessage } from '../../../src/doors/sinks/index.ts';
import { sha256 } from '../../../src/kernel/index.ts';
import { readCef, readSyslog } from '../../support/line-readers.ts';
import { loadOcsfSchema, ocsfFaults } from '../../support/ocsf-schema.ts';
import { everyType } from './every-type.ts';
import { context, issued, storedEntries, withoutOpenings } from './stored.ts';

const [entry] = storedEntries([issued]) as [StoredEntry];
const all = storedEntries(everyType);
const omitting = { ...context, personal: 'omit' } as const;
const secrets = ['alice@', '192.0.2.7', 'sallyport/0.1.0', 'ticket 17'];

type Event = Readonly<Record<string, unknown>>;
const parse = (line: string): Event => JSON.parse(line) as Event;

describe('the samples', () => {
  it('have every type of entry', () => {
    expect([...new Set(everyType.map(({ type }) => type))].toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      [...logTypes].sort((a, b) => (a < b ? -1 : 1)),
    );
  });
});

describe('RFC 5424', () => {
  const line = createLine('rfc5424', context);
  const own = (text: string): ReadonlyMap<string, string> =>
    readSyslog(text).data.get('sallyport@32473') ?? new Map();

  it('has the header, the fields and a few words of a certificate that was issued', () => {
    const message = readSyslog(line(entry));
    expect(message).toMatchObject({
      facility: 13,
      severity: 6,
      timestamp: '2026-11-23T12:00:00.000Z',
      hostname: 'broker1.example.com',
      appName: 'sallyport',
      procId: '-',
      msgId: 'cred.issue',
      hasBom: true,
      msg: 'Certificate issued: success',
    });
    expect([...message.data.keys()]).toEqual(['sallyport@32473', 'origin', 'timeQuality']);
    expect(Object.fromEntries(own(line(entry)))).toMatchObject({
      idx: '0',
      leaf: entry.leafHash.toString('hex'),
      outcome: 'success',
      actor: 'corp:5f0c',
      actor_name: 'alice',
      ip: '192.0.2.7',
      serial: '18446744073709551615',
      principals: 'alice deploy',
      reason: 'ticket 17: “disk=full”?second line',
      req: 'r-1',
    });
    expect(own(line(entry)).has('erased')).toBe(false);
  });

  it('has the enterprise number that was configured', () => {
    const { data } = readSyslog(createLine('rfc5424', { ...context, enterpriseNumber: 64_999 })(entry));
    expect(data.has('sallyport@64999')).toBe(true);
    expect(data.get('origin')?.get('enterpriseId')).toBe('64999');
  });

  it('grades by outcome', () => {
    const severity = (outcome: string): number | undefined =>
      all
        .filter((one) => one.bytes.includes(`"outcome":"${outcome}"`))
        .map((one) => readSyslog(line(one)).severity)[0];
    expect(['success', 'denied', 'failure'].map(severity)).toEqual([6, 4, 3]);
  });

  it('reads back whatever the type', () => {
    for (const one of all) expect(own(line(one)).get('idx')).toBe(String(one.index));
  });

  it.each([
    ['nothing but underscores of a name that syslog cannot carry', 'bröker eins', 'br_ker_eins'],
    ['as much as there is room for', 'x'.repeat(300), 'x'.repeat(255)],
    ['its absence', '', '-'],
  ])('has %s for its host name', (_, hostname, shown) => {
    expect(readSyslog(createLine('rfc5424', { ...context, hostname })(entry)).hostname).toBe(shown);
  });

  it('carries lines of other formats as they are, without a BOM', () => {
    for (const format of ['cef', 'ocsf', 'json'] as const) {
      const message = readSyslog(createSyslogMessage(format, context)(entry).replaceAll('\n', '?'));
      expect(message).toMatchObject({ msgId: 'cred.issue', hasBom: false, facility: 13 });
      expect(message.msg).toBe(createLine(format, context)(entry));
      expect(message.data.size).toBe(0);
    }
  });
});

describe('CEF', () => {
  const line = createLine('cef', context);

  it('has header and extension of a certificate that was issued', () => {
    const { header, extension } = readCef(line(entry));
    expect(header).toEqual(['Sallyport', 'Sallyport', '0.1.0', 'cred.issue', 'Certificate issued', '3']);
    expect(Object.fromEntries(extension)).toMatchObject({
      rt: String(Date.UTC(2026, 10, 23, 12)),
      outcome: 'success',
      suid: 'corp:5f0c',
      suser: 'alice',
      src: '192.0.2.7',
      requestClientApplication: 'sallyport/0.1.0',
      msg: 'ticket 17: “disk=full”\nsecond line',
      cn1: '0',
      cn1Label: 'logIndex',
      cs1: '18446744073709551615',
      cs1Label: 'serial',
      cs3: 'alice deploy',
      cs3Label: 'principals',
      cs6: 'r-1',
      deviceCustomDate2: String(Date.UTC(2026, 10, 23, 20)),
      deviceCustomDate2Label: 'notAfter',
    });
  });

  it('uses no custom field without its label, and only those that there are', () => {
    for (const one of all) {
      const keys = [...readCef(line(one)).extension.keys()];
      const custom = keys.filter((key) => /^(?:cs|cn|c6a|flexString|deviceCustomDate)\d+$/.test(key));
      for (const key of custom) expect(keys).toContain(`${key}Label`);
      expect(
        custom.filter((key) => !/^(?:cs[1-6]|cn[1-3]|c6a2|flexString[12]|deviceCustomDate[12])$/.test(key)),
      ).toEqual([]);
    }
  });

  it('has a custom field for IPv6, and no address that is none', () => {
    const v6 = readCef(line(all[1] as StoredEntry)).extension;
    expect([v6.get('src'), v6.get('c6a2'), v6.get('c6a2Label')]).toEqual([
      undefined,
      '2001:db8::7',
      'Source IPv6 Address',
    ]);
    const zoned = all.find((one) => one.openings?.includes('fe80::1%eth0') === true) as StoredEntry;
    expect([...readCef(line(zoned)).extension.keys()]).not.toContain('c6a2');
  });
});

describe('JSON lines', () => {
  it('have the very bytes that were hashed, and what is held of personal values', () => {
    const text = createLine('json', context)(entry);
    const raw = text.slice(text.indexOf('"entry":') + 8, text.lastIndexOf(',"personal":{'));
    expect(sha256(Buffer.of(0), raw).toString('hex')).toBe(parse(text)['leaf_hash']);
    expect(parse(text)).toMatchObject({
      index: '0',
      log: context.origin,
      personal: { 'actor.name': 'alice', reason: issued.personal?.['reason'] },
      erased: [],
    });
  });
});

describe('OCSF', () => {
  const schema = loadOcsfSchema();
  const line = createLine('ocsf', context);

  it('is as the published schema says, whatever the entry', () => {
    for (const one of all)
      for (const stored of [one, withoutOpenings(one), withoutOpenings(one, 'actor.name')])
        for (const about of [context, omitting]) {
          const event = parse(createLine('ocsf', about)(stored));
          expect([stored.bytes.toString(), ocsfFaults(schema, event)]).toEqual([stored.bytes.toString(), []]);
        }
  });

  it('is a Base Event where the type is not known', () => {
    const bytes = Buffer.from(
      '{"id":"x","outcome":"success","time":"2026-11-23T12:00:00.000Z","type":"host.enroll","v":1}',
    );
    const event = parse(line({ ...entry, bytes, openings: undefined }));
    expect(ocsfFaults(schema, event)).toEqual([]);
    expect(event).toMatchObject({ class_uid: 0, type_uid: 99, activity_name: 'host.enroll' });
  });

  it.each([
    ['auth.login', 300_201],
    ['auth.fail', 300_201],
    ['auth.logout', 300_202],
    ['session.revoke', 300_202],
    ['cred.issue', 300_401],
    ['cred.revoke', 300_499],
    ['subject.lock', 300_109],
    ['subject.unlock', 300_112],
    ['directory.change', 300_101],
    ['log.export', 300_402],
    ['system.stop', 600_204],
    ['sink.fail', 600_299],
  ])('puts %s where it belongs', (type, typeUid) => {
    const one = all.find(({ bytes }) => bytes.includes(`"type":"${type}"`)) as StoredEntry;
    expect(parse(line(one))['type_uid']).toBe(typeUid);
  });

  it('loses nothing: the entry is in it', () => {
    expect(parse(line(entry))).toMatchObject({
      raw_data: entry.bytes.toString(),
      unmapped: {
        leaf_hash: entry.leafHash.toString('hex'),
        personal: { reason: issued.personal?.['reason'] },
      },
      entity: { type: 'certificate', uid: '18446744073709551615', name: 'sp-1' },
      actor: { user: { uid: 'corp:5f0c', name: 'alice', domain: 'corp' }, session: { uid: 's-1' } },
      src_endpoint: { ip: '192.0.2.7' },
    });
  });

  describe('held against the schema', () => {
    const good = parse(line(entry));
    it.each([
      ['a class that does not exist', { ...good, class_uid: 1 }],
      ['an attribute that does not exist', { ...good, sallyport: 1 }],
      ['no time', { ...good, time: undefined }],
      ['a time in words', { ...good, time: '2026' }],
      ['a type that is not class and activity', { ...good, type_uid: 300_402 }],
      ['another category', { ...good, category_uid: 6 }],
      ['an activity that does not exist', { ...good, activity_id: 77, type_uid: 300_477 }],
      ['an activity without its name', { ...good, activity_id: 99, type_uid: 300_499 }],
      ['a status that says two things', { ...good, status: 'Failure' }],
      ['an address that is none', { ...good, src_endpoint: { ip: 'here' } }],
      ['an object that is empty', { ...good, entity: {} }],
      ['an object that is none', { ...good, entity: 'cert' }],
      ['another version', { ...good, metadata: { ...(good['metadata'] as object), version: '1.7.0' } }],
      ['something of a profile', { ...good, cloud: { provider: 'x' } }],
    ])('%s is a fault', (_, event) => {
      expect(ocsfFaults(schema, JSON.parse(JSON.stringify(event)))).not.toEqual([]);
      expect(ocsfFaults(schema, good)).toEqual([]);
    });
  });
});

describe('personal values', () => {
  const formats = ['rfc5424', 'cef', 'ocsf', 'json'] as const;

  it.each(formats)('stay in the house in %s unless they may leave', (format) => {
    const text = createLine(format, omitting)(entry);
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/erased/);
    // Their commitments go out where the entry itself does.
    if (format === 'json') expect(text).toContain('"personal":["actor.name","reason","src.ip","src.ua"]');
  });

  it('are shown as erased where retention has erased them', () => {
    const partly = withoutOpenings(entry, 'actor.name', 'src.ip');
    expect(
      readSyslog(createLine('rfc5424', context)(partly)).data.get('sallyport@32473')?.get('erased'),
    ).toBe('actor.name src.ip');
    const { extension } = readCef(createLine('cef', context)(partly));
    expect([extension.get('flexString1'), extension.get('flexString1Label')]).toEqual([
      'actor.name src.ip',
      'erased',
    ]);
    expect([extension.has('suser'), extension.has('src')]).toEqual([false, false]);
    expect(parse(createLine('json', context)(partly))['erased']).toEqual(['actor.name', 'src.ip']);
    expect(parse(createLine('ocsf', context)(partly))['unmapped']).toMatchObject({
      erased: ['actor.name', 'src.ip'],
    });
    expect(parse(createLine('json', context)(withoutOpenings(entry)))).toMatchObject({
      personal: {},
      erased: ['actor.name', 'reason', 'src.ip', 'src.ua'],
    });
  });
});
