import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { makePlan, nextLabel, parseLabel, type PlanInput } from '../../../src/doors/ibmi/index.ts';
import { sha256 } from '../../../src/kernel/index.ts';
import { applications, chooseApplications, restarts } from '../../../src/tn5250/index.ts';
import { codeOfSync } from '../../support/code-of.ts';
import { makeTestAuthority, type TestAuthority } from '../../support/ibmi-tls.ts';
import { describeWithPeers } from '../../support/peers.ts';

describeWithPeers(['openssl'], 'the folder of a plan', () => {
  let folder: string;
  let authority: TestAuthority;
  let input: PlanInput;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-plan-'));
    authority = makeTestAuthority(join(folder, 'ours'), 'ours');
    const holder = authority.issue('prod', { names: 'DNS:prod.example.com,DNS:prod,IP:10.1.2.3', toDay: 20 });
    input = {
      host: 'prod.example.com',
      applications: chooseApplications('telnet,hostservers'),
      label: 'telnet-2026-11',
      previousLabel: 'telnet-2025-11',
      certificate: new X509Certificate(holder.certificate),
      authorities: [authority.root, authority.issuing].map((pem) => new X509Certificate(pem)),
      delivery: { kind: 'signed' },
      clientAuthority: undefined,
      madeMs: Date.UTC(2026, 10, 30),
      version: '0.0.0-test',
    };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const filesOf = (changes: Partial<PlanInput> = {}): ReadonlyMap<string, string> =>
    new Map(makePlan({ ...input, ...changes }).map(({ path, bytes }) => [path, bytes.toString('utf8')]));
  const runbook = (changes: Partial<PlanInput> = {}): string => filesOf(changes).get('runbook.md') ?? '';

  it('holds one certificate in each file, with LF and nothing around it, and sums of all the others', () => {
    const files = filesOf();
    expect([...files.keys()]).toEqual([
      'ca/01-root.crt',
      'ca/02-issuing.crt',
      'telnet-2026-11.crt',
      'runbook.md',
      'runbook.html',
      'restart.clle',
      'playbook.yml',
      'rse-api.json',
      'SHA256SUMS',
    ]);
    for (const path of ['ca/01-root.crt', 'ca/02-issuing.crt', 'telnet-2026-11.crt'])
      expect(files.get(path)).toMatch(
        /^-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{1,64}={0,2}\n-----END CERTIFICATE-----\n$/,
      );
    const others = [...files].filter(([path]) => path !== 'SHA256SUMS');
    expect(files.get('SHA256SUMS')).toBe(
      others.map(([path, text]) => `${sha256(text).toString('hex')}  ${path}\n`).join(''),
    );
  });

  it('names no command, application or port that the catalogue does not know', () => {
    const known = new Set(restarts.flatMap(({ end, start }) => [end, start]));
    const ids = new Set(applications.map(({ id }) => id));
    const ports = new Set(
      applications.flatMap(({ clear, tls }) => [...clear, ...tls].map(({ port }) => port)),
    );
    const everything = applications.filter(({ id, restart }) => id !== undefined && restart !== undefined);
    let seen = 0;
    for (const one of [chooseApplications('telnet'), chooseApplications('ldap,ddm,ftp'), everything]) {
      for (const [path, text] of filesOf({ applications: one })) {
        for (const [command] of text.matchAll(/\b(?:END|STR)[A-Z]+SVR +[A-Z]+\([^)]*\)/g)) {
          expect([path, known.has(command)]).toEqual([path, true]);
          seen += 1;
        }
        for (const [id] of text.matchAll(/\bQIBM_[A-Z0-9_]+/g))
          expect([path, id, ids.has(id)]).toEqual([path, id, true]);
        for (const [, list = ''] of text.matchAll(/--ports(?:", "| )([0-9,]+)/g))
          for (const port of list.split(','))
            expect([port, ports.has(Number(port)) || port === '449']).toEqual([port, true]);
      }
    }
    expect(seen).toBeGreaterThan(50);
  });

  it('imports authorities before the certificate, assigns before it restarts, and cuts Telnet last', () => {
    const text = runbook();
    const order = [
      'ca/01-root.crt',
      'ca/02-issuing.crt',
      'Import `telnet-2026-11.crt`',
      'Assign telnet',
      'ENDHOSTSVR',
      'STRHOSTSVR',
      'ENDTCPSVR SERVER(*TELNET)',
      'STRTCPSVR SERVER(*TELNET)',
      'sallyport probe',
      'The way back',
    ];
    const places = order.map((words) => text.indexOf(words));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(text).toContain('assign `telnet-2025-11` to each application again');
  });

  it('marks what it says as verified or not, and says that nothing was tried', () => {
    const text = runbook();
    expect(text).toContain('never carried out on a real IBM i');
    expect(text).toMatch(/CHGTELNA ALWSSL\(\*ONLY\)` \*\(unverified: /);
    expect(text).toMatch(/ENDTCPSVR SERVER\(\*TELNET\)` \*\(verified: /);
    expect(filesOf().get('rse-api.json')).toContain('UNVERIFIED');
    expect(filesOf().get('restart.clle')).toContain('UNVERIFIED');
    expect(filesOf().get('playbook.yml')).toContain('unverified');
  });

  it('says whom a client certificate is asked of, and only where it can be', () => {
    const [root] = input.authorities;
    const text = runbook({ clientAuthority: root });
    expect(text).toContain('`QIBM_QTV_TELNET_SERVER`: set “Client authentication required” to yes.');
    expect(text).not.toContain('SVR_SIGNON`: set');
    expect(text).toContain('exactly one authority as trusted: `CN=ours-root`');
    expect(text).toContain('An authority of its own for clients is safer.');
    const foreign = new X509Certificate(makeTestAuthority(join(folder, 'people'), 'people').root);
    const files = filesOf({ clientAuthority: foreign });
    expect(files.get('ca/client-authority.crt')).toContain('BEGIN CERTIFICATE');
    expect(files.get('runbook.md')).toContain('`ca/client-authority.crt`, for the certificates of clients');
    expect(runbook()).toContain('Client authentication stays as it is');
  });

  it('puts a key into one file for the owner alone, and its password into none', () => {
    const bytes = Buffer.from('the bundle');
    const plan = makePlan({ ...input, delivery: { kind: 'pkcs12', bytes, encryption: 'compatible' } });
    expect(plan.filter(({ secret }) => secret).map((file) => [file.path, file.bytes])).toEqual([
      ['telnet-2026-11.p12', bytes],
    ]);
    const text = plan.map((file) => file.bytes.toString('utf8')).join('');
    expect(text).toContain('in binary mode');
    expect(text).not.toContain(bytes.toString('base64'));
  });

  it('warns of an authority that ends first', () => {
    const late = new X509Certificate(authority.issue('late', { names: 'DNS:prod', toDay: 80 }).certificate);
    expect(runbook({ certificate: late })).toContain('before this certificate');
    expect(runbook()).not.toContain('before this certificate');
  });

  it('is a playbook and a JSON document that parse, and CL that fits its records', () => {
    const files = filesOf();
    const plays = parse(files.get('playbook.yml') ?? '') as readonly {
      hosts: string;
      tasks: readonly object[];
    }[];
    expect([plays[0]?.hosts, plays[0]?.tasks.length]).toEqual(['prod.example.com', 5]);
    const { requests } = JSON.parse(files.get('rse-api.json') ?? '') as { requests: readonly unknown[] };
    expect(requests.length).toBe(3 + 8);
    const source = (files.get('restart.clle') ?? '').split('\n');
    expect(Math.max(...source.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(source.filter((line) => line.includes('*/')).every((line) => /^\/\* .* \*\/$/.test(line))).toBe(
      true,
    );
  });

  it('keeps what stands in a certificate inert', () => {
    const hostile = authority.issue('hostile', { names: 'DNS:<b>x</b>`|.example' });
    const files = filesOf({ certificate: new X509Certificate(hostile.certificate) });
    expect(files.get('runbook.html')).not.toContain('<b>');
    expect(files.get('runbook.md')).not.toMatch(/\| names in the certificate \| [^|]*`/);
  });

  it.each([
    ['a label with a space', { label: 'a b' }, 'ibmi.bad_label'],
    ['a label that is a path', { label: '../x' }, 'ibmi.bad_label'],
    ['no label', { label: '' }, 'ibmi.bad_label'],
    ['the label of before', { label: 'Telnet-2025-11' }, 'ibmi.bad_label'],
    ['a label that ends a comment', { label: 'a*/' }, 'ibmi.bad_label'],
    ['a host that is a command', { host: 'prod;reboot' }, 'ibmi.bad_host'],
    ['a host that is YAML', { host: '"x": {' }, 'ibmi.bad_host'],
    ['an address that is none', { host: '10.1' }, 'ibmi.bad_host'],
    ['no authority', { authorities: [] }, 'ibmi.bad_chain'],
  ])('is refused with %s', (_title, changes, code) => {
    expect(codeOfSync(() => makePlan({ ...input, ...changes }))).toBe(code);
  });

  it('is refused when the authorities do not lead to the certificate', () => {
    const [root, issuing] = input.authorities as [X509Certificate, X509Certificate];
    for (const authorities of [[root], [issuing], [issuing, root], [root, root, issuing]])
      expect(codeOfSync(() => makePlan({ ...input, authorities }))).toBe('ibmi.bad_chain');
  });
});

describeWithPeers([], 'the label rule', () => {
  it('gives each renewal a new one', () => {
    const made = Date.UTC(2026, 10, 30);
    expect(nextLabel('telnet', made, [])).toBe('telnet-2026-11');
    expect(nextLabel('telnet', made, ['telnet-2025-11'])).toBe('telnet-2026-11');
    expect(nextLabel('telnet', made, ['TELNET-2026-11', 'telnet-2026-11-2'])).toBe('telnet-2026-11-3');
  });

  it.each(['', '1a', 'a b', 'a/b', 'ä', '-a', 'a'.repeat(65), 'a\n', "a'b"])('refuses “%s”', (label) => {
    expect(codeOfSync(() => parseLabel(label))).toBe('ibmi.bad_label');
  });
});
