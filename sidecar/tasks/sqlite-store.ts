/** Tasks in SQLite: reads on this thread, writes through the writer's thread, events after each commit. */
import { failpoint } from "../../core/runtime/failpoints.js";
import type { Database } from "../db/open.js";
import type { Writer } from "../db/writer.js";
import type { QueueBounds } from "./queue-bounds.js";
import { SqliteReads } from "./sqlite-reads.js";
import { type Claimed, type Ended, type EndRecord, EXPIRE_AT_MOST } from "./sqlite-writes.js";
import type {
  AttemptRecord,
  Claim,
  LaneBacklog,
  ModelNeed,
  NewTask,
  OrderSettings,
  Outcome,
  Requeue,
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
  /** What orders the waiting, read at every insert and claim. Default: ageing 60 s, all tenants alike. */
  readonly order?: () => OrderSettings;
  /** A blob no row names any more; called after the commit that let go of it. */
  readonly releaseBlob: (key: string) => void;
  /** A listener threw; the change it was told of stands. */
  readonly onListenerFault?: (cause: unknown) => void;
  /** Epoch milliseconds; default the system's. */
  readonly now?: () => number;
}

const DEFAULT_ORDER: OrderSettings = { ageingMs: 60_000, weightOf: () => 1 };

type Listener = (task: TaskRow) => void;

export class SqliteTaskStore implements TaskStore {
  readonly #options: SqliteTaskStoreOptions;
  readonly #writer: Writer;
  readonly #reads: SqliteReads;
  readonly #listeners = new Set<Listener>();
  readonly #now: () => number;
  readonly #order: () => OrderSettings;

  constructor(options: SqliteTaskStoreOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.#reads = new SqliteReads(options.database);
    this.#now = options.now ?? Date.now;
    this.#order = options.order ?? (() => DEFAULT_ORDER);
  }

  async insert(task: NewTask): Promise<{ task: TaskRow; replayed: boolean }> {
    const record = newTaskRecord(task);
    const written = await this.#writer.call<{ record: TaskRecord; replayed: boolean }>(
      "insertTask",
      [record, { bounds: this.#options.bounds(), weight: this.#order().weightOf(task.tenant) }],
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
    const claimed = await this.#writer.call<Claimed | null>("claimTask", [
      { model, classes },
      { nowMs, ageingMs: this.#order().ageingMs },
    ]);
    if (claimed === null) return null;
    const { record, bytes } = claimed;
    const task = this.#announce(this.#row(record));
    return { task, payload: payloadOf(record, () => Buffer.from(bytes!.buffer, bytes!.byteOffset, bytes!.byteLength)) };
  }

  async markRunning(uuid: string, attempt: number, trackingId: string | null, accepted: TaskAnswer): Promise<boolean> {
    const answer = answerRecord(accepted);
    const moved = await this.#writer.call<TaskRecord | null>("markRunning", [uuid, attempt, trackingId, answer]);
    if (moved !== null) this.#announce(this.#row(moved, accepted.body));
    return moved !== null;
  }

  async markCancelAsked(uuid: string, attempt: number, askedAtMs: number | null): Promise<boolean> {
    return this.#moved(await this.#writer.call<TaskRecord | null>("markCancelAsked", [uuid, attempt, askedAtMs]));
  }

  async requeue(uuid: string, attempt: number, notBeforeMs: number, why: Requeue | null): Promise<boolean> {
    const move = { uuid, attempt, notBeforeMs, why, nowMs: this.#now() };
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

  needOf(model: string): ModelNeed {
    return this.#reads.needOf(model);
  }

  unfinished(): Claim[] {
    return this.#reads.unfinished().map((record) => ({
      task: this.#row(record),
      payload: payloadOf(record, () => this.#reads.inlinePayload(record.seq)!),
    }));
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

  /** @param known its answer's body, where it is in memory: what is committed must not depend on a read */
  #row(record: TaskRecord, known?: StoredBody): TaskRow {
    return taskRow(record, (seq) => (known?.kind === "inline" ? known.bytes : this.#reads.inlineAnswer(seq)!));
  }

  #inserted({ record, replayed }: { record: TaskRecord; replayed: boolean }): { task: TaskRow; replayed: boolean } {
    const task = this.#row(record);
    return { task: replayed ? task : this.#announce(task), replayed };
  }

  /** After the commit: a listener that fails must not make a write look undone, it would be tried again. */
  #announce(row: TaskRow): TaskRow {
    for (const listener of this.#listeners) {
      try {
        listener(row);
      } catch (cause) {
        this.#options.onListenerFault?.(cause);
      }
    }
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
    failpoint("finish.before_announce");
    this.#announce(this.#row(ended.record, outcome?.answer?.body));
    if (ended.releasedKey !== null) this.#options.releaseBlob(ended.releasedKey);
    return true;
  }

  /** A refused answer's file, unless it is the task's own: an end that is written again, because its first commit was not heard of. */
  #release(answer: TaskAnswer | null): void {
    if (answer?.body.kind === "blob" && !this.namesBlob(answer.body.key)) this.#options.releaseBlob(answer.body.key);
  }
}

function endRecord(outcome: Outcome): EndRecord {
  return { ...outcome, answer: outcome.answer === null ? null : answerRecord(outcome.answer) };
}

function payloadOf(record: TaskRecord, inlineBytes: () => Buffer): StoredBody {
  const { payload_key: key, payload_size: size, payload_sha256: sha256 } = record;
  return key === null ? { kind: "inline", bytes: inlineBytes(), sha256 } : { kind: "blob", key, size, sha256 };
}

function transferable(body: BodyColumns | undefined): ArrayBuffer[] {
  return body === undefined || body.bytes === null ? [] : [body.bytes.buffer as ArrayBuffer];
}
