/** Models that tasks wait for and that do not take them yet: started when that is due, given up when they cannot be had. */
import { asSluiceError, SluiceError } from "../../core/contract/errors.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { Logger } from "../../core/runtime/logger.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import type { TaskStore } from "../tasks/store.js";
import type { Attempts } from "./attempt.js";
import { decideModelStep } from "./decide.js";
import { failedOutcome } from "./outcome.js";

export interface AwaitedModelsOptions {
  readonly store: Pick<TaskStore, "backlog" | "claim">;
  readonly catalogue: Pick<ModelCatalogue, "get" | "ensureReady">;
  readonly attempts: Pick<Attempts, "end">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bound on one start of a model; also how long tasks of a vanished model wait for it to come back. */
  readonly startTimeoutMs: () => number;
  /** True from the moment on at which nothing new begins. */
  readonly isStopped: () => boolean;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** Keeps a start or a giving-up in view; hears its rejection. */
  readonly track: (work: Promise<void>) => void;
  /** A start is over, whichever way. */
  readonly wake: () => void;
}

export interface AwaitedModels {
  /**
   * Looks at a model that has due tasks, and starts it or gives it up where that is the next step.
   * @param isStartDue asked only of a model that could be started
   * @returns true when it takes tasks now
   */
  look(model: string, isStartDue: () => boolean): boolean;
  /** Nothing waits for it any more. */
  forget(model: string): void;
}

export function createAwaitedModels(options: AwaitedModelsOptions): AwaitedModels {
  const { store, catalogue, attempts, clock, logger, signal } = options;
  const starting = new Set<string>();
  /** By {@link Clock.elapsed}. */
  const unknownSinceMs = new Map<string, number>();

  function unknownForMs(model: string): number {
    const nowMs = clock.elapsed();
    const sinceMs = unknownSinceMs.get(model) ?? nowMs;
    unknownSinceMs.set(model, sinceMs);
    return nowMs - sinceMs;
  }

  async function start(model: string): Promise<void> {
    if (starting.has(model)) return;
    starting.add(model);
    try {
      await catalogue.ensureReady(model, options.startTimeoutMs(), signal);
    } catch (cause) {
      const error = asSluiceError(cause);
      if (options.isStopped() || error.code === "MODEL_UNKNOWN") return;
      if (error.code === "MODEL_START_FAILED") await giveUp(model, error);
    } finally {
      starting.delete(model);
      options.wake();
    }
  }

  /** Ends every due task of a model that cannot be had. */
  async function giveUp(model: string, error: SluiceError): Promise<void> {
    const lines = store.backlog(clock.now()).filter((each) => each.model === model);
    const classes = [...new Set(lines.map((each) => each.class))];
    logger.warn({ event: "model_unavailable", model, code: error.code }, "its waiting tasks fail");
    for (;;) {
      const claim = options.isStopped() ? null : await store.claim(model, classes, clock.now());
      if (claim === null) return;
      const outcome = failedOutcome("model_unavailable", error.message, null, clock.now());
      await attempts.end(claim.task, outcome, signal);
    }
  }

  return {
    look(model, isStartDue) {
      const entry = catalogue.get(model);
      if (entry !== undefined) unknownSinceMs.delete(model);
      const unknownMs = entry === undefined ? unknownForMs(model) : 0;
      const step = decideModelStep(entry?.state, entry?.onDemand ?? false, unknownMs, options.startTimeoutMs());
      if (step === "start" && isStartDue()) options.track(start(model));
      if (step === "fail")
        options.track(giveUp(model, new SluiceError("MODEL_UNAVAILABLE", `Model '${model}' is not there any more`)));
      return step === "dispatch";
    },
    forget(model) {
      unknownSinceMs.delete(model);
    },
  };
}
