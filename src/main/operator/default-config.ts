import { resolve } from 'node:path';
import type { DatabaseArgument } from '../../doors/cli/index.ts';

function databaseLines(database: DatabaseArgument | undefined): string {
  if (database === undefined)
    return `# SQLite database: certificates issued, sessions, the accounting log. One broker at a time.
data: data`;
  const { url, caFile } = database;
  const what =
    '# PostgreSQL database: certificates issued, sessions, the accounting log. Any number of brokers.';
  if (caFile === undefined) return `${what}\ndatabase: "${url}"`;
  return `${what}\ndatabase:\n  url: "${url}"\n  ca-file: "${resolve(caFile)}"`;
}

/** The configuration that `sallyport init` writes: commented, complete, with paths relative to its own folder. */
export function defaultConfigYaml(values: {
  readonly listen: string;
  readonly origins: readonly string[];
  readonly logOrigin: string;
  readonly database?: DatabaseArgument | undefined;
}): string {
  return `# Configuration of a Sallyport broker. Check it with \`sallyport config check\`; paths are relative to this file.
# Every field is described in docs/operations/configuration.md.
version: 1

# Where the broker listens, and how clients reach it: proofs of possession are made for these very addresses.
listen: ${values.listen}
origins:
${values.origins.map((origin) => `  - "${origin}"`).join('\n')}
tls:
  certificate: tls/server.pem
  key: tls/server.key

${databaseLines(values.database)}
# Who gets what. Reloaded on SIGHUP.
policy: policy.yaml

# The CA keys are sealed with a passphrase: from a private file, from the environment (environment: NAME), or asked at
# start (prompt: true). A file beside the keys protects backups of the keys alone; a prompt protects the disk as well.
keys:
  folder: keys
  passphrase:
    file: secrets/keys.passphrase

# The name of the accounting log, part of every checkpoint. It never changes for this database. Its newest checkpoint is kept
# outside of it, so that an old copy of the database is told from the last: another disk is better still.
log:
  origin: ${values.logOrigin}
  checkpoint: log-checkpoint
  level: info

sessions:
  lifetime: 12h

# How many certificates one person may ask for within an hour.
limits:
  certificates-per-hour: 600

# Hosts reach the broker at the first origin, and know it by the certificate that signed its own.
hosts:
  ca-file: tls/ca.pem

# Who may read /metrics without a session.
metrics:
  allow: [127.0.0.0/8, "::1/128"]

# Directories are tried in this order by the form of the login name. Keep the built-in one for break-glass.
directories:
  - name: builtin
    kind: built-in
    file: people.json

#  - name: corp
#    kind: active-directory
#    domain: corp.example.com
#    netbios-name: CORP
#    servers: ["ldaps://dc1.corp.example.com", "ldaps://dc2.corp.example.com"]   # left out: found by DNS
#    ca-file: tls/corp-ca.pem
#    service: { dn: "svc-sallyport@corp.example.com", password-file: secrets/corp.password }

#  - name: staff
#    kind: ldap
#    servers: ["ldaps://ldap1.example.com"]
#    ca-file: tls/ldap-ca.pem
#    people: ["ou=people,dc=example,dc=com"]
#    groups: ["ou=groups,dc=example,dc=com"]
#    service: { dn: "cn=sallyport,ou=services,dc=example,dc=com", password-file: secrets/staff.password }
`;
}
