/** The sidecar's metrics. Names of CogStack Model Gateway's scheduler are kept; labels are bounded, so never a task's id or time. */
import type { FailureReason } from "../core/contract/tasks.js";
import { Counter, DURATION_BUCKETS, Gauge, Histogram, Registry } from "../core/runtime/metrics.js";
import { queueTimeMs } from "./tasks/answers.js";
import type { Outcome, TaskRow, TaskStore } from "./tasks/store.js";

export interface SidecarMetrics {
  /** A task's call is about to be sent. */
  scheduled(task: TaskRow): void;
  /** A task reached a final state: here by its run's outcome, or while it still waited. */
  completed(task: TaskRow, outcome: Pick<Outcome, "status" | "reason" | "answer">): void;
  /** A task went back to waiting. */
  requeued(task: TaskRow): void;
  /** For the metrics of other parts. */
  readonly registry: Registry;
  /** Prometheus text. */
  text(): Promise<string>;
}

export function createSidecarMetrics(store: TaskStore): SidecarMetrics {
  const registers = [new Registry()];
  const scheduled = new Counter({
    name: "scheduler_tasks_scheduled_total",
    help: "Attempts begun",
    labelNames: ["model", "class"],
    registers,
  });
  const completed = new Counter({
    name: "scheduler_tasks_completed_total",
    help: "Tasks that reached a final state; reason is empty for those that succeeded",
    labelNames: ["model", "class", "status", "reason"],
    registers,
  });
  const requeued = new Counter({
    name: "scheduler_tasks_requeued_total",
    help: "Tasks that went back to waiting: retries and busy trainers",
    labelNames: ["model", "class"],
    registers,
  });
  const queueWait = durations("sluice_queue_wait_seconds", "From a task's creation to its first start", registers);
  const upstream = durations("sluice_upstream_seconds", "The model server's time for a task's answer", registers);
  declareQueueGauges(store, registers);

  return {
    scheduled(task) {
      scheduled.inc({ model: task.model, class: task.class });
      if (task.attempt <= 1) queueWait.observe({ class: task.class }, queueTimeMs(task) / 1_000);
    },
    completed(task, { status, reason, answer }) {
      const why: FailureReason | "" = reason ?? "";
      completed.inc({ model: task.model, class: task.class, status, reason: why });
      if (answer !== null) upstream.observe({ class: task.class }, answer.upstreamMs / 1_000);
    },
    requeued(task) {
      requeued.inc({ model: task.model, class: task.class });
    },
    registry: registers[0]!,
    text: () => registers[0]!.metrics(),
  };
}

function durations(name: string, help: string, registers: Registry[]): Histogram<"class"> {
  return new Histogram({ name, help, labelNames: ["class"], buckets: DURATION_BUCKETS, registers });
}

/** Read from the store's counters when somebody asks. */
function declareQueueGauges(store: TaskStore, registers: Registry[]): void {
  new Gauge({
    name: "sluice_queue_tasks",
    help: "Tasks that are not final, by class and status",
    labelNames: ["class", "status"],
    registers,
    collect() {
      this.reset();
      for (const { class: name, status, tasks } of store.depths()) this.set({ class: name, status }, tasks);
    },
  });
  new Gauge({
    name: "sluice_queue_bytes",
    help: "Bytes of the request bodies that wait",
    registers,
    collect() {
      this.set(store.countWaiting().bytes);
    },
  });
}
