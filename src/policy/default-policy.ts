import { printable } from '../kernel/index.ts';

export interface DefaultPolicyOptions {
  /** Login of the first admin in the built-in directory, for a comment. */
  readonly adminLogin?: string;
}

/** The policy that `sallyport init` writes: commented, for the built-in directory. It parses. */
export function defaultPolicyYaml(options: DefaultPolicyOptions = {}): string {
  const first =
    options.adminLogin === undefined ? '' : ` The first admin is ${printable(options.adminLogin, 64)}.`;
  return `# Who gets which SSH certificate. What this file does not give, nobody gets.
# Check it with \`sallyport config check\`, try it with \`sallyport policy explain --person NAME\`, and load it with SIGHUP:
# a file with a mistake is refused whole, and the policy in force stays.
version: 1

# Who may run Sallyport. Groups of the built-in directory go by name; groups of LDAP or Active Directory by their whole
# DN or by SID, e.g. "corp:CN=SSH Admins,OU=Groups,DC=corp,DC=example".
roles:
  # May revoke, lock and look up.${first}
  admin:
    groups: [builtin:admins]
  # May read and export the log.
  auditor:
    groups: [builtin:auditors]

# root, QSECOFR and Administrator come to nobody unless a profile names them under \`explicit\`. Add names of your own here.
protected-principals: [daemon, bin, sys, adm, QSYS, QSYSOPR, QPGMR, SYSTEM]

# The first profile in this list that grants a request is used, unless the request names one.
profiles:
  users:
    who:
      groups: [builtin:users]
    # Account names that the certificate is good for: here each person's own name.
    principals:
      from:
        - attribute: uid
    # A request may ask for less than \`max\`, never for more.
    lifetime:
      default: 8h
      max: 24h
    extensions: [permit-pty, permit-port-forwarding, permit-agent-forwarding, permit-X11-forwarding, permit-user-rc]
    keys:
      rsa-min-bits: 2048
    reason: optional
`;
}
