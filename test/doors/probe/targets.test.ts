import { describe, expect, it, test } from 'vitest';
import {
  catalogueTargets,
  parseAuthorities,
  parseHosts,
  parsePorts,
} from '../../../src/doors/probe/index.ts';
import { codeOfSync } from '../../support/code-of.ts';

describe('what is probed', () => {
  it('is every port of the catalogue and the port mapper', () => {
    const ports = catalogueTargets.map(({ port }) => port);
    expect(ports).toEqual([...ports].sort((a, b) => a - b));
    for (const port of [23, 449, 992, 9470, 9475, 9476, 448]) expect(ports).toContain(port);
  });

  it('is a service that listens elsewhere', () => {
    expect(parsePorts('telnet-ssl:2992,23')).toEqual([
      { port: 23, service: 'telnet', application: 'telnet', tls: false, telnet: true },
      { port: 2992, service: 'telnet-ssl', application: 'telnet', tls: true, telnet: true },
    ]);
  });

  test.each([
    '',
    '0',
    '65536',
    '22',
    '992;23',
    'telnet-ssl:',
    'telnett:23',
    '-1',
    '1e3',
    '992 23',
    'telnet-ssl:99999',
  ])('is never “%s”', (text) => {
    expect(codeOfSync(() => parsePorts(text))).toBe('probe.bad_port');
  });

  test.each([
    ['prod.example.com:992', 'probe.bad_host'],
    ['https://prod', 'probe.bad_host'],
    ['10.1', 'probe.bad_host'],
    ['a b', 'probe.bad_host'],
    ['-prod', 'probe.bad_host'],
    ['prod\n', 'accepted'],
    ['fe80::1%eth0', 'probe.bad_host'],
    ['*.example.com', 'probe.bad_host'],
    ['a'.repeat(254), 'probe.bad_host'],
    ['', 'probe.no_host'],
    ['2001:db8::1', 'accepted'],
    ['as400_prod', 'accepted'],
  ])('host “%s”: %s', (host, code) => {
    expect(codeOfSync(() => parseHosts([host]))).toBe(code);
  });

  it('is never over 5,000 hosts', () => {
    expect(codeOfSync(() => parseHosts(Array.from({ length: 5001 }, (_one, nth) => `h${nth}`)))).toBe(
      'probe.too_many_hosts',
    );
  });
});

describe('a file of authorities', () => {
  test.each([
    ['', 'probe.bad_ca_file'],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'probe.bad_ca_file'],
    ['-----BEGIN CERTIFICATE-----\n<html>\n-----END CERTIFICATE-----\n', 'probe.bad_ca_file'],
    ['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', 'probe.bad_ca_file'],
    ['x'.repeat(1_048_577), 'probe.bad_ca_file'],
  ])('is refused (%#)', (text, code) => {
    expect(codeOfSync(() => parseAuthorities(text))).toBe(code);
  });
});
