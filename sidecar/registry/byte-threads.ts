/**
 * The threads that work on bytes, as the main thread sees them. One starts when it is first needed; one that dies takes its own streams
 * along, and the next stream gets another.
 */
import { Worker } from "node:worker_threads";
import { SluiceError } from "../../core/contract/errors.js";
import { failpointSpec } from "../../core/runtime/failpoints.js";
import type { Logger } from "../../core/runtime/logger.js";
import { awake, settledWithin } from "../../core/runtime/within.js";
import type { FromThread, StreamMessage, ThreadSetup } from "./byte-messages.js";
import type { Slot } from "./slots.js";

/** After this a thread that hangs in a call to the disk is given up. */
const CLOSE_MS = 5_000;

type Listener = (message: FromThread) => void;
/** Without its stream's id. */
type Untagged<Message> = Message extends unknown ? Omit<Message, "id"> : never;

/** What a message speaks of. */
export interface Handed {
  /** Shared; the message bears its key. */
  readonly slot?: Slot;
  /** Given away. */
  readonly transfer?: readonly ArrayBuffer[];
}

export interface ThreadStream {
  post(message: Untagged<StreamMessage>, memory?: Handed): void;
  /** Resolves when the thread has let go of the stream's file, by its death at the latest. Idempotent. */
  end(): Promise<void>;
}

class ByteThread {
  readonly #worker: Worker;
  readonly #listeners = new Map<number, Listener>();
  /** Slots it knows. */
  readonly #slots = new Set<number>();
  readonly exited: Promise<void>;
  #isAlive = true;

  constructor(logger: Logger) {
    const setup: ThreadSetup = { failpoints: failpointSpec() };
    this.#worker = new Worker(new URL("./byte-thread.js", import.meta.url), { workerData: setup });
    this.#worker.on("message", (message: FromThread) => this.#listeners.get(message.id)?.(message));
    this.#worker.on("error", (err) => logger.error({ event: "byte_thread_died", err }, "a thread of the archive died"));
    this.exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#die();
        resolve();
      });
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get streams(): number {
    return this.#listeners.size;
  }

  attach(id: number, listener: Listener): ThreadStream {
    let ending: Promise<void> | undefined;
    let ended = () => {};
    this.#listeners.set(id, (message) => {
      if (message.type !== "ended") return listener(message);
      this.#listeners.delete(id);
      ended();
    });
    return {
      post: (message, { slot, transfer = [] } = {}) => {
        if (slot !== undefined) this.#introduce(slot);
        this.#worker.postMessage({ ...message, id }, transfer);
      },
      end: () => {
        ending ??= new Promise((resolve) => {
          ended = resolve;
          if (this.#listeners.has(id)) this.#worker.postMessage({ type: "end", id });
          else resolve();
        });
        return ending;
      },
    };
  }

  async close(): Promise<void> {
    if (this.#isAlive) this.#worker.postMessage("close");
    await settledWithin(awake, CLOSE_MS, this.exited, () => void this.#worker.terminate());
  }

  #introduce({ key, memory }: Slot): void {
    if (this.#slots.has(key)) return;
    this.#slots.add(key);
    this.#worker.postMessage({ type: "slot", slot: key, memory });
  }

  #die(): void {
    this.#isAlive = false;
    for (const [id, listener] of [...this.#listeners]) {
      listener({
        type: "fault",
        id,
        fault: { code: "STORE_FAILED", message: "a thread of the registry's archive has died", cause: null },
      });
      listener({ type: "ended", id });
    }
  }
}

export class ByteThreads {
  readonly #logger: Logger;
  readonly #threads: (ByteThread | null)[];
  #nextId = 1;
  #closed = false;

  constructor(count: number, logger: Logger) {
    this.#logger = logger;
    this.#threads = new Array<ByteThread | null>(count).fill(null);
  }

  /** To the thread with the fewest streams. The listener's last message may be a fault. */
  attach(listener: Listener): ThreadStream {
    if (this.#closed) throw new SluiceError("SHUTTING_DOWN", "the registry's archive is closed");
    let best = 0;
    for (const index of this.#threads.keys()) {
      if (this.#load(index) < this.#load(best)) best = index;
    }
    let thread = this.#threads[best] ?? null;
    if (thread === null || !thread.isAlive) thread = this.#threads[best] = new ByteThread(this.#logger);
    return thread.attach(this.#nextId++, listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map((thread) => thread?.close()));
  }

  /** One that does not run yet comes after one that runs idle. */
  #load(index: number): number {
    const thread = this.#threads[index];
    return thread?.isAlive ? thread.streams : 0.5;
  }
}
