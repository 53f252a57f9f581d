/** What starts and ends one model's server: a process or a container. Its calls are made one at a time by `server.ts`. */
import type { Readable } from "node:stream";
import { SluiceError } from "../../../core/contract/errors.js";
import type { LogOptions } from "../management.js";

/** `exited with code 3`, `was killed by SIGKILL`, `ran out of memory`: a predicate for "the model server …", fit for a caller. */
export type ExitListener = (cause: string) => void;

export interface Launched {
  /** Base URL without trailing slash. */
  readonly url: string;
  /** Docker's id, or `process-<pid>`. */
  readonly id: string;
  /** The container's address on the configured network; null for a process. */
  readonly address: string | null;
  /** What this run was started with, where it was a registry's version; else null. */
  readonly modelUri: string | null;
}

export interface ServerDriver {
  /**
   * Starts the server; resolves as soon as its program runs, ready or not.
   * @param onExit called once when that run ends, also when `stop` ended it
   * What it waits for before its program runs (its turn among the starts, memory, an image) it bounds itself; `stop` ends such a wait.
   * @throws MODEL_START_FAILED, its message fit for a caller; {@link StartRefused} where trying again is of no use
   */
  start(onExit: ExitListener): Promise<Launched>;
  /** A server that an earlier sidecar left running and that still serves its definition's model. Ends what does not. */
  adopt(onExit: ExitListener): Promise<Launched | null>;
  /**
   * Ends the server and everything it started; resolves when all of it is gone. Harmless where nothing runs.
   * @throws DOCKER_UNAVAILABLE when its daemon does not answer until the deadline: it may still run. DEPLOY_FAILED when that refuses
   */
  stop(deadlineMs: number): Promise<void>;
  /** Looks after the present run no longer and leaves it running, for a later sidecar to adopt. */
  leave(): void;
  /**
   * What the present or the last run has printed; ends with the run when it is followed, or when the signal aborts.
   * @throws DOCKER_UNAVAILABLE
   */
  logs(options: LogOptions): Promise<Readable>;
}

export function startFailure(problem: string, cause?: unknown): SluiceError {
  return new SluiceError("MODEL_START_FAILED", problem, { cause });
}

/** The end by a signal as a predicate. The kernel kills for want of memory on the whole machine without telling anybody. */
export function describeSignal(signal: string): string {
  const why = signal === "SIGKILL" ? ", by somebody or for want of memory on its machine" : "";
  return `was killed by ${signal}${why}`;
}

/** A start that would end the same way again: what can never fit, what waited too long for its turn. It is not tried again. */
export class StartRefused extends SluiceError {
  constructor(problem: string, cause?: unknown) {
    super("MODEL_START_FAILED", problem, { cause });
  }
}
