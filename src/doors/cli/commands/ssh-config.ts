import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { homeFiles, homeFolder } from '../../client/index.ts';
import { printable } from '../../../kernel/index.ts';
import type { Result } from '../command.ts';
import { usage } from '../report.ts';
import type { Terminal } from '../terminal.ts';

/** The keys that ssh tries by itself as long as no IdentityFile is named (ssh_config(5)). */
const defaultKeys = ['id_rsa', 'id_ecdsa', 'id_ecdsa_sk', 'id_ed25519', 'id_ed25519_sk'];

/**
 * Prints the block for ~/.ssh/config. ssh runs `renew` before each connection; when that succeeds there is a live
 * certificate, and the block names it.
 */
export function sshConfig(options: { readonly hosts: string }, terminal: Terminal): Promise<Result> {
  const patterns = checkPatterns(options.hosts);
  const folder = homeFolder(terminal.env);
  const files = homeFiles(folder);
  const everywhere = patterns === '*';
  // Always said: a shell whose SALLYPORT_HOME is another one must not send ssh to another certificate.
  const command = [...terminal.self, 'renew', '--quiet', '--home', folder].map(quoteForShell).join(' ');
  const block = [
    '# Sallyport: put this at the top of ~/.ssh/config. ssh, scp, rsync, git, VS Code and Ansible then renew by themselves.',
    `Match host "${patterns}" exec "${command.replaceAll('%', '%%')}"`,
    `    IdentityFile "${percent(files.key)}"`,
    `    CertificateFile "${percent(files.certificate)}"`,
    ...(everywhere ? ownKeys() : ['    IdentitiesOnly yes']),
    // Whatever follows in the file must not fall into our Match block.
    'Match all',
  ];
  return Promise.resolve({
    value: { block: `${block.join('\n')}\n`, hosts: patterns, command },
    lines: block,
    ...(terminal.stdout.isTTY === true && everywhere
      ? { notes: ['', 'note: `sallyport ssh-config --hosts "*.example.com"` limits it to your hosts.'] }
      : {}),
  });
}

/** Naming one key makes ssh forget its own default keys: for a block that covers every host, name those that exist. */
function ownKeys(): readonly string[] {
  const folder = join(homedir(), '.ssh');
  return defaultKeys
    .filter((name) => existsSync(join(folder, name)))
    .map((name) => `    IdentityFile ~/.ssh/${name}`);
}

function checkPatterns(text: string): string {
  const patterns = text.split(/[\s,]+/).filter((pattern) => pattern !== '');
  if (patterns.length === 0 || patterns.some((pattern) => !/^!?[A-Za-z0-9.*?_:-]{1,255}$/.test(pattern))) {
    throw usage(
      `“${printable(text, 60)}” is not a list of host patterns.`,
      'Write it like "*.example.com" or "web*,db1,!db9" (PATTERNS in ssh_config(5)).',
    );
  }
  return patterns.join(',');
}

/** A word for `sh -c` inside the double quotes of ssh_config, where a double quote or a line break cannot stand. */
function quoteForShell(word: string): string {
  checkPath(word);
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}

function percent(path: string): string {
  checkPath(path);
  return path.replaceAll('%', '%%');
}

function checkPath(path: string): void {
  if (/['"\\\p{Cc}]/u.test(path)) {
    throw usage(
      `ssh_config cannot name the path ${printable(path)}: it holds a quote, a backslash or a control character.`,
      'Set SALLYPORT_HOME to a path without, or install Sallyport in one.',
    );
  }
}
