import type { Answer } from './answer.ts';
import type { Asked } from './broker-client.ts';

/** One host as `POST /v1/probes` takes it: 50 at most in one question. */
export interface ProbedHostReport {
  readonly host: string;
  readonly ports: readonly {
    readonly port: number;
    readonly service: string;
    readonly application: string;
    readonly state: string;
    /** RFC 3339. */
    readonly notAfter?: string;
    readonly findings: readonly string[];
  }[];
  readonly findings: readonly string[];
}

export interface ProbeCalls {
  /** Tells the broker what a probe saw, for its log and its metrics. */
  recordProbe(hosts: readonly ProbedHostReport[]): Promise<{ readonly recordedMs: number }>;
}

/** The call over `json`, which sends one question and reads its answer. */
export function probeCalls(json: (asked: Asked, what: string) => Promise<Answer>): ProbeCalls {
  return {
    recordProbe: async (hosts) => {
      const answer = await json({ method: 'POST', path: '/v1/probes', body: { hosts } }, 'record');
      return { recordedMs: answer.time('recordedAt') };
    },
  };
}
