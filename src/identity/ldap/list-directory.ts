import { CodedError } from '../../kernel/index.ts';
import { LdapConnection, ResultFault } from './connection.ts';
import { escapeDnValue } from './distinguished-name.ts';
import { nameOf, type ServerAddress } from './server-address.ts';

const connectTimeoutMs = 5000;
/** A list of 100,000 has some megabytes. */
const requestTimeoutMs = 15_000;
const noSuchObject = 32;

export interface ListDirectoryOptions {
  /** Never in the clear. */
  readonly address: ServerAddress & { readonly security: 'ldaps' | 'starttls' };
  readonly caPem: string | undefined;
  readonly service: { readonly dn: string; readonly password: string };
  /** The entry below which those of the authorities stand. */
  readonly base: string;
}

export interface ListOfAuthority {
  readonly commonName: string;
  /** DER. */
  readonly bytes: Buffer;
  /** A root's is one of authorities. */
  readonly of: 'certificates' | 'authorities';
}

const attributes = {
  certificates: 'certificateRevocationList;binary',
  authorities: 'authorityRevocationList;binary',
} as const;

/** An LDAP server from which others read lists of revoked certificates, as DCM on IBM i does. */
export interface ListDirectory {
  /** `ldaps://host:port`. */
  readonly name: string;
  /**
   * Puts a list into the entry of the authority with this common name, which is made when it is missing. One connection each time.
   * @param signal lets go of the connection. @throws CodedError `identity.list_not_taken`; what the server has is then the old list, or already the new one
   */
  put(list: ListOfAuthority, signal: AbortSignal): Promise<void>;
}

/** @see RFC 4523 sections 2.4, 2.5 and 3.6, RFC 4522 */
export function createListDirectory(options: ListDirectoryOptions): ListDirectory {
  const { address, caPem, service, base } = options;
  const name = nameOf(address);
  return {
    name,
    async put(list, signal) {
      const dn = `cn=${escapeDnValue(list.commonName)},${base}`;
      try {
        const connection = await LdapConnection.open(address, { caPem, connectTimeoutMs });
        const letGo = (): void => connection.close();
        signal.addEventListener('abort', letGo);
        try {
          signal.throwIfAborted();
          const { resultCode, diagnostic } = await connection.bind(
            service.dn,
            service.password,
            requestTimeoutMs,
          );
          if (resultCode !== 0) throw new ResultFault(resultCode, diagnostic);
          await replace(connection, dn, list);
        } finally {
          signal.removeEventListener('abort', letGo);
          connection.close();
        }
      } catch (error) {
        const why = error instanceof ResultFault ? `it said ${error.resultCode}` : 'it cannot be asked';
        throw new CodedError('identity.list_not_taken', `${name} did not take the list for ${dn}: ${why}.`, {
          next: 'See whether it runs, who may bind there, and whether they may write below the base.',
          cause: error,
        });
      }
    },
  };
}

async function replace(
  connection: LdapConnection,
  dn: string,
  { commonName, bytes, of }: ListOfAuthority,
): Promise<void> {
  const attribute = { type: attributes[of], value: bytes };
  try {
    await connection.replace(dn, attribute, requestTimeoutMs);
  } catch (error) {
    if (!(error instanceof ResultFault) || error.resultCode !== noSuchObject) throw error;
    const objectClass = ['top', 'applicationProcess', 'pkiCA'];
    await connection.add(dn, { objectClass, cn: [commonName] }, attribute, requestTimeoutMs);
  }
}
