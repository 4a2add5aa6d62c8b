/** Runs one piece of work at a time. Who asks while it runs gets the next run, which begins after they asked, together with others. */
export class SharedRuns<Result> {
  readonly #work: () => Promise<Result>;
  #running: Promise<Result> | undefined;
  #next: Promise<Result> | undefined;

  constructor(work: () => Promise<Result>) {
    this.#work = work;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  run(): Promise<Result> {
    if (this.#running === undefined) return this.#start();
    // The one that runs may have read already what changed before this call.
    this.#next ??= this.#running.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    return this.#next;
  }

  #startNext(): Promise<Result> {
    this.#next = undefined;
    return this.#start();
  }

  #start(): Promise<Result> {
    const running = this.#work();
    this.#running = running;
    const finished = (): void => {
      if (this.#running === running) this.#running = undefined;
    };
    running.then(finished, finished);
    return running;
  }
}
