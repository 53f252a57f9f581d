/** What starts and ends one model's server: a process now, a container later. Its calls are made one at a time by `server.ts`. */
import { SluiceError } from "../../../core/contract/errors.js";

/** `exited with code 3`, `was killed by SIGKILL`: a predicate for "the model server …", fit for a caller. */
export type ExitListener = (cause: string) => void;

export interface ServerDriver {
  /**
   * Starts the server; resolves as soon as its program runs, ready or not, with its base URL.
   * @param onExit called once when that run ends, also when `stop` ended it
   * @throws MODEL_START_FAILED, its message fit for a caller
   */
  start(onExit: ExitListener): Promise<string>;
  /** A server that an earlier sidecar left running and that still matches the configuration: its base URL. Ends those that do not match. */
  adopt(onExit: ExitListener): Promise<string | null>;
  /** Ends the server and everything it started; resolves when all of it is gone. Harmless where nothing runs. */
  stop(deadlineMs: number): Promise<void>;
}

export function startFailure(problem: string, cause?: unknown): SluiceError {
  return new SluiceError("MODEL_START_FAILED", problem, { cause });
}
