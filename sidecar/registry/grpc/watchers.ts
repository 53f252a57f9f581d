/** Who waits for new versions, per model. A slow client holds one announcement, the newest; nobody holds up the others. */
import { shownId, type VersionInfo } from "../../../core/contract/registry.js";
import type { Clock } from "../../../core/runtime/clock.js";
import type { Registry, RegistryChange } from "../registry.js";
import type { ReplyStream } from "./downloads.js";
import { CallRefused, unknownModel } from "./statuses.js";
import { encodeReply, wireVersion } from "./wire.js";

/** Announced to between turns: about ten milliseconds. */
const WATCHERS_PER_TURN = 250;

interface Announcement {
  readonly versionNumber: number;
  /** Encoded once, shared by all who get it. */
  readonly reply: Buffer;
}

export class Watchers {
  readonly #byModel = new Map<string, Set<Watcher>>();
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #maxWatchers: number;
  readonly #unsubscribe: () => void;
  #count = 0;
  #isOver = false;

  constructor({ registry, clock, maxWatchers }: { registry: Registry; clock: Clock; maxWatchers: number }) {
    this.#registry = registry;
    this.#clock = clock;
    this.#maxWatchers = maxWatchers;
    this.#unsubscribe = registry.onChange((change) => this.#follow(change));
  }

  get count(): number {
    return this.#count;
  }

  /** Sends the newest version, then newer ones. Ends by failing: the model was deleted, the client went, the server stops. */
  async watch(modelId: string, replies: ReplyStream): Promise<void> {
    if (this.#isOver) throw stopping();
    if (this.#registry.model(modelId) === null) {
      throw new CallRefused("INVALID_ARGUMENT", `unknown model id [${shownId(modelId).slice(1, -1)}]`);
    }
    if (this.#count >= this.#maxWatchers) {
      throw new CallRefused("RESOURCE_EXHAUSTED", `${this.#maxWatchers} clients are waiting for versions already`);
    }
    const watcher = new Watcher(replies);
    this.#add(modelId, watcher);
    try {
      // From here on it is told; what there is already is read after that, so nothing falls between.
      const latest = this.#registry.latest(modelId);
      if (latest !== null) watcher.offer(announcement(latest));
      await watcher.ended;
    } finally {
      this.#remove(modelId, watcher);
    }
  }

  /** Ends them all with UNAVAILABLE; later ones too. */
  close(): void {
    this.#isOver = true;
    this.#unsubscribe();
    for (const watchers of this.#byModel.values()) for (const watcher of watchers) watcher.end(stopping());
  }

  #follow(change: RegistryChange): void {
    if (change.type === "version-created") void this.#announce(change.info);
    if (change.type === "model-deleted") {
      for (const watcher of this.#byModel.get(change.modelId) ?? []) watcher.end(unknownModel(change.modelId));
    }
  }

  async #announce(info: VersionInfo): Promise<void> {
    const watchers = this.#byModel.get(info.modelId);
    if (watchers === undefined) return;
    const told = announcement(info);
    let inTurn = 0;
    for (const watcher of watchers) {
      watcher.offer(told);
      inTurn += 1;
      if (inTurn % WATCHERS_PER_TURN === 0) await new Promise<void>((resolve) => this.#clock.soon(resolve));
    }
  }

  #add(modelId: string, watcher: Watcher): void {
    const watchers = this.#byModel.get(modelId) ?? new Set();
    this.#byModel.set(modelId, watchers.add(watcher));
    this.#count += 1;
  }

  #remove(modelId: string, watcher: Watcher): void {
    const watchers = this.#byModel.get(modelId);
    if (watchers?.delete(watcher)) this.#count -= 1;
    if (watchers?.size === 0) this.#byModel.delete(modelId);
  }
}

class Watcher {
  readonly ended: Promise<never>;
  readonly #replies: ReplyStream;
  #lastNumber = 0;
  #next: Announcement | null = null;
  #isSending = false;
  #fail!: (reason: CallRefused) => void;

  constructor(replies: ReplyStream) {
    this.#replies = replies;
    this.ended = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    // It may end when nobody looks any more.
    this.ended.catch(() => {});
    const leave = () => this.end(new CallRefused("CANCELLED", "the client went away"));
    replies.signal.addEventListener("abort", leave, { once: true });
    if (replies.signal.aborted) leave();
  }

  /** Sends it, once what is under way has been taken, unless something newer comes first. */
  offer(told: Announcement): void {
    if (told.versionNumber <= this.#lastNumber) return;
    this.#lastNumber = told.versionNumber;
    this.#next = told;
    if (!this.#isSending) void this.#send();
  }

  end(reason: CallRefused): void {
    this.#fail(reason);
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    try {
      for (let told = this.#next; told !== null; told = this.#next) {
        this.#next = null;
        await this.#replies.send(told.reply);
      }
      this.#isSending = false;
    } catch (error) {
      this.end(error instanceof CallRefused ? error : new CallRefused("CANCELLED", "the client went away"));
    }
  }
}

function announcement(info: VersionInfo): Announcement {
  return {
    versionNumber: info.versionNumber,
    reply: encodeReply("VersionUpdate", { version_info: wireVersion(info) }),
  };
}

function stopping(): CallRefused {
  return new CallRefused("UNAVAILABLE", "the model registry is stopping");
}
