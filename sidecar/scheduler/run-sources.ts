/**
 * Who tells of a run: MLflow first, which does not block the model server's event loop, else the model server's own
 * `GET /train_eval_info`. Both give the same {@link TrackedRun}.
 */
import type { Clock } from "../../core/runtime/clock.js";
import { below, type HttpClient, readText } from "../../core/runtime/http.js";
import { within } from "../../core/runtime/within.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { Asked, Mlflow } from "../tracking/mlflow.js";
import { readCmsMetrics, readCmsRun, type TrackedRun } from "../tracking/tracked-run.js";
import { SIBLING_WITHIN_MS } from "./run-end.js";
import type { Glimpse } from "./run-patience.js";

const POLL_TIMEOUT_MS = 30_000;
const KNOCK_TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 16 * 2 ** 20;

export interface RunSourcesOptions {
  readonly http: HttpClient;
  /** Null where there is none. */
  readonly mlflow: Mlflow | null;
  readonly catalogue: Pick<ModelCatalogue, "get" | "onChange">;
  readonly clock: Clock;
  /** Bound on a model server's answer where it only matters whether somebody listens. Default 5_000. */
  readonly knockTimeoutMs?: number;
}

/** The run that is looked for. */
export interface RunKey {
  readonly model: string;
  readonly runName: string;
  /** The 202 answer's `run_id`; null where no answer came. */
  readonly runId: string | null;
  /** Of several runs of that name only those that began after this epoch time; null where the name is the task's own. */
  readonly notBeforeMs: number | null;
  /** The caller's own credentials: its run is asked for in its name. */
  readonly headers: readonly string[];
}

export interface Look extends Glimpse {
  readonly run: TrackedRun | null;
}

type ServerSaid = TrackedRun | "unknown" | "silent" | "away";

/** Looks for one run, again and again. Close it when the run is final. */
export class RunSources {
  readonly #options: RunSourcesOptions;
  readonly #key: RunKey;
  readonly #unsubscribe: () => void;
  /** The base URL that had the run. */
  #url: string | null = null;
  #isDead = false;
  /** Its place in the model server's lists, which hold every run of the name. */
  #place = 0;

  constructor(options: RunSourcesOptions, key: RunKey) {
    this.#options = options;
    this.#key = key;
    // Between two looks a server can end and be there again.
    this.#unsubscribe = options.catalogue.onChange(() => this.#watchServer());
    this.#watchServer();
  }

  /** @throws the signal's reason */
  async look(signal: AbortSignal): Promise<Look> {
    const tracked = await this.#askMlflow(signal);
    const isTracked = typeof tracked === "object";
    const isReady = this.#options.catalogue.get(this.#key.model)?.state === "ready";
    const said =
      isTracked && isReady
        ? null
        : await this.#askServer(
            isTracked ? (this.#options.knockTimeoutMs ?? KNOCK_TIMEOUT_MS) : POLL_TIMEOUT_MS,
            signal,
          );
    const run = isTracked ? tracked : typeof said === "object" ? said : null;
    return {
      run,
      isSeen: run !== null,
      server: said === null ? "unasked" : typeof said === "object" ? "there" : said,
      isDead: this.#isDead,
      isTrackerAway: tracked === "away" && this.#options.mlflow?.isKnown === true,
    };
  }

  /** Runs of its experiment that began about when it did; none where MLflow cannot be asked. */
  async siblings({ experimentId, startedAtMs }: TrackedRun, signal: AbortSignal): Promise<TrackedRun[]> {
    const { mlflow } = this.#options;
    if (mlflow === null || experimentId === "" || startedAtMs === null) return [];
    const span = { fromMs: startedAtMs, toMs: startedAtMs + SIBLING_WITHIN_MS };
    const found = await mlflow.searchRuns(experimentId, span, signal);
    return typeof found === "object" ? found : [];
  }

  /** A run that a model server told of, with its last metrics. MLflow's come with the run. */
  async withMetrics(run: TrackedRun, signal: AbortSignal): Promise<TrackedRun> {
    return { ...run, metrics: await this.#askMetrics(signal) };
  }

  close(): void {
    this.#unsubscribe();
  }

  /** A run lives in one process: one that ended, or another in its place, does not have it. */
  #watchServer(): void {
    const entry = this.#options.catalogue.get(this.#key.model);
    if (entry === undefined) return;
    if (entry.url !== null) {
      // An operator may give a static server another address while it runs.
      const isMoved = this.#url !== null && this.#url !== entry.url && entry.source !== "static";
      this.#isDead ||= isMoved;
      this.#url = entry.url;
    }
    this.#isDead ||= this.#url !== null && (entry.state === "absent" || entry.state === "failed");
  }

  async #askMlflow(signal: AbortSignal): Promise<Asked<TrackedRun>> {
    const { mlflow } = this.#options;
    const { runId, runName } = this.#key;
    if (mlflow === null) return "away";
    if (runId !== null) return mlflow.getRun(runId, signal);
    const found = await mlflow.findRuns(runName, signal);
    return typeof found === "string" ? found : (this.#pick(found) ?? "unknown");
  }

  async #askServer(timeoutMs: number, signal: AbortSignal): Promise<ServerSaid> {
    const entry = this.#options.catalogue.get(this.#key.model);
    if (entry === undefined || entry.url === null) return "away";
    try {
      const { status, text } = await this.#get(entry.url, "train_eval_info", timeoutMs, signal);
      if (status !== 200) return status === 404 ? "unknown" : "silent";
      const runs = (JSON.parse(text) as unknown[]).map(readCmsRun);
      const run = this.#pick(runs);
      this.#place = run === null ? 0 : runs.indexOf(run);
      return run ?? "unknown";
    } catch (error) {
      signal.throwIfAborted();
      const code = codeOf(error);
      // Not listening, by two accounts: its process has ended, and the run with it, whatever comes back in its place.
      if (code === REFUSED && entry.state === "unreachable") this.#isDead = true;
      return AWAY_CODES.has(code) ? "away" : "silent";
    }
  }

  async #askMetrics(signal: AbortSignal): Promise<Record<string, number>> {
    const url = this.#options.catalogue.get(this.#key.model)?.url ?? null;
    if (url === null) return {};
    try {
      const { status, text } = await this.#get(url, "train_eval_metrics", POLL_TIMEOUT_MS, signal);
      // That route may answer 500 where the metrics are there (reference cms-api 2.4).
      return status === 200 ? readCmsMetrics((JSON.parse(text) as unknown[])[this.#place]) : {};
    } catch {
      signal.throwIfAborted();
      return {};
    }
  }

  #get(url: string, route: string, timeoutMs: number, outer: AbortSignal): Promise<{ status: number; text: string }> {
    const { runName, headers } = this.#key;
    const where = below(url, `/${route}?train_eval_id=${encodeURIComponent(runName)}`);
    return within(this.#options.clock, timeoutMs, outer, async (signal) => {
      const answer = await this.#options.http.call({
        method: "GET",
        ...where,
        headers,
        headersTimeoutMs: timeoutMs,
        signal,
      });
      return { status: answer.status, text: await readText(answer.body, MAX_ANSWER_BYTES) };
    });
  }

  /** Ours among the runs of one name, which may have been used before. */
  #pick(runs: readonly TrackedRun[]): TrackedRun | null {
    const { runId, notBeforeMs } = this.#key;
    const named = runs.find((each) => each.runId === runId);
    if (named !== undefined) return named;
    if (notBeforeMs === null) return runs[0] ?? null;
    if (runId !== null) return null;
    return runs.find((each) => each.startedAtMs !== null && each.startedAtMs >= notBeforeMs) ?? null;
  }
}

const REFUSED = "ECONNREFUSED";
/** No connection, or one that broke. Any other fault is a server that does not tell. */
const AWAY_CODES = new Set([
  REFUSED,
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ECONNRESET",
  "EPIPE",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_SOCKET",
]);

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? "");
}
