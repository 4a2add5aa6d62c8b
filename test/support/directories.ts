import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrokerFolderOptions } from './broker.ts';
import type { Samba } from './samba.ts';
import { run, type Slapd } from './slapd.ts';

/** What a broker's folder needs to use these servers: `staff` is the slapd, `corp` the Samba. */
export function configured(servers: {
  readonly slapd?: Slapd;
  readonly samba?: Samba;
  /** Servers that come before these, as URLs. */
  readonly before?: { readonly slapd?: string; readonly samba?: string };
  /** Further lines of each, without indentation. */
  readonly more?: { readonly slapd?: string; readonly samba?: string };
}): Required<Pick<BrokerFolderOptions, 'directories' | 'files'>> {
  const { slapd, samba, before = {}, more = {} } = servers;
  const line = (text: string | undefined): string => (text === undefined ? '' : `    ${text}\n`);
  const list = (...urls: readonly (string | undefined)[]): string =>
    JSON.stringify(urls.filter((url) => url !== undefined));
  const items: string[] = [];
  const files: Record<string, string> = {};
  if (slapd !== undefined) {
    items.push(`  - name: staff
    kind: ldap
    servers: ${list(before.slapd, slapd.ldapsUrl)}
    ca-file: tls/staff-ca.pem
    people: ["ou=people,${slapd.suffix}"]
    groups: ["ou=groups,${slapd.suffix}"]
    service: { dn: "${slapd.service.dn}", password-file: secrets/staff.password }
${line(more.slapd)}`);
    files['tls/staff-ca.pem'] = slapd.caPem;
    files['secrets/staff.password'] = `${slapd.service.password}\n`;
  }
  if (samba !== undefined) {
    items.push(`  - name: corp
    kind: active-directory
    domain: ${samba.domain}
    netbios-name: ${samba.netbiosName}
    servers: ${list(before.samba, samba.ldapsUrl)}
    ca-file: tls/corp-ca.pem
    service: { dn: "${samba.service.dn}", password-file: secrets/corp.password }
${line(more.samba)}`);
    files['tls/corp-ca.pem'] = samba.caPem;
    files['secrets/corp.password'] = `${samba.service.password}\n`;
  }
  return { directories: items.join('\n'), files };
}

/** `S-1-5-21-…` of an entry, as ldapsearch reads it ([MS-DTYP] section 2.4.2.2). */
export function sidOf(samba: Samba, dn: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sid-'));
  const caFile = join(folder, 'ca.pem');
  try {
    writeFileSync(caFile, samba.caPem);
    const { service, ldapsUrl } = samba;
    const args = ['-x', '-LLL', '-H', ldapsUrl, '-D', service.dn, '-w', service.password];
    const found = run('ldapsearch', [...args, '-b', dn, '-s', 'base', 'objectSid'], {
      env: { LDAPTLS_CACERT: caFile },
    });
    const bytes = Buffer.from(/^objectSid:: (\S+)$/m.exec(found)?.[1] ?? '', 'base64');
    const parts = Array.from({ length: bytes[1] ?? 0 }, (_, nth) => bytes.readUInt32LE(8 + 4 * nth));
    return ['S', bytes[0], bytes.readUIntBE(2, 6), ...parts].join('-');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
