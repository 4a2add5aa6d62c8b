import { describe, expect, it, test } from 'vitest';
import {
  applications,
  chooseApplications,
  findApplication,
  listApplications,
  nameOfPort,
  restartPlan,
  restarts,
  sessionNeeds,
} from '../../src/tn5250/index.ts';
import { codeOfSync } from '../support/code-of.ts';

describe('the catalogue', () => {
  it('names each application, id, service and port once', () => {
    const unique = (values: readonly unknown[]): void => expect(new Set(values).size).toBe(values.length);
    unique(applications.map(({ word }) => word));
    unique(applications.flatMap(({ id }) => (id === undefined ? [] : [id])));
    const ports = applications.flatMap(({ clear, tls }) => [...clear, ...tls]);
    unique(ports.map(({ port }) => port));
    unique(ports.map(({ service }) => service));
    expect(ports.length).toBeGreaterThan(20);
  });

  it('says of every fact where it is from', () => {
    const facts = applications.flatMap(({ idSource, clear, tls }) => [
      idSource,
      ...[...clear, ...tls].map(({ source }) => source),
    ]);
    for (const { mark, source } of [...facts, ...restarts.map((restart) => restart.source)])
      expect([['verified', 'unverified'].includes(mark), source.length > 5]).toEqual([true, true]);
  });

  it('knows what stands in the documents of IBM', () => {
    const ports = (word: string): unknown => {
      const { id, clear, tls } = findApplication(word) ?? {};
      return [id, clear?.map(({ port }) => port), tls?.map(({ port }) => port)];
    };
    expect(ports('telnet')).toEqual(['QIBM_QTV_TELNET_SERVER', [23], [992]]);
    expect(ports('signon')).toEqual(['QIBM_OS400_QZBS_SVR_SIGNON', [8476], [9476]]);
    expect(ports('central')).toEqual(['QIBM_OS400_QZBS_SVR_CENTRAL', [8470], [9470]]);
    expect(ports('ddm')).toEqual(['QIBM_OS400_QRW_SVR_DDM_DRDA', [446], [448]]);
    expect(nameOfPort(9475)?.application.word).toBe('rmtcmd');
    expect(nameOfPort(9475)?.tls).toBe(true);
    expect(nameOfPort(22)).toBeUndefined();
    expect(sessionNeeds.map(({ port }) => port)).toEqual([449, 992, 9470, 9475, 9476]);
  });
});

describe('a list of applications', () => {
  it('takes words, groups and ids, each once, in the order of the catalogue', () => {
    const words = listApplications('hostservers, QIBM_QTV_TELNET_SERVER,telnet,signon').map(
      ({ word }) => word,
    );
    expect(words).toEqual(['telnet', 'central', 'database', 'dtaq', 'file', 'netprt', 'rmtcmd', 'signon']);
  });

  test.each([
    ['', 'tn5250.no_application'],
    [' ', 'tn5250.no_application'],
    ['telnet,', 'tn5250.unknown_application'],
    ['telnett', 'tn5250.unknown_application'],
    ['QIBM_QTV_TELNET_SRV', 'tn5250.unknown_application'],
    ['hostcnn', 'tn5250.cannot_plan'],
    ['telnet,vpn', 'tn5250.cannot_plan'],
    ['telnet-client', 'tn5250.cannot_plan'],
    [Array(65).fill('telnet').join(','), 'tn5250.no_application'],
  ])('“%s” gives %s', (text, code) => {
    expect(codeOfSync(() => chooseApplications(text))).toBe(code);
  });

  it('is restarted each server once, Telnet last', () => {
    expect(restartPlan(chooseApplications('telnet,hostservers,ddm')).map(({ word }) => word)).toEqual([
      'ddm',
      'hostservers',
      'telnet',
    ]);
  });
});
