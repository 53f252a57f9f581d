/**
 * The store's reads, on a connection that cannot write. Each is a point lookup or bounded by something small. Indices are named where
 * the planner, left alone, walks over all that waits: at a million tasks that was 400 ms.
 */
import type { TaskStatus } from "../../core/contract/tasks.js";
import type { Database, Statement } from "../db/open.js";
import { type AttemptRecord, type LaneBacklog, LONGEST_PAUSE_MS, type ModelNeed, type TaskFilter } from "./store.js";
import type { TaskRecord } from "./task-record.js";

/** Rows a filtered page may look at; a page can come back short, or empty, with a `next` to go on from. */
const LIST_WINDOW = 50_000;

/** What a list can be narrowed by. */
const FILTERS = {
  model: "model = ?",
  status: "status = ?",
  class: "class = ?",
  tenant: "tenant = ?",
  task: "task = ?",
  reason: "reason = ?",
  sinceMs: "created_at_ms >= ?",
  untilMs: "created_at_ms < ?",
} as const satisfies Partial<Record<keyof TaskFilter, string>>;
const FILTER_KEYS = Object.keys(FILTERS) as (keyof typeof FILTERS)[];

const ACTIVE = "status IN ('scheduled', 'running')";

interface Line {
  readonly model: string;
  readonly class: string;
  readonly priority: number;
}

interface Later extends Line {
  readonly tasks: number;
  readonly nextDueMs: number;
}

function keyOf({ model, class: name, priority }: Line): string {
  return `${priority}/${model}/${name}`;
}

function byLine<Row extends Line>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [keyOf(row), row]));
}

interface Lookups {
  readonly byUuid: Statement<TaskRecord>;
  readonly payload: Statement<{ bytes: Buffer }>;
  readonly answer: Statement<{ bytes: Buffer }>;
  readonly unfinished: Statement<TaskRecord>;
  readonly attempts: Statement<AttemptRecord>;
  readonly totals: Statement<{ tasks: number; bytes: number }>;
  readonly nextDeadline: Statement<{ at: number }>;
  readonly waiting: Statement<Omit<LaneBacklog, "due" | "nextDueMs"> & { tasks: number }>;
  readonly later: Statement<Later>;
  readonly promoted: Statement<Line & { oldestMs: number }>;
  readonly before: Statement<{ tasks: number }>;
  readonly waitingByClass: Statement<{ class: string; status: TaskStatus; tasks: number }>;
  readonly activeByClass: Statement<{ class: string; status: TaskStatus; tasks: number }>;
  readonly blob: Statement<unknown>;
  readonly need: Statement<{ need: ModelNeed }>;
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
      `SELECT model, class, priority, tasks, (SELECT created_at_ms FROM tasks INDEXED BY tasks_ready WHERE status = 'pending'
         AND not_before_ms = 0 AND model = line.model AND class = line.class AND priority = line.priority
         ORDER BY seq LIMIT 1) AS oldestMs FROM waiting_lines AS line`,
    ),
    promoted: db.prepare(
      `SELECT model, class, priority, min(created_at_ms) AS oldestMs FROM tasks INDEXED BY tasks_later
       WHERE status = 'pending' AND not_before_ms > 0
         AND (not_before_ms <= @nowMs OR not_before_ms > @nowMs + ${LONGEST_PAUSE_MS}) GROUP BY model, class, priority`,
    ),
    later: db.prepare(
      `SELECT model, class, priority, count(*) AS tasks, min(not_before_ms) AS nextDueMs FROM tasks INDEXED BY tasks_later
       WHERE status = 'pending' AND not_before_ms > 0 AND not_before_ms > @nowMs
         AND not_before_ms <= @nowMs + ${LONGEST_PAUSE_MS} GROUP BY model, class, priority`,
    ),
    before: db.prepare(
      `SELECT (SELECT ifnull(sum(tasks), 0) FROM waiting_counts WHERE model = @model AND class = @class
           AND (priority < @priority OR (priority = @priority AND stretch < @turn >> 18)))
         + (SELECT count(*) FROM tasks INDEXED BY tasks_turn WHERE status = 'pending' AND not_before_ms = 0
           AND model = @model AND class = @class AND priority = @priority AND turn >= (@turn >> 18) << 18
           AND (turn < @turn OR (turn = @turn AND seq < @seq)))
         AS tasks`,
    ),
    waitingByClass: db.prepare(
      "SELECT class, 'pending' AS status, sum(tasks) AS tasks FROM waiting_lines GROUP BY class",
    ),
    activeByClass: db.prepare(
      `SELECT class, status, count(*) AS tasks FROM tasks WHERE ${ACTIVE} GROUP BY class, status`,
    ),
    need: db.prepare(
      `SELECT CASE
         WHEN EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_status WHERE ${ACTIVE} AND model = @model) THEN 'under-way'
         WHEN EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_ready WHERE status = 'pending' AND not_before_ms = 0 AND model = @model)
           OR EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_later WHERE status = 'pending' AND not_before_ms > 0 AND model = @model)
         THEN 'waiting' END AS need`,
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

  needOf(model: string): ModelNeed {
    return this.#lookups.need.get({ model })!.need;
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
    const { model, class: lane, priority, seq, turn } = record;
    return this.#lookups.before.get({ model, class: lane, priority, seq, turn })!.tasks;
  }

  backlog(nowMs: number): LaneBacklog[] {
    const later = byLine(this.#lookups.later.all({ nowMs }));
    const promoted = byLine(this.#lookups.promoted.all({ nowMs }));
    return this.#lookups.waiting.all().map(({ tasks, ...line }) => {
      const notDue = later.get(keyOf(line));
      const oldest = [line.oldestMs, promoted.get(keyOf(line))?.oldestMs ?? null].filter((each) => each !== null);
      return {
        ...line,
        due: tasks - (notDue?.tasks ?? 0),
        nextDueMs: notDue?.nextDueMs ?? null,
        oldestMs: oldest.length === 0 ? null : Math.min(...oldest),
      };
    });
  }

  /** Newest first. */
  list(filter: TaskFilter): { records: TaskRecord[]; next: string | null } {
    const named = FILTER_KEYS.filter((key) => filter[key] !== undefined);
    const newest = (this.#newest.get()?.seq ?? 0) + 1;
    const after = Math.min(newest, Number.parseInt(filter.after ?? `${newest}`, 10) || newest);
    // The index on status finds few among many by itself; any other filter walks, so its walk is bounded.
    const floor = named.some((key) => key !== "status") ? Math.max(0, after - LIST_WINDOW) : 0;
    const limit = Math.min(Math.max(1, filter.limit), 1_000);
    const records = this.#list(named).all(after, floor, ...named.map((key) => filter[key]), limit);
    const last = records.length === limit ? records.at(-1)!.seq : floor;
    return { records, next: last > 1 ? String(last) : null };
  }

  #list(named: readonly (keyof typeof FILTERS)[]): Statement<TaskRecord> {
    const where = named.map((key) => `AND ${FILTERS[key]}`).join(" ");
    let statement = this.#lists.get(where);
    if (statement === undefined) {
      statement = this.#db.prepare(`SELECT * FROM tasks WHERE seq < ? AND seq >= ? ${where} ORDER BY seq DESC LIMIT ?`);
      this.#lists.set(where, statement);
    }
    return statement;
  }
}
