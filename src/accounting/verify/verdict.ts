/** What one of the three questions came to. `not_checked` means that nothing was asked or nothing could be concluded. */
export type State = 'verified' | 'failed' | 'incomplete' | 'not_checked';

export interface Finding {
  readonly state: State;
  /** For people: what was found, or what was shown. Holds no unchecked text of the file but printable ASCII. */
  readonly detail: string;
  /** The first entry concerned. */
  readonly index?: bigint;
  /** Line of the file, from 1. */
  readonly line?: number;
}

/** What a verified bundle holds. */
export interface BundleFacts {
  readonly origin: string;
  /** Size and root (base64) of the tree that the checkpoint signs. */
  readonly size: bigint;
  readonly root: string;
  /** Entries `from` up to and without `to`. */
  readonly from: bigint;
  readonly to: bigint;
  readonly firstTime: string;
  readonly lastTime: string;
  /** Personal values opened, erased by rule, and withheld from this export. */
  readonly opened: number;
  readonly erased: number;
  readonly withheld: number;
}

/** True when the tree has entries that the bundle has not. */
export function isPart({ from, to, size }: BundleFacts): boolean {
  return from > 0n || to < size;
}

export interface Verdict {
  /** Is every byte what the log's key signed? */
  readonly integrity: Finding;
  /** Does it continue what the auditor held before? */
  readonly consistency: Finding;
  /** Is anything missing that should be there? */
  readonly completeness: Finding;
  /** Did enough witnesses cosign it? Only when a policy was given. */
  readonly witnesses?: Finding;
  /** 0 verified, 1 tampered or inconsistent, 2 the question was wrong, 3 something is missing. */
  readonly exitCode: 0 | 1 | 2 | 3;
  /** Only when integrity is verified. */
  readonly facts?: BundleFacts;
}

/** Thrown inside verify/ at the first thing that is wrong; `verifyBundle` turns it into a verdict. */
export class Refusal extends Error {
  readonly finding: Finding;

  constructor(finding: Finding) {
    super(finding.detail);
    this.finding = finding;
  }
}

/** 1 as soon as anything failed, 3 when anything is missing or integrity was not shown, else 0. */
export function exitCodeOf(integrity: Finding, ...others: readonly Finding[]): 0 | 1 | 3 {
  const all = [integrity, ...others];
  if (all.some((finding) => finding.state === 'failed')) return 1;
  if (integrity.state !== 'verified' || all.some((finding) => finding.state === 'incomplete')) return 3;
  return 0;
}
