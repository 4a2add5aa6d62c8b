import type { Command } from 'commander';
import { Option } from 'commander';
import type { JsonFlag, Table } from './table.ts';
import { several } from './table.ts';

function certificateOptions(command: Command): Command {
  return command
    .option('--profile <P>', 'the profile of the policy to use')
    .option('--principal <N>', 'only this principal (may be repeated)', several)
    .option('--extension <NAME>', 'only this extension, e.g. permit-pty (may be repeated)', several)
    .option('--no-extensions', 'no extension at all: not even a terminal')
    .option('--ttl <TIME>', 'a shorter life, e.g. 8h, 90m, 1h30m')
    .option('--reason <T>', 'why you need it, where the policy asks for a reason')
    .option('--proof', 'keep its receipt from the log beside it: KEY-cert.tlog-proof');
}

/** The commands of whoever wants to log in somewhere, and of hosts that fetch what is published. */
export function addPersonCommands(program: Command, table: Table): void {
  const { terminal, run } = table;
  const login = table
    .add(program, 'login', 'log in and get an SSH certificate', 'sallyport login --user alice --ttl 4h')
    .option('--user <U>', 'login name in the directory')
    .option('--directory <D>', 'the directory that knows you, when the broker has several')
    .option('--password-stdin', 'read the password from standard input');
  certificateOptions(login)
    .option('--no-agent', 'leave the running ssh-agent alone')
    .option('--no-certificate', 'only log in, e.g. for admin commands')
    .action((options: import('./commands/login.ts').LoginOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/login.ts')).login(options, terminal)),
    );
  const sign = table
    .add(
      program,
      'sign <key.pub>',
      'get a certificate for a public key of your own',
      'sallyport sign ~/.ssh/id_ed25519.pub --ttl 1h',
    )
    .option('--out <FILE>', 'where to write it; - is standard output (default: KEY-cert.pub)');
  certificateOptions(sign).action(
    (keyFile: string, options: import('./commands/sign.ts').SignOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/sign.ts')).sign(keyFile, options, terminal)),
  );
  table
    .add(program, 'status', 'show who is logged in and what ssh would use', 'sallyport status --json')
    .action((options: JsonFlag) =>
      run(options.json, async () => (await import('./commands/status.ts')).status(options, terminal)),
    );
  table
    .add(program, 'logout', 'end the session; remove key, certificate and agent identity', 'sallyport logout')
    .action((options: JsonFlag) =>
      run(options.json, async () => (await import('./commands/logout.ts')).logout(options, terminal)),
    );
  table
    .add(
      program,
      'ssh-config',
      'print the block for ~/.ssh/config that makes ssh renew by itself',
      'sallyport ssh-config --hosts "*.example.com" >> ~/.ssh/config',
    )
    .option('--hosts <PATTERN>', 'the hosts that it is for, as in ssh_config', '*')
    .action((options: { readonly hosts: string } & JsonFlag) =>
      run(options.json, async () => (await import('./commands/ssh-config.ts')).sshConfig(options, terminal)),
    );
  const ca = program.command('ca').description('the public keys of the broker');
  table
    .add(
      ca,
      'show',
      'show the CA, the key of the lists and the key of the log',
      'sallyport ca show --only user-ca > /etc/ssh/user_ca.pub',
    )
    .addOption(
      new Option('--only <WHICH>', 'print one bare line for a file').choices([
        'user-ca',
        'host-ca',
        'known-hosts',
        'list-key',
        'log-key',
      ]),
    )
    .action((options: import('./commands/ca-show.ts').CaShowOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/ca-show.ts')).showCa(options, terminal)),
    );
  const krl = program.command('krl').description('the list of revoked certificates');
  table
    .add(
      krl,
      'get',
      'fetch it, check it, and put it in place in one step',
      'sallyport krl get --out /etc/ssh/revoked.krl --list-key /etc/ssh/list_key.pub',
    )
    .requiredOption('--out <FILE>', 'the file that RevokedKeys of sshd names')
    .option('--list-key <FILE>', 'public key that must have signed it (default: the one the broker names)')
    .action((options: import('./commands/krl.ts').KrlOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/krl.ts')).getKrl(options, terminal)),
    );
  const policy = program.command('policy').description('what the policy gives to whom');
  table
    .add(
      policy,
      'explain',
      'show what somebody would get, and which rule says so',
      'sallyport policy explain --person alice --profile production',
    )
    .option('--person <U>', 'login name or person id (default: yourself)')
    .option('--directory <D>', 'the directory that knows the person')
    .option('--profile <P>', 'only this profile')
    .option('--at <TIME>', 'as of this time, e.g. 2026-11-23T16:20:00Z')
    .action((options: import('./commands/policy.ts').ExplainOptions & JsonFlag) =>
      run(options.json, async () => (await import('./commands/policy.ts')).explainPolicy(options, terminal)),
    );
}
