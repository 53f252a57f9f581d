/** Tasks in memory, as `sidecar/tasks/store.ts` says: reads see what is committed, writes go one after the other through a disk. */
import { SluiceError } from "../../core/contract/errors.js";
import { isFinal, type TaskStatus } from "../../core/contract/tasks.js";
import { refuseWhenFull } from "../../sidecar/tasks/queue-bounds.js";
import type {
  AttemptRecord,
  Claim,
  LaneBacklog,
  ModelNeed,
  NewTask,
  OrderSettings,
  Outcome,
  TaskAnswer,
  TaskFilter,
  TaskRow,
  TaskStore,
} from "../../sidecar/tasks/store.js";
import { MAX_ATTEMPTS_KEPT, MAX_NOTE_CHARS, type Requeue } from "../../sidecar/tasks/store.js";
import { earlier, isDue, type MemoryRow, type MemoryTables } from "./memory-tables.js";

export interface Disk {
  /** Applies the change when its turn has come, and resolves when it is durable; or rejects and changes nothing. */
  write<Value>(change: () => Value): Promise<Value>;
}

export interface MemoryStoreOptions {
  readonly tables: MemoryTables;
  readonly disk: Disk;
  readonly bounds: () => { readonly maxTasks: number; readonly maxBytes: number };
  readonly order: () => OrderSettings;
  readonly releaseBlob: (key: string) => void;
  readonly now: () => number;
  /** Throws where this process no longer owns the store: what it has under way it may write, nothing new. */
  readonly refuseStranger?: () => void;
}

export class MemoryStore implements TaskStore {
  readonly #options: MemoryStoreOptions;
  readonly #tables: MemoryTables;
  readonly #listeners = new Set<(task: TaskRow) => void>();

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
    this.#tables = options.tables;
  }

  async insert(task: NewTask): Promise<{ task: TaskRow; replayed: boolean }> {
    const { task: row, replayed } = await this.#write(() => this.#insert(task));
    if (!replayed) this.#announce(row);
    return { task: row, replayed };
  }

  #insert(task: NewTask): { task: TaskRow; replayed: boolean } {
    this.#options.refuseStranger?.();
    const { payload, ...rest } = task;
    const older = this.#olderOf(task);
    if (older !== undefined) {
      if (older.sha256 !== payload.sha256 || older.task.path !== task.path)
        throw new SluiceError("IDEMPOTENCY_KEY_REUSED", "this key came before with another request");
      return { task: older.task, replayed: true };
    }
    refuseWhenFull(this.countWaiting(), sizeOf(payload), this.#options.bounds());
    const blank = {
      ...{ reason: null, startedAtMs: null, finishedAtMs: null, errorMessage: null, trackingId: null },
      cancelAskedAtMs: null,
    };
    const row: TaskRow = { ...rest, ...blank, status: "pending", attempt: 0, notBeforeMs: 0, answer: null };
    this.#tables.add(row, payload, this.#options.order().weightOf(task.tenant));
    return { task: row, replayed: false };
  }

  #olderOf(task: NewTask): { task: TaskRow; sha256: string } | undefined {
    if (task.idempotencyKey === null) return undefined;
    for (const { task: row, sha256 } of this.#tables.rows.values()) {
      const isSame = row.idempotencyKey === task.idempotencyKey && row.model === task.model && row.task === task.task;
      if (isSame && row.tenant === task.tenant) return { task: row, sha256 };
    }
    return undefined;
  }

  get(uuid: string): TaskRow | null {
    return this.#tables.rows.get(uuid)?.task ?? null;
  }

  list(filter: TaskFilter): { tasks: TaskRow[]; next: string | null } {
    const after = Number(filter.after ?? Number.POSITIVE_INFINITY);
    const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = filter;
    const keys = ["model", "status", "class", "tenant", "task", "reason"] as const;
    const named = keys.filter((key) => filter[key] !== undefined);
    const rows = [...this.#tables.rows.values()]
      .filter(({ seq, task }) => seq < after && task.createdAtMs >= sinceMs && task.createdAtMs < untilMs)
      .filter((row) => named.every((key) => row.task[key] === filter[key]))
      .sort((one, other) => other.seq - one.seq)
      .slice(0, filter.limit);
    const last = rows.length === filter.limit ? rows.at(-1)!.seq : 0;
    return { tasks: rows.map(({ task }) => task), next: last > 1 ? String(last) : null };
  }

  position(uuid: string): number | null {
    const row = this.#tables.rows.get(uuid);
    if (row?.task.status !== "pending") return null;
    const { model, class: name, priority } = row.task;
    return this.#tables
      .waiting()
      .filter((each) => each !== row && each.task.model === model && each.task.class === name)
      .filter(({ task, ...each }) =>
        task.priority === priority ? earlier({ task, ...each }, row) !== row : task.priority < priority,
      ).length;
  }

  backlog(nowMs: number): LaneBacklog[] {
    const lanes = new Map<string, LaneBacklog>();
    for (const { task } of this.#tables.waiting()) {
      const { model, class: name, priority } = task;
      const key = `${priority}/${model}/${name}`;
      const lane = lanes.get(key) ?? { model, class: name, priority, due: 0, nextDueMs: null, oldestMs: null };
      const mayStart = isDue(task, nowMs);
      lanes.set(key, {
        ...lane,
        due: lane.due + (mayStart ? 1 : 0),
        nextDueMs: mayStart ? lane.nextDueMs : Math.min(lane.nextDueMs ?? Number.POSITIVE_INFINITY, task.notBeforeMs),
        oldestMs: mayStart ? Math.min(lane.oldestMs ?? Number.POSITIVE_INFINITY, task.createdAtMs) : lane.oldestMs,
      });
    }
    return [...lanes.values()];
  }

  countWaiting(): { tasks: number; bytes: number } {
    const waiting = this.#tables.waiting();
    return { tasks: waiting.length, bytes: waiting.reduce((sum, { payload }) => sum + sizeOf(payload!), 0) };
  }

  async claim(model: string, classes: readonly string[], nowMs: number): Promise<Claim | null> {
    const row = await this.#write(() => this.#claim(model, classes, nowMs));
    if (row === null) return null;
    this.#announce(row.task);
    return { task: row.task, payload: row.payload! };
  }

  #claim(model: string, classes: readonly string[], nowMs: number): MemoryRow | null {
    this.#options.refuseStranger?.();
    const best = this.#tables.findBest(model, classes, nowMs, this.#options.order().ageingMs);
    if (best === null) return null;
    const attempt = best.task.attempt + 1;
    const startedAtMs = best.task.startedAtMs ?? nowMs;
    const task: TaskRow = {
      ...best.task,
      ...{ status: "scheduled", attempt, notBeforeMs: 0, startedAtMs, errorMessage: null },
    };
    this.#tables.markServed(best);
    this.#record(task.uuid, { attempt, startedAtMs: nowMs, endedAtMs: null, outcome: null, cause: null, note: null });
    return this.#tables.put(best, task, { attempt, claim: { nowMs, classes } });
  }

  async markRunning(uuid: string, attempt: number, trackingId: string | null, accepted: TaskAnswer): Promise<boolean> {
    return this.#moved(() => {
      const known = this.get(uuid)?.trackingId ?? null;
      return this.#tables.move(uuid, attempt, "running", { trackingId: trackingId ?? known, answer: accepted });
    });
  }

  async markCancelAsked(uuid: string, attempt: number, askedAtMs: number | null): Promise<boolean> {
    return this.#moved(() => this.#tables.note(uuid, attempt, { cancelAskedAtMs: askedAtMs }));
  }

  async requeue(uuid: string, attempt: number, notBeforeMs: number, why: Requeue | null): Promise<boolean> {
    return this.#moved(() => {
      const change = { notBeforeMs: Math.max(0, Math.round(notBeforeMs)), errorMessage: why?.note ?? null };
      const row = this.#tables.move(uuid, attempt, "pending", change);
      if (row !== null)
        this.#endAttempt(row.task, { outcome: "requeued", cause: why?.cause ?? null, note: why?.note ?? null });
      if (row !== null) this.#forgetOld(row.task);
      return row;
    });
  }

  async finish(uuid: string, attempt: number, outcome: Outcome): Promise<boolean> {
    return this.#ended(uuid, outcome, () => {
      const isActive = this.get(uuid)?.status !== "pending";
      const row = isActive ? this.#tables.move(uuid, attempt, outcome.status, endOf(outcome)) : null;
      if (row !== null)
        this.#endAttempt(row.task, {
          outcome: outcome.reason ?? outcome.status,
          cause: null,
          note: outcome.errorMessage,
        });
      else {
        this.#record(uuid, {
          attempt,
          startedAtMs: null,
          endedAtMs: outcome.finishedAtMs,
          outcome: "refused",
          cause: null,
          note: "it came after the task had moved on",
        });
        this.#tables.watch.refused(uuid, attempt);
      }
      return row;
    });
  }

  async failWaiting(uuid: string, outcome: Outcome): Promise<boolean> {
    return this.#ended(uuid, outcome, () => this.#failWaiting(uuid, outcome));
  }

  #failWaiting(uuid: string, outcome: Outcome): MemoryRow | null {
    if (this.get(uuid)?.status !== "pending") return null;
    const row = this.#tables.move(uuid, null, "failed", endOf(outcome));
    if (row !== null) this.#tables.giveTurnBack(row.task);
    return row;
  }

  async expire(nowMs: number): Promise<string[]> {
    const outcome: Outcome = {
      status: "failed",
      reason: "expired",
      errorMessage: "Its deadline passed before it could start.",
      answer: null,
      finishedAtMs: nowMs,
    };
    const rows = await this.#write(() =>
      this.#tables
        .waiting()
        .filter(({ task }) => task.deadlineAtMs !== null && task.deadlineAtMs <= nowMs)
        .map(({ task }) => this.#failWaiting(task.uuid, outcome)!),
    );
    for (const { task } of rows) this.#announce(task);
    return rows.map(({ task }) => task.uuid);
  }

  nextDeadlineMs(): number | null {
    const deadlines = this.#tables.waiting().flatMap(({ task }) => task.deadlineAtMs ?? []);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }

  needOf(model: string): ModelNeed {
    const open = [...this.#tables.rows.values()].filter(({ task }) => task.model === model && !isFinal(task.status));
    if (open.length === 0) return null;
    return open.some(({ task }) => task.status !== "pending") ? "under-way" : "waiting";
  }

  unfinished(): Claim[] {
    return [...this.#tables.rows.values()]
      .filter(({ task }) => task.status === "scheduled" || task.status === "running")
      .map(({ task, payload }) => ({ task, payload: payload! }));
  }

  attempts(uuid: string): AttemptRecord[] {
    return this.#tables.attempts.get(uuid) ?? [];
  }

  depths(): { class: string; status: TaskStatus; tasks: number }[] {
    const depths = new Map<string, { class: string; status: TaskStatus; tasks: number }>();
    for (const { task } of this.#tables.rows.values()) {
      if (isFinal(task.status)) continue;
      const key = `${task.class}/${task.status}`;
      const depth = depths.get(key) ?? { class: task.class, status: task.status, tasks: 0 };
      depths.set(key, { ...depth, tasks: depth.tasks + 1 });
    }
    return [...depths.values()];
  }

  namesBlob(key: string): boolean {
    return [...this.#tables.rows.values()].some(({ task, payload }) =>
      [payload, task.answer?.body].some((body) => body?.kind === "blob" && body.key === key),
    );
  }

  async probe(): Promise<void> {
    await this.#write(() => undefined);
  }

  onChange(listener: (task: TaskRow) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  #write<Value>(change: () => Value): Promise<Value> {
    return this.#options.disk.write(change);
  }

  async #moved(move: () => MemoryRow | null): Promise<boolean> {
    const row = await this.#write(move);
    if (row !== null) this.#announce(row.task);
    return row !== null;
  }

  async #ended(uuid: string, outcome: Outcome, move: () => MemoryRow | null): Promise<boolean> {
    const payload = this.#tables.rows.get(uuid)?.payload ?? null;
    const row = await this.#write(move);
    const released = blobKey(row === null ? (outcome.answer?.body ?? null) : payload);
    if (released !== null) this.#options.releaseBlob(released);
    if (row !== null) this.#announce(row.task);
    return row !== null;
  }

  #record(uuid: string, record: AttemptRecord): void {
    if (this.#tables.rows.has(uuid)) this.#tables.attempts.set(uuid, [...this.attempts(uuid), record]);
  }

  #endAttempt(task: TaskRow, end: Pick<AttemptRecord, "outcome" | "cause" | "note">): void {
    const isOpen = (each: AttemptRecord) => each.attempt === task.attempt && each.outcome === null;
    const endedAtMs = task.finishedAtMs ?? this.#options.now();
    const note = end.note?.slice(0, MAX_NOTE_CHARS) ?? null;
    const records = this.attempts(task.uuid).map((each) =>
      isOpen(each) ? { ...each, endedAtMs, ...end, note } : each,
    );
    this.#tables.attempts.set(task.uuid, records);
  }

  #forgetOld({ uuid, attempt }: TaskRow): void {
    const kept = this.attempts(uuid).filter((each) => each.attempt > attempt - MAX_ATTEMPTS_KEPT);
    this.#tables.attempts.set(uuid, kept);
  }

  #announce(task: TaskRow): void {
    for (const listener of this.#listeners) listener(task);
  }
}

function endOf({ reason, errorMessage, answer, finishedAtMs }: Outcome): Partial<TaskRow> {
  return { headers: [], reason, errorMessage, answer, finishedAtMs };
}

function sizeOf(body: { kind: "inline"; bytes: Buffer } | { kind: "blob"; size: number }): number {
  return body.kind === "inline" ? body.bytes.length : body.size;
}

function blobKey(body: TaskAnswer["body"] | null): string | null {
  return body?.kind === "blob" ? body.key : null;
}
