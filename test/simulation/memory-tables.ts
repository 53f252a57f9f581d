/** What is on the simulated disk: rows, and the turns of their lines. It outlives every process. */
import { statesBefore, type TaskStatus } from "../../core/contract/tasks.js";
import { chooseLine, turnCost, turnOf, type WaitingLine } from "../../sidecar/scheduler/order.js";
import { type AttemptRecord, LONGEST_PAUSE_MS, type StoredBody, type TaskRow } from "../../sidecar/tasks/store.js";

/** A task on disk; `payload` is null once it is final. */
export interface MemoryRow {
  readonly seq: number;
  readonly turn: number;
  readonly payload: StoredBody | null;
  /** The payload's, which stays. */
  readonly sha256: string;
  readonly task: TaskRow;
}

/** One change that was committed. */
export interface Commit {
  readonly from: TaskStatus | null;
  readonly row: TaskRow;
  /** The attempt that asked for it. */
  readonly attempt: number;
  readonly claim: { readonly nowMs: number; readonly classes: readonly string[] } | null;
}

export interface TablesWatch {
  committed(commit: Commit): void;
  /** An answer that was refused. */
  refused(uuid: string, attempt: number): void;
}

interface LineTurns {
  turn: number;
  served: number;
}

export class MemoryTables {
  readonly rows = new Map<string, MemoryRow>();
  readonly attempts = new Map<string, AttemptRecord[]>();
  readonly watch: TablesWatch;
  #seq = 0;
  readonly #lines = new Map<string, LineTurns>();
  readonly #tenants = new Map<string, { next: number; cost: number }>();

  constructor(watch: TablesWatch = { committed() {}, refused() {} }) {
    this.watch = watch;
  }

  add(task: TaskRow, payload: StoredBody, weight: number): MemoryRow {
    const row = { seq: ++this.#seq, turn: this.#takeTurn(task, weight), payload, sha256: payload.sha256, task };
    this.rows.set(task.uuid, row);
    this.watch.committed({ from: null, row: task, attempt: 0, claim: null });
    return row;
  }

  /** Compare and set; null when the task has moved on. */
  move(uuid: string, attempt: number | null, to: TaskStatus, change: Partial<TaskRow>): MemoryRow | null {
    const row = this.rows.get(uuid);
    if (row === undefined || !statesBefore(to).includes(row.task.status)) return null;
    if (attempt !== null && row.task.attempt !== attempt) return null;
    return this.put(row, { ...row.task, ...change, status: to }, { attempt: attempt ?? row.task.attempt, claim: null });
  }

  put(row: MemoryRow, task: TaskRow, by: Pick<Commit, "attempt" | "claim">): MemoryRow {
    const isFinal = task.status === "succeeded" || task.status === "failed";
    const next = { ...row, task, payload: isFinal ? null : row.payload };
    this.rows.set(task.uuid, next);
    this.watch.committed({ from: row.task.status, row: task, ...by });
    return next;
  }

  /** A note on a running task: no move, so nothing is told. */
  note(uuid: string, attempt: number, change: Pick<TaskRow, "cancelAskedAtMs">): MemoryRow | null {
    const row = this.rows.get(uuid);
    if (row === undefined || row.task.status !== "running" || row.task.attempt !== attempt) return null;
    const next = { ...row, task: { ...row.task, ...change } };
    this.rows.set(uuid, next);
    return next;
  }

  waiting(): MemoryRow[] {
    return [...this.rows.values()].filter(({ task }) => task.status === "pending");
  }

  /** The task to claim now. */
  findBest(model: string, classes: readonly string[], nowMs: number, ageingMs: number): MemoryRow | null {
    const due = this.waiting().filter(
      ({ task }) => task.model === model && isDue(task, nowMs) && classes.includes(task.class),
    );
    const lines = new Map<number, WaitingLine>();
    for (const { task } of due) {
      const oldestMs = Math.min(task.createdAtMs, lines.get(task.priority)?.oldestMs ?? task.createdAtMs);
      const served = this.#lines.get(lineKey(task))?.served ?? 0;
      lines.set(task.priority, { priority: task.priority, oldestMs, served });
    }
    const line = chooseLine([...lines.values()], nowMs, ageingMs);
    if (line === null) return null;
    return due.filter(({ task }) => task.priority === line.priority).reduce(earlier);
  }

  markServed({ task, turn }: MemoryRow): void {
    const ofModel = [...this.#lines].filter(([key]) => key.startsWith(`${task.model}/`)).map(([, line]) => line.served);
    const line = this.#lines.get(lineKey(task));
    this.#lines.set(lineKey(task), {
      turn: Math.max(turn, line?.turn ?? turn),
      served: 1 + Math.max(0, ...ofModel),
    });
  }

  /** A task left its line without having been started. */
  giveTurnBack(task: TaskRow): void {
    const tenant = this.#tenants.get(tenantKey(task));
    if (tenant !== undefined) tenant.next = Math.max(0, tenant.next - tenant.cost);
  }

  #takeTurn(task: TaskRow, weight: number): number {
    const turn = turnOf(this.#lines.get(lineKey(task))?.turn ?? 0, this.#tenants.get(tenantKey(task))?.next ?? null);
    const cost = turnCost(weight);
    this.#tenants.set(tenantKey(task), { next: turn + cost, cost });
    return turn;
  }
}

/** @see LONGEST_PAUSE_MS */
export function isDue({ notBeforeMs }: TaskRow, nowMs: number): boolean {
  return notBeforeMs <= nowMs || notBeforeMs > nowMs + LONGEST_PAUSE_MS;
}

function lineKey(task: TaskRow): string {
  return `${task.model}/${task.priority}`;
}

function tenantKey(task: TaskRow): string {
  return `${task.model}/${task.priority}/${task.tenant ?? ""}`;
}

export function earlier(one: MemoryRow, other: MemoryRow): MemoryRow {
  if (one.turn !== other.turn) return one.turn < other.turn ? one : other;
  return one.seq < other.seq ? one : other;
}
