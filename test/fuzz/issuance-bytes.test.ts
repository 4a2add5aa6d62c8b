import { createHash, generateKeyPairSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { createSshUserIssuer } from '../../src/issuance/index.ts';
import { parseKeyId, type Serial } from '../../src/kernel/index.ts';
import { createSigner } from '../../src/keys/index.ts';
import type { UserGrant } from '../../src/policy/index.ts';
import { parseCertificate, publicKeyFromKeyObject } from '../../src/ssh/index.ts';
import { generatedDecisions, type ProfileModel } from './policy-models.ts';

const grants = 100_000;

// Nonces differ, and are the same in every run.
let drawn = 0;
const random = (sizeBytes: number): Buffer =>
  createHash('shake256', { outputLength: sizeBytes })
    .update(String((drawn += 1)))
    .digest();
const issuer = createSshUserIssuer({
  signer: createSigner(generateKeyPairSync('ed25519').privateKey),
  random,
});
const key = publicKeyFromKeyObject(generateKeyPairSync('ed25519').publicKey);

/** Reads what `cert_parse` of OpenSSH's sshkey.c would, and nothing of it with our own reader. */
class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(sizeBytes: number): void {
    this.#at += sizeBytes;
  }

  string(): Buffer {
    const from = this.#at + 4;
    this.#at = from + this.#bytes.readUInt32BE(this.#at);
    if (this.#at > this.#bytes.length) throw new Error('a string runs over the end');
    return this.#bytes.subarray(from, this.#at);
  }

  strings(): string[] {
    const found: string[] = [];
    const inner = new WireReader(this.string());
    while (!inner.atEnd) found.push(inner.string().toString('latin1'));
    return found;
  }

  /** Name and content in turn; the content is a string in a string, but where it is empty. */
  options(): Map<string, string> {
    const flat = this.strings();
    return new Map(
      flat.flatMap((name, at): [string, string][] => {
        const content = Buffer.from(flat[at + 1] ?? '', 'latin1');
        if (at % 2 === 1) return [];
        return [[name, content.length === 0 ? '' : new WireReader(content).string().toString('latin1')]];
      }),
    );
  }
}

function readCertificate(bytes: Buffer): {
  principals: readonly string[];
  critical: ReadonlyMap<string, string>;
  extensions: ReadonlyMap<string, string>;
} {
  const reader = new WireReader(bytes);
  for (const _ of ['type', 'nonce', 'public key']) reader.string();
  reader.skip(12); // serial, kind
  reader.string(); // key id
  const principals = reader.strings();
  reader.skip(16); // valid after, valid before
  return { principals, critical: reader.options(), extensions: reader.options() };
}

/** @returns what does not hold of the certificate, read from its bytes and from the profile as it was meant. */
function faultsOf(bytes: Buffer, grant: UserGrant, model: ProfileModel): string[] {
  const { principals, critical, extensions } = readCertificate(bytes);
  const parsed = parseCertificate(bytes);
  const ours = [parsed.principals, [...parsed.criticalOptions], [...parsed.extensions.keys()]];
  const holds: Readonly<Record<string, boolean>> = {
    'a principal at least': principals.length > 0,
    'no empty principal': !principals.includes(''),
    'nothing in a principal that divides, matches or steers': principals.every((name) =>
      /^[A-Za-z0-9_$@.+\\][A-Za-z0-9_$@.+\\-]*$/.test(name),
    ),
    'the principals of the grant': principals.join() === grant.principals.join(),
    'the forced command': critical.get('force-command') === model.forceCommand,
    'the source address':
      critical.has('source-address') === (model.sourceAddress || model.bind) &&
      critical.get('source-address') !== '',
    'user verification': critical.has('verify-required') === model.verifyRequired,
    'options and extensions in order': [critical, extensions].every(
      (options) => [...options.keys()].join() === [...options.keys()].toSorted().join(),
    ),
    'no extension beyond the profile': [...extensions.keys()].every((name) =>
      model.extensions.includes(name),
    ),
    'times that make sense':
      parsed.validAfter === grant.validAfter &&
      parsed.validBefore === grant.validBefore &&
      parsed.validBefore - parsed.validAfter <= 86_460n,
    'what our own reader reads':
      JSON.stringify(ours) === JSON.stringify([principals, [...critical], [...extensions.keys()]]),
  };
  return Object.entries(holds).flatMap(([rule, isSo]) => (isSo ? [] : [rule]));
}

it(`puts into ${grants} certificates what was granted, and nothing that a host could misread`, () => {
  let issued = 0;
  const seen = { options: new Set<string>(), names: new Set<string>() };
  for (const { models, asked, decision } of generatedDecisions()) {
    if (decision.outcome === 'refused') continue;
    const { grant } = decision;
    const model = models[Number(grant.profile.slice(1))] ?? expect.unreachable();
    const serial = BigInt((issued += 1)) as Serial;
    const linted = issuer.lint(grant, { key, serial, keyId: parseKeyId(`sp-${serial}`) }, asked.atMs);
    const bytes = issuer.sign(linted);
    if (!Buffer.isBuffer(bytes)) expect.fail('an Ed25519 CA signs at once');
    const faults = faultsOf(bytes, grant, model);
    if (faults.length > 0) expect.fail(`${faults.join('; ')}\n${bytes.toString('base64')}`);
    for (const name of grant.criticalOptions.keys()) seen.options.add(name);
    for (const name of grant.principals) seen.names.add(name);
    if (issued === grants) break;
  }
  // The property says nothing unless there was something to put in.
  expect([...seen.options].toSorted()).toEqual(['force-command', 'source-address', 'verify-required']);
  expect(seen.names.size).toBeGreaterThan(20);
}, 300_000);
