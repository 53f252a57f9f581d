/** What a history's environment writes down, and all that the checker knows of it. Times: `t` never jumps, `wall` is the machine's clock. */

export interface ModelFacts {
  readonly name: string;
  readonly concurrency: number;
}

/** What is configured, told at the beginning. */
export interface Facts {
  readonly models: readonly ModelFacts[];
  readonly maxConcurrentTasks: number;
  readonly ageingMs: number;
  /** Tenants with a weight other than 1. */
  readonly weights: Readonly<Record<string, number>>;
}

export type Status = "pending" | "scheduled" | "running" | "succeeded" | "failed";

/** How a call ended for the caller. `answer` has a status. */
export type Heard = "answer" | "busy" | "refused" | "cut" | "timeout" | "protocol";

export type Happening =
  | { readonly type: "world"; readonly facts: Facts }
  | {
      readonly type: "submitted";
      readonly task: string;
      readonly model: string;
      readonly training: boolean;
      readonly held: boolean;
      readonly class: string;
      readonly tenant: string | null;
    }
  /** The client was told that its task is durable. */
  | { readonly type: "promised"; readonly task: string }
  /** A state on disk. */
  | {
      readonly type: "commit";
      readonly task: string;
      readonly from: Status | null;
      readonly to: Status;
      /** The attempt that wrote it, and the task's own. */
      readonly attempt: number;
      readonly fence: number;
      readonly reason: string | null;
      readonly priority: number;
      readonly createdAtMs: number;
      readonly deadlineAtMs: number | null;
      readonly notBeforeMs: number;
      /** Of a claim: the time it was asked with, and the classes it asked for. */
      readonly claim: { readonly nowMs: number; readonly classes: readonly string[] } | null;
      /** The final result as it stands on disk: null where there is none, undefined where its file is missing. */
      readonly result: string | null | undefined;
    }
  /** An answer of an attempt that came too late, or a second one. */
  | { readonly type: "late"; readonly task: string; readonly attempt: number }
  /** `process` counts the sidecar's processes: two may be there at a time. */
  | {
      readonly type: "sent";
      readonly process: number;
      readonly call: number;
      readonly task: string;
      readonly attempt: number;
    }
  /** The model server's work for a call, as the server itself knows it. */
  | { readonly type: "served"; readonly call: number; readonly status: number; readonly text: string }
  | {
      readonly type: "heard";
      readonly call: number;
      readonly how: Heard;
      readonly status: number;
      readonly retryAfterMs: number;
    }
  | { readonly type: "run-accepted"; readonly run: string; readonly call: number; readonly model: string }
  | { readonly type: "run-ended"; readonly run: string; readonly how: "FINISHED" | "FAILED" | "KILLED" | "died" }
  /** The model server took a cancellation of this run. */
  | { readonly type: "run-cancelled"; readonly run: string }
  | {
      readonly type: "lease";
      readonly process: number;
      readonly model: string;
      readonly holder: string;
      readonly taken: boolean;
    }
  /** We asked for a model server's end. `decided` is false where Sluice itself was stopped. */
  | { readonly type: "server-stop"; readonly model: string; readonly decided: boolean; readonly wasReady: boolean }
  | { readonly type: "server-up" | "server-down" | "start-failed" | "vanished" | "appeared"; readonly model: string }
  | { readonly type: "cancel-asked"; readonly task: string }
  | { readonly type: "cancel-answered"; readonly task: string; readonly how: "dequeued" | "accepted" | "refused" }
  /** `handover`: a new process began while the old one was still letting go. */
  | { readonly type: "crash" | "start" | "handover" | "stopping" | "stopped" | "pause" | "resume" }
  | { readonly type: "jump"; readonly byMs: number }
  /** The store or its disk refuses writes, or takes them again. */
  | { readonly type: "disk-bad" | "disk-good" | "write-refused" }
  | { readonly type: "damaged"; readonly task: string }
  /** No more faults from here on. */
  | { readonly type: "healed" }
  | { readonly type: "end" };

export type LogEntry = Happening & { readonly t: number; readonly wall: number };
