/**
 * The store's reads, on a connection that cannot write. Each is a point lookup or bounded by something small. Indices are named where
 * the planner, left alone, walks over all that waits: at a million tasks that was 400 ms.
 */
import type { TaskStatus } from "../../core/contract/tasks.js";
import type { Database, Statement } from "../db/open.js";
import type { AttemptRecord, LaneBacklog, TaskFilter } from "./store.js";
import type { TaskRecord } from "./task-record.js";

/** Rows a filtered page may look at; a page can come back short, or empty, with a `next` to go on from. */
const LIST_WINDOW = 50_000;

const ACTIVE = "status IN ('scheduled', 'running')";

interface Lookups {
  readonly byUuid: Statement<TaskRecord>;
  readonly payload: Statement<{ bytes: Buffer }>;
  readonly answer: Statement<{ bytes: Buffer }>;
  readonly unfinished: Statement<TaskRecord>;
  readonly attempts: Statement<AttemptRecord>;
  readonly totals: Statement<{ tasks: number; bytes: number }>;
  readonly nextDeadline: Statement<{ at: number }>;
  readonly waiting: Statement<{ model: string; class: string; priority: number; tasks: number }>;
  readonly later: Statement<{ model: string; class: string; priority: number; tasks: number; nextDueMs: number }>;
  readonly before: Statement<{ tasks: number }>;
  readonly waitingByClass: Statement<{ class: string; status: TaskStatus; tasks: number }>;
  readonly activeByClass: Statement<{ class: string; status: TaskStatus; tasks: number }>;
  readonly blob: Statement<unknown>;
}

function prepareLookups(db: Database): Lookups {
  return {
    byUuid: db.prepare("SELECT * FROM tasks WHERE uuid = ?"),
    payload: db.prepare("SELECT bytes FROM inline_payloads WHERE seq = ?"),
    answer: db.prepare("SELECT bytes FROM inline_answers WHERE seq = ?"),
    unfinished: db.prepare(`SELECT * FROM tasks WHERE ${ACTIVE} ORDER BY seq`),
    attempts: db.prepare(
      `SELECT attempt, started_at_ms AS startedAtMs, ended_at_ms AS endedAtMs, outcome, cause, note FROM attempts
       WHERE seq = (SELECT seq FROM tasks WHERE uuid = ?) ORDER BY id`,
    ),
    totals: db.prepare("SELECT tasks, bytes FROM queue_totals"),
    nextDeadline: db.prepare(
      `SELECT deadline_at_ms AS at FROM tasks INDEXED BY tasks_deadline
       WHERE status = 'pending' AND deadline_at_ms IS NOT NULL ORDER BY deadline_at_ms LIMIT 1`,
    ),
    waiting: db.prepare(
      "SELECT model, class, priority, sum(tasks) AS tasks FROM waiting_counts GROUP BY model, class, priority",
    ),
    later: db.prepare(
      `SELECT model, class, priority, count(*) AS tasks, min(not_before_ms) AS nextDueMs FROM tasks INDEXED BY tasks_later
       WHERE status = 'pending' AND not_before_ms > 0 AND not_before_ms > ? GROUP BY model, class, priority`,
    ),
    before: db.prepare(
      `SELECT (SELECT ifnull(sum(tasks), 0) FROM waiting_counts WHERE model = @model AND class = @class
           AND (priority < @priority OR (priority = @priority AND stretch < @seq >> 12)))
         + (SELECT count(*) FROM tasks INDEXED BY tasks_ready WHERE status = 'pending' AND not_before_ms = 0
           AND model = @model AND class = @class AND priority = @priority AND seq >= (@seq >> 12) << 12 AND seq < @seq)
         AS tasks`,
    ),
    waitingByClass: db.prepare(
      "SELECT class, 'pending' AS status, sum(tasks) AS tasks FROM waiting_counts GROUP BY class",
    ),
    activeByClass: db.prepare(
      `SELECT class, status, count(*) AS tasks FROM tasks WHERE ${ACTIVE} GROUP BY class, status`,
    ),
    blob: db.prepare(
      "SELECT 1 FROM tasks WHERE payload_key = @key UNION ALL SELECT 1 FROM tasks WHERE answer_key = @key",
    ),
  };
}

export class SqliteReads {
  readonly #db: Database;
  readonly #lookups: Lookups;
  readonly #lists = new Map<string, Statement<TaskRecord>>();
  readonly #newest: Statement<{ seq: number | null }>;

  constructor(db: Database) {
    this.#db = db;
    this.#lookups = prepareLookups(db);
    this.#newest = db.prepare("SELECT max(seq) AS seq FROM tasks");
  }

  record(uuid: string): TaskRecord | undefined {
    return this.#lookups.byUuid.get(uuid);
  }

  /** @returns undefined once the task is final: its payload has gone */
  inlinePayload(seq: number): Buffer | undefined {
    return this.#lookups.payload.get(seq)?.bytes;
  }

  inlineAnswer(seq: number): Buffer | undefined {
    return this.#lookups.answer.get(seq)?.bytes;
  }

  unfinished(): TaskRecord[] {
    return this.#lookups.unfinished.all();
  }

  attempts(uuid: string): AttemptRecord[] {
    return this.#lookups.attempts.all(uuid);
  }

  countWaiting(): { tasks: number; bytes: number } {
    return this.#lookups.totals.get()!;
  }

  nextDeadlineMs(): number | null {
    return this.#lookups.nextDeadline.get()?.at ?? null;
  }

  namesBlob(key: string): boolean {
    return this.#lookups.blob.get({ key }) !== undefined;
  }

  depths(): { class: string; status: TaskStatus; tasks: number }[] {
    return [...this.#lookups.waitingByClass.all(), ...this.#lookups.activeByClass.all()];
  }

  position(uuid: string): number | null {
    const record = this.record(uuid);
    if (record === undefined || record.status !== "pending") return null;
    const { model, class: lane, priority, seq } = record;
    return this.#lookups.before.get({ model, class: lane, priority, seq })!.tasks;
  }

  backlog(nowMs: number): LaneBacklog[] {
    const later = new Map(
      this.#lookups.later.all(nowMs).map((each) => [`${each.model}/${each.class}/${each.priority}`, each]),
    );
    return this.#lookups.waiting.all().map(({ model, class: lane, priority, tasks }) => {
      const notDue = later.get(`${model}/${lane}/${priority}`);
      return { model, class: lane, priority, due: tasks - (notDue?.tasks ?? 0), nextDueMs: notDue?.nextDueMs ?? null };
    });
  }

  /** Newest first. */
  list(filter: TaskFilter): { records: TaskRecord[]; next: string | null } {
    const named = (["model", "status", "class", "tenant"] as const).filter((key) => filter[key] !== undefined);
    const newest = (this.#newest.get()?.seq ?? 0) + 1;
    const after = Math.min(newest, Number.parseInt(filter.after ?? `${newest}`, 10) || newest);
    // The index on status finds few among many by itself; any other filter walks, so its walk is bounded.
    const floor = named.some((key) => key !== "status") ? Math.max(0, after - LIST_WINDOW) : 0;
    const limit = Math.min(Math.max(1, filter.limit), 1_000);
    const records = this.#list(named).all(after, floor, ...named.map((key) => filter[key]), limit);
    const last = records.length === limit ? records.at(-1)!.seq : floor;
    return { records, next: last > 1 ? String(last) : null };
  }

  #list(named: readonly string[]): Statement<TaskRecord> {
    const where = named.map((key) => `AND ${key} = ?`).join(" ");
    let statement = this.#lists.get(where);
    if (statement === undefined) {
      statement = this.#db.prepare(`SELECT * FROM tasks WHERE seq < ? AND seq >= ? ${where} ORDER BY seq DESC LIMIT ?`);
      this.#lists.set(where, statement);
    }
    return statement;
  }
}
