/** What a plain public key type is made of; the names are those on the wire (RFC 4253, 5656, 8709 and PROTOCOL.u2f). */
export interface KeyType {
  readonly name: string;
  /** The type name of a certificate over such a key: `-cert-v01` stands before the `@` of the sk- types. */
  readonly certificateName: string;
  readonly family: 'ed25519' | 'ecdsa' | 'rsa';
  readonly curve?: Curve;
  /** The private half lives in a FIDO token: an application string follows the key, and signatures carry flags and a counter. */
  readonly securityKey: boolean;
}

/** A NIST curve y^2 = x^3 - 3x + b over a prime p, cofactor 1 (FIPS 186-4 appendix D.1.2). */
export interface Curve {
  readonly sshName: 'nistp256' | 'nistp384' | 'nistp521';
  readonly jwkName: 'P-256' | 'P-384' | 'P-521';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly bits: number;
  /** Bytes of one coordinate and of one signature half. */
  readonly coordinateBytes: number;
  readonly p: bigint;
  readonly b: bigint;
}

const p256: Curve = {
  sshName: 'nistp256',
  jwkName: 'P-256',
  hash: 'sha256',
  bits: 256,
  coordinateBytes: 32,
  p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
};

const p384: Curve = {
  sshName: 'nistp384',
  jwkName: 'P-384',
  hash: 'sha384',
  bits: 384,
  coordinateBytes: 48,
  p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
  b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
};

const p521: Curve = {
  sshName: 'nistp521',
  jwkName: 'P-521',
  hash: 'sha512',
  bits: 521,
  coordinateBytes: 66,
  p: 2n ** 521n - 1n,
  b: 0x051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
};

const vendor = '-cert-v01@openssh.com';

function ecdsa(curve: Curve): KeyType {
  const name = `ecdsa-sha2-${curve.sshName}`;
  return { name, certificateName: `${name}${vendor}`, family: 'ecdsa', curve, securityKey: false };
}

const keyTypes: readonly KeyType[] = [
  { name: 'ssh-ed25519', certificateName: `ssh-ed25519${vendor}`, family: 'ed25519', securityKey: false },
  ecdsa(p256),
  ecdsa(p384),
  ecdsa(p521),
  { name: 'ssh-rsa', certificateName: `ssh-rsa${vendor}`, family: 'rsa', securityKey: false },
  {
    name: 'sk-ssh-ed25519@openssh.com',
    certificateName: `sk-ssh-ed25519${vendor}`,
    family: 'ed25519',
    securityKey: true,
  },
  {
    name: 'sk-ecdsa-sha2-nistp256@openssh.com',
    certificateName: `sk-ecdsa-sha2-nistp256${vendor}`,
    family: 'ecdsa',
    curve: p256,
    securityKey: true,
  },
];

const byName = new Map(keyTypes.map((type) => [type.name, type]));
const byCertificateName = new Map(keyTypes.map((type) => [type.certificateName, type]));

/** @returns undefined for a type that this room does not know, certificates included. */
export function findKeyType(name: string): KeyType | undefined {
  return byName.get(name);
}

/** @returns the plain key type inside a certificate type name, or undefined. */
export function findCertificateKeyType(certificateName: string): KeyType | undefined {
  return byCertificateName.get(certificateName);
}
