/** Trying again after a lost connection: with growing pauses, for a bounded time in which nothing moves. */
import { sleep } from "../core/runtime/clock.js";
import type { SluiceClient } from "./client.js";
import { CliError } from "./exit.js";
import type { TransferProgress } from "./transfer-progress.js";
import { AWAY_MS, FIRST_PAUSE_MS, isAway, LONGEST_PAUSE_MS } from "./wait.js";

/** A silent connection was given up, or another one was a step ahead: the next may fare better. */
const WORTH_IT: ReadonlySet<number | undefined> = new Set([408, 409]);

export class Patience {
  readonly #client: SluiceClient;
  readonly #signal: AbortSignal;
  #lastMovedMs = Date.now();
  #pauseMs = FIRST_PAUSE_MS;

  constructor(client: SluiceClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  moved(): void {
    this.#lastMovedMs = Date.now();
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /**
   * Resolves when it is time for another try.
   * @param progress shows meanwhile that there is one
   * @throws what failed, where another try is not worth it or nothing has moved for a minute; the signal's reason
   */
  async rest(caught: unknown, progress?: TransferProgress): Promise<void> {
    this.#signal.throwIfAborted();
    const failure = caught instanceof CliError ? caught : this.#client.explain(caught);
    const isWorthIt = WORTH_IT.has(failure.status) || isAway(failure);
    if (!isWorthIt || Date.now() - this.#lastMovedMs > AWAY_MS) throw failure;
    progress?.say("The connection was lost; trying again");
    await sleep(this.#pauseMs, this.#signal);
    this.#signal.throwIfAborted();
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
