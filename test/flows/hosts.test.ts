import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseBundle } from '../../src/hosts/index.ts';
import { parseCertificate } from '../../src/ssh/index.ts';
import {
  alice,
  bob,
  boss,
  startTestBroker,
  type LoggedInClient,
  type TestBroker,
} from '../support/broker.ts';
import { newProtocolHost } from '../support/protocol-host.ts';

let broker: TestBroker;
let admin: LoggedInClient;
beforeAll(async () => {
  broker = await startTestBroker({ people: [boss, alice, bob] });
  admin = await broker.loggedIn(boss);
});
afterAll(() => broker.stop());

describe('a host', () => {
  it('enrols by a token and gets a certificate and a bundle', async () => {
    const { token } = await admin.newHostToken({
      names: ['web-*.example.com'],
      addresses: [],
      group: 'default',
      maxUses: 1,
      lifeSeconds: 600,
    });
    const web = newProtocolHost();
    const answer = await web.enrol(broker, token, ['web-1.example.com', 'other.example.org']);
    expect(answer.text).toMatch(/^sallyport-host-answer 1\n/);
    expect(answer.one('status')).toBe('enrolled');
    expect(answer.all('name')).toEqual(['web-1.example.com']);
    const [line = ''] = answer.all('certificate');
    expect(parseCertificate(line)).toMatchObject({ kind: 'host', principals: ['web-1.example.com'] });
    const bundle = await web.sync(broker);
    expect(bundle.status).toBe(200);
    const body = bundle.text.slice(0, bundle.text.indexOf('-----BEGIN'));
    expect(parseBundle(Buffer.from(body))).toMatchObject({ host: web.id, group: 'default', version: 1n });
    expect((await web.sync(broker, { have: 1n })).status).toBe(204);
  });
});
