/** The main thread's side of the writer: a call goes over as a message, its promise settles once the commit is on disk (or failed). */
import type { TransferListItem } from "node:worker_threads";
import { Worker } from "node:worker_threads";
import { SluiceError } from "../../core/contract/errors.js";
import { failpointSpec } from "../../core/runtime/failpoints.js";
import type { WriteReply, WriterSetup } from "./writer-messages.js";

/** Calls that may wait for the disk at a time; above it the store refuses instead of growing. */
const MAX_PENDING_CALLS = 20_000;

export interface WriterOptions {
  readonly file: string;
  /** Modules that export `prepareWrites`. */
  readonly modules: readonly URL[];
  /**
   * The thread is dead and will not come back: everything durable is safe, the process should end (non-zero) and be restarted.
   * Default: the error is thrown where nothing catches it.
   */
  readonly onDeath?: (error: Error) => void;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: SluiceError) => void;
}

export class Writer {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #onDeath: (error: Error) => void;
  #nextId = 1;
  #ended: SluiceError | null = null;
  #closing: Promise<void> | undefined;

  private constructor(worker: Worker, onDeath: (error: Error) => void) {
    this.#worker = worker;
    this.#onDeath = onDeath;
    worker.on("message", (replies: WriteReply[]) => this.#settle(replies));
    worker.on("error", (error) => this.#die(error));
    worker.on("exit", () => this.#die(new Error("the writer's thread ended")));
  }

  /** Starts the thread; resolves when it has opened the (migrated) database. */
  static async open(options: WriterOptions): Promise<Writer> {
    const setup: WriterSetup = {
      file: options.file,
      modules: options.modules.map((url) => url.href),
      failpoints: failpointSpec(),
    };
    const worker = new Worker(new URL("./writer-thread.js", import.meta.url), { workerData: setup });
    await new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.once("message", () => {
        worker.off("error", reject);
        resolve();
      });
    });
    return new Writer(
      worker,
      options.onDeath ??
        ((error) => {
          setImmediate(() => {
            throw error;
          });
        }),
    );
  }

  /**
   * Runs a named write.
   * @param transfer buffers among the arguments that are handed over instead of copied
   * @throws what the write threw; DISK_FULL or STORE_FAILED when it could not be made durable: then nothing of it was
   */
  call<Value>(write: string, args: readonly unknown[], transfer: readonly TransferListItem[] = []): Promise<Value> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended);
      if (this.#pending.size >= MAX_PENDING_CALLS) {
        return reject(
          new SluiceError("STORE_FAILED", "too many writes wait for the data folder's disk", { retryAfterMs: 5_000 }),
        );
      }
      const id = this.#nextId++;
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ id, write, args }, transfer);
    });
  }

  /** Writes what is queued, then ends the thread. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      if (this.#ended !== null) return resolve();
      this.#ended = new SluiceError("SHUTTING_DOWN", "the database is closed");
      this.#worker.once("exit", () => resolve());
      this.#worker.postMessage("close");
    });
    return this.#closing;
  }

  #settle(replies: readonly WriteReply[]): void {
    for (const reply of replies) {
      const pending = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      if (pending === undefined) continue;
      if ("value" in reply) pending.resolve(reply.value);
      else pending.reject(rebuild(reply.fault));
    }
  }

  #die(cause: Error): void {
    const closing = this.#closing !== undefined;
    if (!closing && this.#ended !== null) return;
    this.#ended ??= new SluiceError("STORE_FAILED", "the database's writer has died", { cause });
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
    if (!closing) this.#onDeath(this.#ended);
  }
}

function rebuild(fault: Extract<WriteReply, { fault: unknown }>["fault"]): SluiceError {
  return new SluiceError(fault.code, fault.message, {
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
    ...(fault.cause === undefined ? {} : { cause: new Error(fault.cause) }),
  });
}
