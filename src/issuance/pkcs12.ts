import type { RandomBytes } from '../kernel/index.ts';
import { encodePkcs12, type Pkcs12Encryption } from '../x509/index.ts';
import type { TlsSubject } from './tls-request.ts';

export { pkcs12Encryptions, type Pkcs12Encryption } from '../x509/index.ts';

/** A key pair on its way to whoever asked for it: shown once, kept nowhere. */
export interface Pkcs12Delivery {
  readonly bytes: Buffer;
  /** 125 bits of chance, in letters that nobody confuses. */
  readonly password: string;
  readonly friendlyName: string;
}

export interface Pkcs12Wish {
  readonly encryption: Pkcs12Encryption;
  /** Undefined: the main name and the month. */
  readonly friendlyName?: string | undefined;
}

/** 32 of them. */
const letters = 'abcdefghjkmnpqrstuvwxyz23456789A';

/** Packs a pair that was made here with its certificate and the whole chain. */
export async function packPkcs12(
  { privateKey }: Pick<TlsSubject, 'privateKey'>,
  {
    certificate,
    chain,
    label,
  }: { readonly certificate: Buffer; readonly chain: readonly Buffer[]; readonly label: string },
  wish: Pkcs12Wish,
  random: RandomBytes,
): Promise<Pkcs12Delivery | undefined> {
  if (privateKey === undefined) return undefined;
  const password = newPassword(random);
  const friendlyName = wish.friendlyName ?? label;
  const content = { privateKey, certificate, chain, friendlyName, password };
  return { bytes: await encodePkcs12(content, wish.encryption, random), password, friendlyName };
}

/** Five groups of five, easy to type where nothing can be pasted. */
function newPassword(random: RandomBytes): string {
  const chars = [...random(25)].map((octet) => letters[octet & 31] ?? '');
  return [0, 5, 10, 15, 20].map((from) => chars.slice(from, from + 5).join('')).join('-');
}
