/** Where the bytes of pieces come from: asked for one chunk after another, with a bound on silence, until the registry stops. */
import { SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";

/** Between two chunks. */
const IDLE_TIMEOUT_MS = 60_000;

export class PieceSources {
  readonly #clock: Pick<Clock, "after">;
  readonly #waiting = new Set<(reason: SluiceError) => void>();

  constructor(clock: Pick<Clock, "after">) {
    this.#clock = clock;
  }

  /**
   * The source's chunks. It is never ended from here: ending a request's stream would take the connection with it, and the refusal could
   * not be told.
   * @throws BODY_TIMEOUT, what {@link end} was given, whatever the source throws
   */
  async *chunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    const iterator = source[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#next(iterator);
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** Whoever waits for a chunk waits no longer. */
  end(reason: SluiceError): void {
    for (const reject of [...this.#waiting]) reject(reason);
  }

  #next(iterator: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    return new Promise((resolve, reject) => {
      const settle = (how: () => void) => {
        cancel();
        this.#waiting.delete(end);
        how();
      };
      const end = (reason: SluiceError) => settle(() => reject(reason));
      const cancel = this.#clock.after(IDLE_TIMEOUT_MS, () => end(silent()));
      this.#waiting.add(end);
      iterator.next().then(
        (next) => settle(() => resolve(next)),
        (cause: unknown) => settle(() => reject(cause)),
      );
    });
  }
}

function silent(): SluiceError {
  return new SluiceError("BODY_TIMEOUT", `no byte of the piece arrived for ${IDLE_TIMEOUT_MS / 1_000} s`);
}
