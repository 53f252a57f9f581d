/** Metrics of what becomes of final tasks; in the sidecar's registry. */
import { Counter, Gauge, type Registry } from "../core/runtime/metrics.js";
import type { CallbackOutcome, RetentionStore } from "./tasks/upkeep-store.js";

export interface UpkeepMetrics {
  /** Retention removed final tasks. */
  removed(tasks: number): void;
  /** A callback was sent; `pending` means that it will be sent again. */
  called(state: CallbackOutcome["state"]): void;
  /** A cacheable request was looked up. */
  asked(outcome: "hit" | "miss"): void;
}

const CALL_OUTCOMES = { delivered: "delivered", failed: "given_up", pending: "retried" } as const;

export function createUpkeepMetrics(registry: Registry, retention: Pick<RetentionStore, "totals">): UpkeepMetrics {
  const registers = [registry];
  const removed = new Counter({
    name: "sluice_tasks_removed_total",
    help: "Final tasks removed with their results, for their age or size",
    registers,
  });
  const called = new Counter({
    name: "sluice_callbacks_total",
    help: "Callbacks sent, by what came of it: delivered, retried, given_up",
    labelNames: ["outcome"],
    registers,
  });
  const asked = new Counter({
    name: "sluice_result_cache_total",
    help: "Cacheable requests, by outcome: hit, miss",
    labelNames: ["outcome"],
    registers,
  });
  new Gauge({
    name: "sluice_stored_tasks",
    help: "Final tasks that are kept",
    registers,
    collect() {
      this.set(retention.totals().tasks);
    },
  });
  new Gauge({
    name: "sluice_stored_result_bytes",
    help: "Bytes of the results that are kept",
    registers,
    collect() {
      this.set(retention.totals().bytes);
    },
  });
  return {
    removed: (tasks) => removed.inc(tasks),
    called: (state) => called.inc({ outcome: CALL_OUTCOMES[state] }),
    asked: (outcome) => asked.inc({ outcome }),
  };
}
