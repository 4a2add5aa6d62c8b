import { describe, expect, it } from 'vitest';
import {
  createLogAppender,
  emptyLogHead,
  parseCheckpoint,
  parseOrigin,
  verifierKey,
} from '../../src/accounting/index.ts';
import { parseCheckpointText, parsePinnedKey, signatureFault } from '../../src/accounting/verify/note.ts';
import { codeOf, dayDrafts, makeLog, newSigner, openedBy, origin, seededBytes } from './log-fixture.ts';
import { createHash, generateKeyPairSync } from 'node:crypto';

// The example in the documentation of golang.org/x/mod/sumdb/note.
const goKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const goText =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const goLine =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=';

describe('signed notes', () => {
  it('are read as golang.org/x/mod/sumdb/note writes them', () => {
    const key = parsePinnedKey(goKey);
    if (key === undefined) throw new Error('the published key was refused');
    expect(signatureFault(goText, [goLine], key)).toBeUndefined();
    expect(signatureFault(`${goText}x`, [goLine], key)?.what).toContain('wrong');
    expect(signatureFault(goText, [], key)?.what).toContain('did not sign');
    expect(signatureFault(goText, [goLine.replace('x08g', 'x18g')], key)?.what).toContain('did not sign');
    expect(signatureFault(goText, [goLine.replace('JnAM=', 'JnAN=')], key)?.what).toContain('malformed');
  });

  it('name the pinned key as golang.org/x/mod/sumdb/note does', () => {
    const { publicKey } = newSigner();
    const text = verifierKey(origin, publicKey);
    expect(parsePinnedKey(text)?.key.equals(publicKey)).toBe(true);
  });

  it.each(['', 'a b', 'a@b', 'a!', 'a~', 'é', 'a\u2028b', 'x'.repeat(201)])(
    'refuse a pinned key by the name %j, right though its hash is',
    (name) => {
      const typed = Buffer.concat([Buffer.of(1), Buffer.alloc(32, 7)]);
      const keyOf = (text: string): string => {
        const id = createHash('sha256').update(`${text}\n`).update(typed).digest('hex').slice(0, 8);
        return `${text}+${id}+${typed.toString('base64')}`;
      };
      expect(parsePinnedKey(keyOf(name))).toBeUndefined();
      expect(parsePinnedKey(keyOf('Az09._:/-'))?.name).toBe('Az09._:/-');
      expect(parsePinnedKey(keyOf('x'.repeat(200)))).toBeDefined();
    },
  );

  it.each([
    ['a plus in its name', '— a+b AAAAAAA='],
    ['white space in its name', '— a\u2003b AAAAAAA='],
    ['no name', '—  AAAAAAA='],
    ['a name of 201', `— ${'é'.repeat(201)} AAAAAAA=`],
    ['4 bytes', '— a AAAAAA=='],
    ['a hyphen for a dash', '- a AAAAAAA='],
    ['a third word', '— a AAAAAAA= b'],
  ])('refuse a signature line of somebody else with %s', (_name, line) => {
    const key = parsePinnedKey(goKey);
    if (key === undefined) throw new Error('the published key was refused');
    expect(signatureFault(goText, [goLine, line], key)).toEqual({
      what: 'a signature line is malformed',
      nth: 1,
    });
    for (const other of ['— a AAAAAAA=', `— ${'é'.repeat(200)} AAAAAAA=`, '— \u0000"<script> AAAAAAA='])
      expect(signatureFault(goText, [other, goLine], key)).toBeUndefined();
  });

  it('are signed with Ed25519 only', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(codeOf(() => verifierKey(origin, publicKey))).toBe('accounting.bad_key');
  });
});

describe('the readers of checkpoints, the writer’s and the verifier’s', () => {
  const log = makeLog(dayDrafts(10));
  const note = log.checkpoint;
  const pinned = parsePinnedKey(log.key);
  if (pinned === undefined) throw new Error('the log’s own key was refused');

  it('read what was signed', () => {
    const expected = { origin, size: 10n, root: log.head.root };
    expect(parseCheckpoint(note)).toEqual(expected);
    expect(openedBy(log.key, note)).toEqual(expected);
    const grease = `${note}— other.example/1 ${seededBytes(3)(80).toString('base64')}\n`;
    expect(openedBy(log.key, grease)).toEqual(expected);
  });

  it.each([
    ['nothing', ''],
    ['no last line end', note.slice(0, -1)],
    ['a leading zero', note.replace('\n10\n', '\n010\n')],
    ['a sign', note.replace('\n10\n', '\n+10\n')],
    ['a size of sixteen digits', note.replace('\n10\n', '\n1000000000000000\n')],
    ['an extension line', note.replace('\n\n', '\nmore\n\n')],
    ['no empty line', note.replace('\n\n', '\n')],
    ['no signature', note.slice(0, note.indexOf('—'))],
    ['CRLF', note.replaceAll('\n', '\r\n')],
    ['a tail', `${note}x`],
    ['a short root', note.replace(/\n[^\n]{44}\n/, '\nAAAA\n')],
    ['a root whose last bits are not zero', note.replace(/.=\n/, 'B=\n')],
    ['too much', `${note}${`— a ${'A'.repeat(4000)}\n`.repeat(33)}`],
  ])('refuse a note with %s', (_name, text) => {
    expect(codeOf(() => parseCheckpoint(text))).toBe('accounting.bad_checkpoint');
    expect(typeof openedBy(log.key, text)).toBe('string');
  });

  it('refuse a note that somebody else signed, or that was changed', () => {
    const other = verifierKey(origin, newSigner().publicKey);
    expect(openedBy(other, note)).toContain('did not sign it');
    expect(openedBy(log.key, note.replace('\n10\n', '\n11\n'))).toContain('is wrong');
    for (const key of [
      '',
      'a+b+c',
      // Whatever its last character is, it becomes another one.
      log.key.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      log.key.replace(/\+[0-9a-f]{8}\+/, '+00000000+'),
    ])
      expect(parsePinnedKey(key), key).toBeUndefined();
  });

  it.each(['', 'a b', 'a+b', 'a@b', 'a\nb', 'é', 'x'.repeat(201)])('refuse the origin %j', (text) => {
    expect(codeOf(() => parseOrigin(text))).toBe('accounting.bad_origin');
    const lines = [text, '1', log.head.root.toString('base64'), ''];
    expect(parseCheckpointText(lines, pinned)).toEqual({ what: 'it names no log', nth: 0 });
    const options = { signer: newSigner(), origin: text, random: seededBytes(1) };
    expect(codeOf(() => createLogAppender(options))).toBe('accounting.bad_origin');
  });

  it('say the same for the empty log each time', () => {
    const appender = createLogAppender({ signer: newSigner(), origin, random: seededBytes(1) });
    const first = appender.append(emptyLogHead(origin), []);
    expect(first.checkpoint).toBe(appender.append(first.head, []).checkpoint);
    expect(parseCheckpoint(first.checkpoint).size).toBe(0n);
  });
});
