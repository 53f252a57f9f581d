/**
 * Follows a training (or evaluation) that a model server accepted with 202, until its run is final.
 *
 * The model server's own `GET /train_eval_info` is asked. A server that is silent is not gone: training blocks its event loop
 * (reference cms-api 5.2). One that refuses connections for {@link LOST_AFTER_MS} has lost the run.
 */
import type { Clock } from "../../core/runtime/clock.js";
import { below, type HttpClient } from "../../core/runtime/http.js";

export const POLL_MS = 1_000;
const POLL_MAX_MS = 5_000;
const POLL_TIMEOUT_MS = 30_000;
export const LOST_AFTER_MS = 60_000;

/** A server that is silent, or answers neither yes nor no (a token that ran out), is believed to be at work for this long. */
export const MUTED_AFTER_MS = 3_600_000;

/** One element of `train_eval_info` (reference cms-api 2.4), as far as it is read. */
interface RunInfo {
  readonly run_id?: string;
  readonly run_name?: string;
  readonly experiment_id?: string;
  readonly status?: string;
  readonly start_time?: number | null;
  readonly end_time?: number | null;
  readonly artifact_uri?: string;
  readonly lifecycle_stage?: string;
  readonly tags?: Record<string, string>;
}

export type RunEnd =
  | { readonly kind: "finished"; readonly result: RunResult }
  /** FAILED or KILLED; the message is CMG's: the exception tags as a list, or the word None. */
  | { readonly kind: "failed"; readonly killed: boolean; readonly message: string }
  | { readonly kind: "lost"; readonly why: string };

/** The result of a training task, CMG's JSON (reference cmg-api 2.5); all keys always there. */
export interface RunResult {
  readonly run: Record<string, string>;
  readonly timing: { started_at: string | null; finished_at: string | null; duration_seconds: number | null };
  readonly metrics: Record<string, number>;
  readonly params: Record<string, string>;
  readonly tags: Record<string, string>;
  readonly artifacts: { artifact_uri: string };
  readonly error: string[] | null;
}

export interface FollowOptions {
  readonly http: HttpClient;
  readonly clock: Clock;
  /** The model server's base URL now, or null while it is away. Asked before every poll: a restarted server may have another. */
  readonly baseUrl: () => string | null;
  readonly runName: string;
  /** The 202 answer's `run_id`, to pick the right one where a run name was used before. */
  readonly runId: string | null;
  readonly trackingUri: string;
  readonly headers: readonly string[];
  readonly signal: AbortSignal;
}

/** @throws the signal's reason when aborted: the run goes on, and is followed again after a restart */
export async function followRun(options: FollowOptions): Promise<RunEnd> {
  let missingSinceMs: number | null = null;
  let mutedSinceMs: number | null = null;
  let pauseMs = POLL_MS;
  for (;;) {
    options.signal.throwIfAborted();
    const seen = await pollRun(options);
    const nowMs = options.clock.elapsed();
    // A server that refuses connections and one that answers without knowing the run have both lost it, if it stays so.
    missingSinceMs = seen === "away" || seen === null ? (missingSinceMs ?? nowMs) : null;
    mutedSinceMs = seen === "silent" ? (mutedSinceMs ?? nowMs) : null;
    if (missingSinceMs !== null && nowMs - missingSinceMs >= LOST_AFTER_MS) {
      const why = `the model server was gone for ${LOST_AFTER_MS / 1_000} s, or came back without the run`;
      return { kind: "lost", why };
    }
    if (mutedSinceMs !== null && nowMs - mutedSinceMs >= MUTED_AFTER_MS) {
      return { kind: "lost", why: `the model server would not tell of the run for ${MUTED_AFTER_MS / 60_000} minutes` };
    }
    if (seen !== null && typeof seen === "object") {
      if (seen.status === "FINISHED") return { kind: "finished", result: await describeRun(options, seen) };
      if (seen.status === "FAILED" || seen.status === "KILLED") {
        return { kind: "failed", killed: seen.status === "KILLED", message: exceptionList(seen.tags ?? {}) };
      }
    }
    await options.clock.sleep(pauseMs, options.signal);
    pauseMs = Math.min(pauseMs * 1.5, POLL_MAX_MS);
  }
}

/** True when the model server knows a run of this name: the training was accepted. */
export async function isRunKnown(options: FollowOptions): Promise<boolean | "away"> {
  const seen = await pollRun(options);
  return seen === "away" || seen === "silent" ? "away" : seen !== null;
}

async function pollRun(options: FollowOptions): Promise<RunInfo | null | "away" | "silent"> {
  const baseUrl = options.baseUrl();
  if (baseUrl === null) return "away";
  try {
    const answer = await options.http.call({
      method: "GET",
      ...below(baseUrl, `/train_eval_info?train_eval_id=${encodeURIComponent(options.runName)}`),
      headers: options.headers,
      headersTimeoutMs: POLL_TIMEOUT_MS,
      signal: options.signal,
    });
    const text = await answer.body.text();
    if (answer.status !== 200) return answer.status === 404 ? null : "silent";
    const runs = JSON.parse(text) as RunInfo[];
    return runs.find((each) => options.runId !== null && each.run_id === options.runId) ?? runs[0] ?? null;
  } catch (error) {
    options.signal.throwIfAborted();
    return (error as { code?: string }).code === "UND_ERR_HEADERS_TIMEOUT" ? "silent" : "away";
  }
}

async function describeRun(options: FollowOptions, run: RunInfo): Promise<RunResult> {
  const tags = run.tags ?? {};
  const started = run.start_time ?? null;
  const ended = run.end_time ?? null;
  return {
    run: {
      run_id: run.run_id ?? "",
      run_name: run.run_name ?? options.runName,
      experiment_id: run.experiment_id ?? "",
      status: run.status ?? "",
      lifecycle_stage: run.lifecycle_stage ?? "active",
      internal_url: `${options.trackingUri}/#/experiments/${run.experiment_id ?? ""}/runs/${run.run_id ?? ""}`,
    },
    timing: {
      started_at: started === null ? null : isoTime(started),
      finished_at: ended === null ? null : isoTime(ended),
      duration_seconds: started === null || ended === null ? null : (ended - started) / 1_000,
    },
    metrics: await lastMetrics(options),
    params: {},
    tags,
    artifacts: { artifact_uri: run.artifact_uri ?? "" },
    error: exceptions(tags),
  };
}

/** The last value of every metric; none where the server cannot tell (reference cms-api 2.4: that route may answer 500). */
async function lastMetrics(options: FollowOptions): Promise<Record<string, number>> {
  const baseUrl = options.baseUrl();
  if (baseUrl === null) return {};
  try {
    const answer = await options.http.call({
      method: "GET",
      ...below(baseUrl, `/train_eval_metrics?train_eval_id=${encodeURIComponent(options.runName)}`),
      headers: options.headers,
      headersTimeoutMs: POLL_TIMEOUT_MS,
      signal: options.signal,
    });
    if (answer.status !== 200) {
      await answer.body.dump();
      return {};
    }
    const [first] = (await answer.body.json()) as Record<string, unknown>[];
    const metrics: Record<string, number> = {};
    for (const [name, values] of Object.entries(first ?? {})) {
      const last = Array.isArray(values) ? values.at(-1) : values;
      if (typeof last === "number") metrics[name] = last;
    }
    return metrics;
  } catch {
    options.signal.throwIfAborted();
    return {};
  }
}

function exceptions(tags: Record<string, string>): string[] | null {
  if (tags.exception !== undefined) return [tags.exception];
  const found = Object.keys(tags)
    .filter((name) => name.startsWith("exception_"))
    .map((name) => tags[name]!);
  return found.length > 0 ? found : null;
}

/** The text form CMG's clients know: `['E0', 'E1']`, or `None`. */
function exceptionList(tags: Record<string, string>): string {
  const found = exceptions(tags);
  return found === null ? "None" : `[${found.map((each) => `'${each}'`).join(", ")}]`;
}

function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace("Z", "000+00:00");
}
