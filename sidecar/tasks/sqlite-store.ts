/** Tasks in SQLite: reads on this thread, writes through the writer's thread, events after each commit. */
import type { Database } from "../db/open.js";
import type { Writer } from "../db/writer.js";
import { SqliteReads } from "./sqlite-reads.js";
import { type Ended, type EndRecord, EXPIRE_AT_MOST, type QueueBounds } from "./sqlite-writes.js";
import type {
  AttemptRecord,
  Claim,
  LaneBacklog,
  NewTask,
  Outcome,
  StoredBody,
  TaskAnswer,
  TaskFilter,
  TaskRow,
  TaskStore,
} from "./store.js";
import { answerRecord, type BodyColumns, newTaskRecord, type TaskRecord, taskRow } from "./task-record.js";

export interface SqliteTaskStoreOptions {
  /** Reads; closed with the store. */
  readonly database: Database;
  /** Runs `sqlite-writes.ts` and whatever else shares its commits; closed with the store. */
  readonly writer: Writer;
  /** Bounds on what waits, read at every insert: a reload takes effect at once. */
  readonly bounds: () => QueueBounds;
  /** A blob no row names any more; called after the commit that let go of it. */
  readonly releaseBlob: (key: string) => void;
  /** Epoch milliseconds; default the system's. */
  readonly now?: () => number;
}

type Listener = (task: TaskRow) => void;

export class SqliteTaskStore implements TaskStore {
  readonly #options: SqliteTaskStoreOptions;
  readonly #writer: Writer;
  readonly #reads: SqliteReads;
  readonly #listeners = new Set<Listener>();
  readonly #now: () => number;

  constructor(options: SqliteTaskStoreOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.#reads = new SqliteReads(options.database);
    this.#now = options.now ?? Date.now;
  }

  async insert(task: NewTask): Promise<{ task: TaskRow; replayed: boolean }> {
    const record = newTaskRecord(task);
    const written = await this.#writer.call<{ record: TaskRecord; replayed: boolean }>(
      "insertTask",
      [record, this.#options.bounds()],
      transferable(record.payload),
    );
    return this.#inserted(written);
  }

  /** For a task that is final from the start; see `AnswerIndex` in `upkeep-store.ts`. The body it came with is not kept. */
  async insertAnswered(task: NewTask, outcome: Outcome): Promise<{ task: TaskRow; replayed: boolean }> {
    const record = newTaskRecord(task);
    const forgotten = { ...record, payload: { ...record.payload, key: null, bytes: null } };
    const answer = answerRecord(outcome.answer!);
    const written = await this.#writer.call<{ record: TaskRecord; replayed: boolean }>(
      "insertAnswered",
      [forgotten, answer, outcome.finishedAtMs],
      transferable(answer.body),
    );
    return this.#inserted(written);
  }

  get(uuid: string): TaskRow | null {
    const record = this.#reads.record(uuid);
    return record === undefined ? null : this.#row(record);
  }

  list(filter: TaskFilter): { tasks: TaskRow[]; next: string | null } {
    const { records, next } = this.#reads.list(filter);
    return { tasks: records.map((record) => this.#row(record)), next };
  }

  position(uuid: string): number | null {
    return this.#reads.position(uuid);
  }

  backlog(nowMs: number): LaneBacklog[] {
    return this.#reads.backlog(nowMs);
  }

  countWaiting(): { tasks: number; bytes: number } {
    return this.#reads.countWaiting();
  }

  async claim(model: string, classes: readonly string[], nowMs: number): Promise<Claim | null> {
    const record = await this.#writer.call<TaskRecord | null>("claimTask", [model, classes, nowMs]);
    if (record === null) return null;
    const task = this.#announce(this.#row(record));
    return { task, payload: this.#payload(record) };
  }

  async markRunning(uuid: string, attempt: number, trackingId: string | null, accepted: TaskAnswer): Promise<boolean> {
    const answer = answerRecord(accepted);
    const moved = await this.#writer.call<TaskRecord | null>("markRunning", [uuid, attempt, trackingId, answer]);
    return this.#moved(moved);
  }

  async requeue(uuid: string, attempt: number, notBeforeMs: number, note: string | null): Promise<boolean> {
    const move = { uuid, attempt, notBeforeMs, note, nowMs: this.#now() };
    return this.#moved(await this.#writer.call<TaskRecord | null>("requeueTask", [move]));
  }

  async finish(uuid: string, attempt: number, outcome: Outcome): Promise<boolean> {
    const end = endRecord(outcome);
    const ended = await this.#writer.call<Ended | null>(
      "finishTask",
      [uuid, attempt, end],
      transferable(end.answer?.body),
    );
    return this.#ended(ended, outcome);
  }

  async failWaiting(uuid: string, outcome: Outcome): Promise<boolean> {
    const end = endRecord(outcome);
    const ended = await this.#writer.call<Ended | null>("failWaitingTask", [uuid, end], transferable(end.answer?.body));
    return this.#ended(ended, outcome);
  }

  async expire(nowMs: number): Promise<string[]> {
    const uuids: string[] = [];
    for (let full = true; full; ) {
      const batch = await this.#writer.call<Ended[]>("expireTasks", [nowMs]);
      for (const ended of batch) {
        this.#ended(ended, null);
        uuids.push(ended.record.uuid);
      }
      full = batch.length === EXPIRE_AT_MOST;
    }
    return uuids;
  }

  nextDeadlineMs(): number | null {
    return this.#reads.nextDeadlineMs();
  }

  unfinished(): Claim[] {
    return this.#reads.unfinished().map((record) => ({ task: this.#row(record), payload: this.#payload(record) }));
  }

  attempts(uuid: string): AttemptRecord[] {
    return this.#reads.attempts(uuid);
  }

  depths(): ReturnType<TaskStore["depths"]> {
    return this.#reads.depths();
  }

  namesBlob(key: string): boolean {
    return this.#reads.namesBlob(key);
  }

  async probe(): Promise<void> {
    await this.#writer.call("probeStore", [this.#now()]);
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    await this.#writer.close();
    this.#options.database.close();
  }

  #row(record: TaskRecord): TaskRow {
    return taskRow(record, (seq) => this.#reads.inlineAnswer(seq)!);
  }

  #inserted({ record, replayed }: { record: TaskRecord; replayed: boolean }): { task: TaskRow; replayed: boolean } {
    const task = this.#row(record);
    return { task: replayed ? task : this.#announce(task), replayed };
  }

  #payload(record: TaskRecord): StoredBody {
    const sha256 = record.payload_sha256;
    return record.payload_key === null
      ? { kind: "inline", bytes: this.#reads.inlinePayload(record.seq)!, sha256 }
      : { kind: "blob", key: record.payload_key, size: record.payload_size, sha256 };
  }

  #announce(row: TaskRow): TaskRow {
    for (const listener of this.#listeners) listener(row);
    return row;
  }

  #moved(record: TaskRecord | null): boolean {
    if (record !== null) this.#announce(this.#row(record));
    return record !== null;
  }

  #ended(ended: Ended | null, outcome: Outcome | null): boolean {
    if (ended === null) {
      this.#release(outcome?.answer ?? null);
      return false;
    }
    this.#announce(this.#row(ended.record));
    if (ended.releasedKey !== null) this.#options.releaseBlob(ended.releasedKey);
    return true;
  }

  #release(answer: TaskAnswer | null): void {
    if (answer?.body.kind === "blob") this.#options.releaseBlob(answer.body.key);
  }
}

function endRecord(outcome: Outcome): EndRecord {
  return { ...outcome, answer: outcome.answer === null ? null : answerRecord(outcome.answer) };
}

function transferable(body: BodyColumns | undefined): ArrayBuffer[] {
  return body === undefined || body.bytes === null ? [] : [body.bytes.buffer as ArrayBuffer];
}
