/** What all parts of one history share: its time, its chance, its log, and what lies on the disk. */
import { SluiceError } from "../../core/contract/errors.js";
import type { StoredBody } from "../../sidecar/tasks/store.js";
import type { Happening, LogEntry } from "./log-entry.js";
import { type Commit, MemoryTables } from "./memory-tables.js";
import type { Plan } from "./plan.js";
import { Random } from "./random.js";
import { VirtualClock } from "./virtual-clock.js";

export class World {
  readonly clock = new VirtualClock();
  readonly log: LogEntry[] = [];
  readonly plan: Plan;
  /** For what happens on the way; the plan was drawn from one of its own. */
  readonly random: Random;
  readonly tables = new MemoryTables({
    committed: (commit) => this.#tellCommit(commit),
    refused: (task, attempt) => this.tell({ type: "late", task, attempt }),
  });
  /** Bodies as files. */
  readonly blobs = new Map<string, Buffer>();
  /** Why writes fail now; null while they do not. */
  diskFault: "STORE_FAILED" | "DISK_FULL" | null = null;
  isHealed = false;
  /** The number of the process that owns the store. */
  newestProcess = 0;
  /** Hears what the code under test logs as an error. */
  onError: ((fields: object, message: string) => void) | null = null;
  #calls = 0;
  #blobs = 0;
  #holders = 0;

  constructor(plan: Plan, seed: number) {
    this.plan = plan;
    this.random = new Random(seed ^ 0x5bd1e995);
  }

  tell(happening: Happening): void {
    this.log.push({ t: this.clock.elapsed(), wall: this.clock.now(), ...happening });
  }

  nextCall(): number {
    return ++this.#calls;
  }

  nextProcess(): number {
    return ++this.newestProcess;
  }

  nextHolder(): number {
    return ++this.#holders;
  }

  nextBlobKey(): string {
    return `blob-${++this.#blobs}`;
  }

  /** @throws while the disk is bad */
  refuseWhileBad(): void {
    if (this.diskFault !== null) throw new SluiceError(this.diskFault, "the simulated disk refuses writes");
  }

  /** The bytes of a body as text; undefined where its file is missing. */
  textOf(body: StoredBody): string | undefined {
    return (body.kind === "inline" ? body.bytes : this.blobs.get(body.key))?.toString("utf8");
  }

  #tellCommit({ from, row, attempt, claim }: Commit): void {
    const isFinal = row.status === "succeeded" || row.status === "failed";
    this.tell({
      type: "commit",
      task: row.uuid,
      from,
      to: row.status,
      attempt,
      fence: row.attempt,
      reason: row.reason,
      priority: row.priority,
      createdAtMs: row.createdAtMs,
      deadlineAtMs: row.deadlineAtMs,
      notBeforeMs: row.notBeforeMs,
      claim,
      result: isFinal && row.answer !== null ? this.textOf(row.answer.body) : null,
    });
  }
}
