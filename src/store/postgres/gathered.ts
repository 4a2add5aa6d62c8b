interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly done: (answer: Answer) => void;
  readonly failed: (error: unknown) => void;
}

/** The most that one statement asks. */
const mostAtOnce = 256;

/**
 * Asks in one statement what is asked in one turn of the event loop: under load most of the cost of a look-up is the way to the
 * server. Each question is asked after it came, so its answer is never older than it.
 */
export class Gathered<Question, Answer> {
  readonly #askAll: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  #waiting: Waiting<Question, Answer>[] = [];

  /** @param askAll gives one answer for each question, in their order */
  constructor(askAll: (questions: readonly Question[]) => Promise<readonly Answer[]>) {
    this.#askAll = askAll;
  }

  ask(question: Question): Promise<Answer> {
    return new Promise((done, failed) => {
      this.#waiting.push({ question, done, failed });
      if (this.#waiting.length === 1) setImmediate(() => this.#send());
    });
  }

  #send(): void {
    const waiting = this.#waiting.splice(0);
    for (let from = 0; from < waiting.length; from += mostAtOnce)
      void this.#sendSome(waiting.slice(from, from + mostAtOnce));
  }

  async #sendSome(waiting: readonly Waiting<Question, Answer>[]): Promise<void> {
    try {
      const answers = await this.#askAll(waiting.map(({ question }) => question));
      waiting.forEach(({ done }, position) => done(answers[position] as Answer));
    } catch (error) {
      for (const { failed } of waiting) failed(error);
    }
  }
}
