import type { Answer } from './answer.ts';
import type { Asked } from './broker-client.ts';
import {
  readExplainedCertificate,
  readLogEntry,
  type ExplainedCertificate,
  type LogEntry,
  type Page,
} from './contract.ts';

export interface LoginsAsked {
  readonly unexplained: boolean;
  readonly person?: string | undefined;
  readonly host?: string | undefined;
  readonly account?: string | undefined;
  /** RFC 3339. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: string;
}

/** How much of the estate the answer speaks of. */
export interface Coverage {
  readonly enrolledHosts: number;
  readonly reportingHosts: number;
  readonly gaps: number;
}

export interface ResponseSeen {
  readonly id: string;
  readonly host: { readonly id: string; readonly name: string };
  readonly quarantine: string;
  readonly verdict: string;
  readonly loginIndex: string;
  readonly state: 'rehearsed' | 'held' | 'waiting' | 'executing' | 'executed' | 'failed' | 'rejected';
  readonly createdAtMs: number;
  readonly changedAtMs: number;
  readonly approvals: readonly string[];
}

export interface ExplainedLine {
  readonly verdict: string;
  readonly account: string;
  readonly address: string;
  /** Undefined when the line names no certificate of the broker’s CA. */
  readonly certificate: ExplainedCertificate | undefined;
}

/** What admins and auditors ask about logins on hosts. */
export interface LoginCalls {
  logins(asked: LoginsAsked): Promise<Page<LogEntry> & { readonly coverage: Coverage }>;
  /** @param asked `at`: RFC 3339, when the login was */
  explainLine(asked: {
    readonly line: string;
    readonly host?: string | undefined;
    readonly at: string;
  }): Promise<ExplainedLine>;
  responses(): Promise<readonly ResponseSeen[]>;
  decideResponse(asked: { readonly id: string; readonly approve: boolean }): Promise<ResponseSeen>;
}

/** The calls about logins over `json`, which sends one question and reads its answer. */
export function loginCalls(json: (asked: Asked, what: string) => Promise<Answer>): LoginCalls {
  return {
    async logins({ unexplained, ...query }) {
      const asked = { ...query, unexplained: String(unexplained) };
      const answer = await json({ method: 'GET', path: '/v1/audit/logins', query: asked }, 'list of logins');
      const coverage = answer.object('coverage');
      return {
        items: answer.objects('entries').map(readLogEntry),
        next: answer.optionalText('next', 1000),
        coverage: {
          enrolledHosts: coverage.count('enrolledHosts'),
          reportingHosts: coverage.count('reportingHosts'),
          gaps: coverage.count('gaps'),
        },
      };
    },
    async explainLine(asked) {
      const answer = await json(
        { method: 'POST', path: '/v1/audit/explain-line', body: asked },
        'explanation',
      );
      const certificate = answer.optionalObject('certificate');
      return {
        verdict: answer.text('verdict', 64),
        account: answer.text('account', 128),
        address: answer.text('address', 64),
        certificate: certificate && readExplainedCertificate(certificate),
      };
    },
    async responses() {
      const answer = await json({ method: 'GET', path: '/v1/admin/responses' }, 'list of responses');
      return answer.objects('responses', 1000).map(readResponse);
    },
    decideResponse: async (asked) =>
      readResponse(
        await json({ method: 'POST', path: '/v1/admin/responses/decide', body: asked }, 'response'),
      ),
  };
}

function readResponse(answer: Answer): ResponseSeen {
  const host = answer.object('host');
  return {
    id: answer.text('id', 64),
    host: { id: host.text('id', 64), name: host.text('name', 255) },
    quarantine: answer.text('quarantine', 64),
    verdict: answer.text('verdict', 64),
    loginIndex: answer.token('loginIndex', /^\d{1,20}$/),
    state: answer.word('state', [
      'rehearsed',
      'held',
      'waiting',
      'executing',
      'executed',
      'failed',
      'rejected',
    ]),
    createdAtMs: answer.time('createdAt'),
    changedAtMs: answer.time('changedAt'),
    approvals: answer.texts('approvals', 16, 256),
  };
}
