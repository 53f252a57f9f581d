/** Who is being answered here, and what became of every request: its metrics, its line in the log, its refusal. */
import type { ServerResponse } from "node:http";
import type { Config } from "../config/schema.js";
import { asSluiceError, SluiceError } from "../core/contract/errors.js";
import type { Logger } from "../core/runtime/logger.js";
import { answerError } from "./forward/answer-error.js";
import type { ProxyMetrics } from "./metrics.js";
import { causeCode } from "./refusals.js";
import type { HttpVisit, Visit } from "./visit.js";

export interface LedgerOptions {
  readonly level: Config["log"]["level"];
  readonly logger: Logger;
  readonly metrics: ProxyMetrics;
}

/** Made once: an abort without a reason makes an exception with a stack each time. */
const CLOSED = new SluiceError("CLIENT_GONE", "the connection is closed");

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #logsRequests: boolean;
  #held = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#logsRequests = options.level === "debug" || options.level === "trace";
  }

  /** Requests that are answered or waited for here, not (yet) forwarded. */
  get held(): number {
    return this.#held;
  }

  /** Counts a request that a drain must wait for; the signal aborts when its connection is done or gone. */
  hold(res: ServerResponse): AbortSignal {
    const gone = new AbortController();
    this.#held += 1;
    res.once("close", () => {
      this.#held -= 1;
      gone.abort(CLOSED);
    });
    return gone.signal;
  }

  /** Answers what was thrown; where an answer is under way already it is cut. */
  refuse(visit: HttpVisit, caught: unknown): void {
    const error = asSluiceError(caught);
    const hasLeft = visit.res.destroyed && !visit.res.headersSent;
    this.account(visit, hasLeft ? 499 : error.status, error);
    answerError(visit.req, visit.res, error, visit.requestId);
  }

  /** Counts and logs an answered request; the first account of a request is the one that counts. */
  account(visit: Visit<unknown>, status: number, error: SluiceError | null): void {
    if (visit.isAccounted) return;
    visit.isAccounted = true;
    const { metrics, logger } = this.#options;
    if (visit.endpoint === "" && visit.model !== null) {
      metrics.countModelRequest(visit.model, visit.path, visit.method, status);
    } else metrics.countRequest(visit.endpoint === "" ? "unmatched" : visit.endpoint, visit.method, status);
    const isOurFault = error !== null && error.status >= 500 && status !== 499;
    if (!isOurFault && !this.#logsRequests) return;
    const fields = {
      requestId: visit.requestId,
      ...(visit.model === null ? {} : { model: visit.model }),
      route: visit.endpoint === "" ? "/models/*" : visit.endpoint,
      status,
      durationMs: Math.round(performance.now() - visit.receivedAtMs),
      ...(error === null ? {} : { code: error.code, cause: causeCode(error) }),
    };
    // A model that is not there or not ready is a caller's or a moment's matter: no reason to wake an operator.
    if (isOurFault && error.status === 503) logger.warn(fields, "request refused");
    else if (isOurFault) logger.error(fields, "request failed");
    else logger.debug(fields, "request answered");
  }
}
