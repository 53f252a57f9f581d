/** What is known at a moment of a history, from its log alone. The rules ask it; it judges nothing. */
import type { Facts, Heard, LogEntry, Status } from "./log-entry.js";

export interface KnownTask {
  readonly uuid: string;
  readonly model: string;
  readonly training: boolean;
  readonly held: boolean;
  readonly class: string;
  readonly tenant: string;
  status: Status | null;
  fence: number;
  priority: number;
  createdAtMs: number;
  deadlineAtMs: number | null;
  notBeforeMs: number;
  /** Its place among all that arrived. */
  order: number;
  /** When it came into its present state. */
  since: number;
  isPromised: boolean;
  cancelAsked: boolean;
  /** The process that passed its cancellation on to the model server, or 0. */
  cancelledBy: number;
  isDamaged: boolean;
  readonly calls: KnownCall[];
  readonly runs: KnownRun[];
}

export interface KnownCall {
  readonly task: KnownTask;
  readonly attempt: number;
  /** The process that sent it. */
  readonly epoch: number;
  heard: Heard | null;
  heardAt: number;
  /** Of the answer that was heard. */
  status: number;
  retryAfterMs: number;
  /** What the model server really gave. */
  text: string | null;
  /** What was heard sent the task back: no crash, stop or failing disk came in between. */
  isSettled: boolean;
}

export interface KnownRun {
  readonly id: string;
  readonly model: string;
  readonly task: KnownTask;
  readonly attempt: number;
  end: "FINISHED" | "FAILED" | "KILLED" | "died" | null;
  isCancelled: boolean;
  /** Its server has died since, or was out of sight: nobody can be asked for it. */
  isForgotten: boolean;
}

export class Ledger {
  facts: Facts = { models: [], maxConcurrentTasks: 0, ageingMs: 0, weights: {} };
  readonly tasks = new Map<string, KnownTask>();
  readonly calls = new Map<number, KnownCall>();
  readonly runs = new Map<string, KnownRun>();
  /** Leases held by the newest process, by model. */
  readonly leases = new Map<string, Set<string>>();
  /** The newest process. */
  epoch = 0;
  /** Since when nothing has hindered the present process; infinite while something does. */
  calmSince = 0;
  lastJump = Number.NEGATIVE_INFINITY;
  lastDiskFault = Number.NEGATIVE_INFINITY;
  lastHandover = Number.NEGATIVE_INFINITY;
  /** When a task of a model was `running` last, other than now. */
  readonly lastRunEnd = new Map<string, number>();
  /** When a model said last that it is busy. */
  readonly lastBusy = new Map<string, number>();
  readonly #hindrances = new Set<string>(["stopped"]);
  #arrived = 0;

  get isStopping(): boolean {
    return this.#hindrances.has("stopped");
  }

  taskOf(entry: { readonly task: string }): KnownTask {
    return this.tasks.get(entry.task)!;
  }

  /** Calls the present process waits for. */
  openCalls(): KnownCall[] {
    return [...this.calls.values()].filter((call) => call.heard === null && call.epoch === this.epoch);
  }

  ofModel(model: string, status: Status): KnownTask[] {
    return [...this.tasks.values()].filter((task) => task.model === model && task.status === status);
  }

  leaseCount(model: string): number {
    return this.leases.get(model)?.size ?? 0;
  }

  apply(entry: LogEntry): void {
    switch (entry.type) {
      case "world":
        this.facts = entry.facts;
        return;
      case "submitted":
        this.#submitted(entry);
        return;
      case "commit":
        this.#committed(entry);
        return;
      case "promised":
        this.taskOf(entry).isPromised = true;
        return;
      case "cancel-asked":
        this.taskOf(entry).cancelAsked = true;
        return;
      case "cancel-answered":
        if (entry.how === "accepted") this.taskOf(entry).cancelledBy = this.epoch;
        return;
      case "damaged":
        this.taskOf(entry).isDamaged = true;
        return;
      case "sent":
      case "served":
      case "heard":
        this.#call(entry);
        return;
      case "run-accepted": {
        const { task, attempt } = this.calls.get(entry.call)!;
        const run: KnownRun = {
          id: entry.run,
          model: entry.model,
          task,
          attempt,
          end: null,
          isCancelled: false,
          isForgotten: false,
        };
        this.runs.set(entry.run, run);
        task.runs.push(run);
        return;
      }
      case "run-ended":
        this.runs.get(entry.run)!.end = entry.how;
        return;
      case "run-cancelled":
        this.runs.get(entry.run)!.isCancelled = true;
        return;
      case "server-down":
      case "vanished":
        for (const run of this.runs.values()) if (run.model === entry.model) run.isForgotten = true;
        return;
      case "lease":
        this.#lease(entry);
        return;
      default:
        this.#process(entry);
    }
  }

  #submitted({ task: uuid, model, training, held, class: name, tenant }: LogEntry & { type: "submitted" }): void {
    this.tasks.set(uuid, {
      uuid,
      model,
      training,
      held,
      class: name,
      tenant: tenant ?? "",
      status: null,
      fence: 0,
      priority: 0,
      createdAtMs: 0,
      deadlineAtMs: null,
      notBeforeMs: 0,
      order: 0,
      since: 0,
      isPromised: false,
      cancelAsked: false,
      cancelledBy: 0,
      isDamaged: false,
      calls: [],
      runs: [],
    });
  }

  #committed(entry: LogEntry & { type: "commit" }): void {
    const task = this.taskOf(entry);
    if (entry.from === null) task.order = ++this.#arrived;
    const call = task.calls.at(-1);
    if (entry.to === "pending" && call?.attempt === entry.attempt && call.heard !== null && call.epoch === this.epoch)
      call.isSettled = call.heardAt > this.lastDiskFault;
    if (entry.from === "running") this.lastRunEnd.set(task.model, entry.t);
    task.status = entry.to;
    task.fence = entry.fence;
    task.priority = entry.priority;
    task.createdAtMs = entry.createdAtMs;
    task.deadlineAtMs = entry.deadlineAtMs;
    task.notBeforeMs = entry.notBeforeMs;
    task.since = entry.t;
  }

  #call(entry: LogEntry & { type: "sent" | "served" | "heard" }): void {
    if (entry.type === "sent") {
      const task = this.taskOf(entry);
      const { attempt } = entry;
      const unheard = { heard: null, heardAt: 0, status: 0, retryAfterMs: 0, text: null, isSettled: false };
      const call: KnownCall = { task, attempt, epoch: entry.process, ...unheard };
      this.calls.set(entry.call, call);
      task.calls.push(call);
      return;
    }
    const call = this.calls.get(entry.call)!;
    if (entry.type === "heard" && entry.how === "busy") this.lastBusy.set(call.task.model, entry.t);
    if (entry.type === "served") call.text = entry.text;
    else
      Object.assign(call, {
        heard: entry.how,
        heardAt: entry.t,
        status: entry.status,
        retryAfterMs: entry.retryAfterMs,
      });
  }

  #lease({ process, model, holder, taken }: LogEntry & { type: "lease" }): void {
    if (process !== this.epoch) return;
    const held = this.leases.get(model) ?? new Set();
    this.leases.set(model, held);
    if (taken) held.add(holder);
    else held.delete(holder);
  }

  #process(entry: LogEntry): void {
    switch (entry.type) {
      case "start":
      case "handover":
        this.epoch += 1;
        this.leases.clear();
        if (entry.type === "handover") this.lastHandover = entry.t;
        this.#hindrances.delete("paused");
        this.#unhinder("stopped", entry.t);
        return;
      case "crash":
        this.leases.clear();
        this.#hinder("stopped");
        return;
      case "stopping":
      case "stopped":
        this.#hinder("stopped");
        return;
      case "pause":
        this.#hinder("paused");
        return;
      case "resume":
        this.#unhinder("paused", entry.t);
        return;
      case "disk-bad":
        this.lastDiskFault = Number.POSITIVE_INFINITY;
        this.#hinder("disk");
        return;
      case "disk-good":
      case "healed":
        if (this.lastDiskFault === Number.POSITIVE_INFINITY) this.lastDiskFault = entry.t;
        if (entry.type === "healed") this.#hindrances.delete("paused");
        this.#unhinder("disk", entry.t);
        return;
      case "jump":
        this.lastJump = entry.t;
    }
  }

  #hinder(by: string): void {
    this.#hindrances.add(by);
    this.calmSince = Number.POSITIVE_INFINITY;
  }

  #unhinder(by: string, t: number): void {
    this.#hindrances.delete(by);
    this.calmSince = this.#hindrances.size === 0 ? t : Number.POSITIVE_INFINITY;
  }
}
