/** What the main thread and the writer's thread say to each other. */
import type { ErrorCode } from "../../core/contract/errors.js";
import type { Database } from "./open.js";

/** A named write. Runs inside the batch's transaction, in a savepoint of its own: what it throws undoes it alone. */
// biome-ignore lint/suspicious/noExplicitAny: arguments are typed by the module that names the write and calls it
export type Write = (...args: any[]) => unknown;

/** A module of writes exports this under the name `prepareWrites`; it runs once per connection, in the thread. */
export type PrepareWrites = (db: Database) => Record<string, Write>;

export interface WriterSetup {
  readonly file: string;
  /** URLs of modules that export `prepareWrites`; their names share one space. */
  readonly modules: readonly string[];
  readonly failpoints: string | null;
}

export interface WriteCall {
  readonly id: number;
  readonly write: string;
  readonly args: readonly unknown[];
}

/** An error without its stack, fit for a thread's edge. */
export interface WriteFault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** The cause in one line, for the log. */
  readonly cause: string | undefined;
}

export type WriteReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly fault: WriteFault };
