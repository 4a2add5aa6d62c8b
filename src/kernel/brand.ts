declare const brand: unique symbol;

/** A primitive that passed one room's check and may not be confused with another of the same shape. */
export type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Serial of a certificate: unsigned 64-bit, dense from 1 per CA. */
export type Serial = Branded<bigint, 'Serial'>;

/** `directory:immutable-id`, e.g. `corp:5f0c…` (objectGUID, entryUUID). Never a name that somebody typed. */
export type PersonId = Branded<string, 'PersonId'>;

/** Short opaque key id, `[A-Za-z0-9._@-]{1,64}`: sshd prints it unquoted into its log. */
export type KeyId = Branded<string, 'KeyId'>;

/** One principal within the strict grammar of `parsePrincipal`. */
export type Principal = Branded<string, 'Principal'>;

/** Plain public key in SSH wire format (RFC 4253 section 6.6): type name, then its fields. */
export type SshBlob = Branded<Buffer, 'SshBlob'>;

/** Of an enrolled host: `h-` and 26 characters of base32 in lower case. Made by the broker, never by the host. */
export type HostId = Branded<string, 'HostId'>;
