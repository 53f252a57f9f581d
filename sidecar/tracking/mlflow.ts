/**
 * MLflow: runs by their id, by their time, by their name; models. It may be away at any time: every question then answers `away` at once
 * (see {@link Circuit}), and whoever asked has another way, or says that it does not know.
 */
import type { Logger } from "../../core/runtime/logger.js";
import { Circuit } from "./circuit.js";
import { createMlflowModels, type MlflowModels } from "./mlflow-models.js";
import {
  type Asked,
  createMlflowRest,
  describeFault,
  isUnreached,
  listOf,
  type MlflowAddress,
  UNKNOWN,
  type Unknown,
} from "./mlflow-rest.js";
import { readMlflowRun, type TrackedRun } from "./tracked-run.js";

export interface MlflowOptions extends Omit<MlflowAddress, "timeoutMs"> {
  readonly logger: Logger;
  /** Bound on one question, from connecting to the last byte. Default 5_000. */
  readonly timeoutMs?: number;
  /** Default 15_000: how long it is left in peace after a failure. */
  readonly retryAfterMs?: number;
}

export type { Asked } from "./mlflow-rest.js";

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** No question rejects, except with the signal's reason. */
export interface Mlflow {
  /** True when it has answered at least once since the start: where it is away now, it is expected back. */
  readonly isKnown: boolean;
  getRun(runId: string, signal?: AbortSignal): Promise<Asked<TrackedRun>>;
  /** Runs of one experiment that began in a span of time, oldest first, at most {@link MAX_RUNS}. */
  searchRuns(experimentId: string, span: Span, signal?: AbortSignal): Promise<Asked<TrackedRun[]>>;
  /** Runs of any experiment with this name, newest first, at most {@link MAX_RUNS}. */
  findRuns(runName: string, signal?: AbortSignal): Promise<Asked<TrackedRun[]>>;
  readonly models: MlflowModels;
  close(): Promise<void>;
}

export const MAX_RUNS = 100;
/** Experiments looked through for a run's name, those that changed last. */
const MAX_EXPERIMENTS = 1_000;
/** Of a run's name: what a tracking id may be, so that it can stand in a filter. */
const PLAIN_NAME = /^[\w.-]{1,256}$/;

export function createMlflow(options: MlflowOptions): Mlflow {
  const rest = createMlflowRest({ ...options, timeoutMs: options.timeoutMs ?? 5_000 });
  const circuit = createCircuit(options, () => rest.post("experiments/search", { max_results: 1 }));
  let isKnown = false;

  /** Asks where it may be asked. What fails opens the circuit; of a question to a store behind MLflow only what shows that MLflow is gone. */
  async function ask<Value>(
    question: () => Promise<Value | Unknown>,
    signal: AbortSignal | undefined,
    of: "mlflow" | "store" = "mlflow",
  ): Promise<Asked<Value>> {
    if (!rest.isAskable || !circuit.isClosed) return "away";
    try {
      const value = await question();
      if (of === "mlflow") isKnown = true;
      return value === UNKNOWN ? "unknown" : value;
    } catch (cause) {
      signal?.throwIfAborted();
      if (of === "mlflow" || isUnreached(cause)) circuit.fail(cause);
      return "away";
    }
  }

  async function search(query: object, signal: AbortSignal | undefined): Promise<TrackedRun[] | Unknown> {
    const body = { run_view_type: "ACTIVE_ONLY", max_results: MAX_RUNS, ...query };
    const answer = await rest.post("runs/search", body, signal);
    return answer === UNKNOWN ? UNKNOWN : listOf(answer.runs).map(readMlflowRun);
  }

  async function getRun(runId: string, signal: AbortSignal | undefined): Promise<TrackedRun | Unknown> {
    // What no run's id can be is not asked for: an odd one must not look like MLflow being away.
    if (!PLAIN_NAME.test(runId)) return UNKNOWN;
    const answer = await rest.get(`runs/get?run_id=${encodeURIComponent(runId)}`, signal);
    return answer === UNKNOWN ? UNKNOWN : readMlflowRun(answer.run);
  }

  async function findRuns(runName: string, signal: AbortSignal | undefined): Promise<TrackedRun[] | Unknown> {
    if (!PLAIN_NAME.test(runName)) return UNKNOWN;
    const body = { max_results: MAX_EXPERIMENTS, order_by: ["last_update_time DESC"] };
    const answer = await rest.post("experiments/search", body, signal);
    const ids = answer === UNKNOWN ? [] : listOf(answer.experiments).map((each) => String(each.experiment_id));
    if (ids.length === 0) return [];
    const filter = `tags.mlflow.runName = '${runName}'`;
    return search({ experiment_ids: ids, filter, order_by: ["attributes.start_time DESC"] }, signal);
  }

  return {
    get isKnown() {
      return isKnown;
    },
    getRun: (runId, signal) => ask(() => getRun(runId, signal), signal),
    searchRuns: (experimentId, { fromMs, toMs }, signal) => {
      const filter = `attributes.start_time >= ${Math.floor(fromMs)} and attributes.start_time <= ${Math.ceil(toMs)}`;
      const query = { experiment_ids: [experimentId], filter, order_by: ["attributes.start_time ASC"] };
      return ask(() => search(query, signal), signal);
    },
    findRuns: (runName, signal) => ask(() => findRuns(runName, signal), signal),
    models: createMlflowModels({ rest, ask: (question, signal) => ask(question, signal, "store") }),
    close: () => rest.close(),
  };
}

function createCircuit({ clock, logger, retryAfterMs }: MlflowOptions, probe: () => Promise<unknown>): Circuit {
  return new Circuit({
    clock,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    probe: async () => void (await probe()),
    onChange(isUp, cause) {
      if (isUp) return logger.info({ event: "mlflow_back" }, "MLflow answers again");
      const { code, words } = describeFault(cause);
      logger.warn({ event: "mlflow_away", code }, `MLflow cannot be asked: ${words}; model servers tell of their runs`);
    },
  });
}
