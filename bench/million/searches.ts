import { auditor } from '../../test/support/broker.ts';
import type { BrokerFolder } from '../../test/support/broker.ts';
import { clientWith, logInTo } from '../../test/support/serve.ts';
import { median } from '../measure.ts';
import { personAt } from '../issuance.ts';

/** A question and the seconds it took: the median of several times, each with other values. */
export interface Timed {
  readonly question: string;
  readonly seconds: number;
}

const times = 5;

/** Asks a running broker, as an auditor with the product's own client, what auditors ask; each asking is an entry as well. */
export async function timeSearches(made: BrokerFolder, certificates: number): Promise<readonly Timed[]> {
  const client = clientWith(made, await logInTo(made, auditor));
  const at = (nth: number): string =>
    new Date(Date.now() - 600_000 - ((nth * 7919) % certificates) * 30_000).toISOString();
  const hourFrom = (nth: number): Record<string, string> => {
    const from = Date.parse(at(nth));
    return { from: new Date(from).toISOString(), to: new Date(from + 3_600_000).toISOString() };
  };
  const serial = (nth: number): string => String(((nth * 104_729) % certificates) + 1);
  const search = (query: (nth: number) => Record<string, string>) => (nth: number) =>
    client.searchLog({ limit: '100', ...query(nth) });
  const questions: Readonly<Record<string, (nth: number) => Promise<unknown>>> = {
    person: search((nth) => ({ person: personAt(nth * 17).id })),
    subject: search((nth) => ({ subject: personAt(nth * 19).id })),
    serial: search((nth) => ({ serial: serial(nth) })),
    key: search((nth) => ({ key: personAt(nth * 23).keys[0] ?? '' })),
    'principal of one person': search((nth) => ({ principal: personAt(nth * 29).login })),
    'principal of a quarter of all': search(() => ({ principal: 'deploy' })),
    host: search((nth) => ({ host: `h-${(nth * 100) % 500}` })),
    'type and outcome': search(() => ({ type: 'auth.fail', outcome: 'failure' })),
    'type and outcome, nothing found': search(() => ({ type: 'cred.issue', outcome: 'denied' })),
    'an hour long ago': search(hourFrom),
    'a person in an hour long ago': search((nth) => ({ ...hourFrom(nth), person: personAt(nth).id })),
    'words in the reason': search((nth) => ({ reason: `OPS-${(nth * 404) % 20_000} ` })),
    'words in no reason': search(() => ({ reason: 'nobody wrote this' })),
    'who could, a person’s account': (nth) =>
      client.whoCould({ principal: personAt(nth * 31).login, at: at(nth), limit: '100' }),
    'who could, a shared account': (nth) =>
      client.whoCould({ principal: 'deploy', at: at(nth), limit: '100' }),
    'explain a certificate': (nth) => client.explainCertificate(serial(nth)),
    'explain the newest certificate': (nth) => client.explainCertificate(String(certificates + 1 - nth)),
    'certificates of everybody': () => client.issued({ limit: '100' }),
    'certificates of a person': (nth) => client.issued({ person: personAt(nth * 37).id, limit: '100' }),
  };
  const timed: Timed[] = [];
  try {
    for (const [question, ask] of Object.entries(questions)) {
      const seconds: number[] = [];
      for (let nth = 1; nth <= times; nth += 1) {
        const start = performance.now();
        await ask(nth);
        seconds.push((performance.now() - start) / 1000);
      }
      timed.push({ question, seconds: median(seconds) });
    }
  } finally {
    client.close();
  }
  return timed.sort((a, b) => b.seconds - a.seconds);
}
