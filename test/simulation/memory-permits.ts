/** Permits without timers: the order and the caps of `sidecar/scheduler/limiter.ts`, held by its contract (`test/contract/permits.ts`). */
import { SluiceError } from "../../core/contract/errors.js";
import type { GivesPermits, Permit, PermitRequest, PermitSettings } from "../../sidecar/scheduler/limiter.js";

/** Lets in so many at a time, the most urgent first, then who came first. */
class Slots {
  readonly #waiting: { priority: number; enter: () => void; refuse: (cause: Error) => void }[] = [];
  #taken = 0;
  max: number;

  constructor(max: number) {
    this.max = max;
  }

  /** Resolves with the function that leaves again. */
  enter(priority: number): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const at = this.#waiting.findIndex((each) => each.priority > priority);
      const enter = () => resolve(this.#leaveOnce());
      this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, { priority, enter, refuse: reject });
      this.letIn();
    });
  }

  letIn(): void {
    while (this.#taken < this.max && this.#waiting.length > 0) {
      this.#taken += 1;
      this.#waiting.shift()!.enter();
    }
  }

  stop(): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(stopping());
  }

  #leaveOnce(): () => void {
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      this.#taken -= 1;
      this.letIn();
    };
  }
}

function stopping(): SluiceError {
  return new SluiceError("SHUTTING_DOWN", "Sluice is stopping");
}

export class MemoryPermits implements GivesPermits {
  readonly #all: Slots;
  readonly #slots = new Map<string, Slots>();
  /** Between two limiters: Bottleneck's needs a turn of the event loop. */
  readonly #pause: () => Promise<void>;
  #isStopped = false;

  constructor(settings: PermitSettings, pause: () => Promise<void>) {
    this.#all = new Slots(settings.maxConcurrentTasks);
    this.#pause = pause;
  }

  async request(request: PermitRequest, signal?: AbortSignal): Promise<Permit> {
    if (this.#isStopped) throw stopping();
    const { priority, model } = request;
    const held: (() => void)[] = [];
    const giveBack = (from = 0) => {
      for (const leave of held.splice(from).reverse()) leave();
    };
    try {
      if (request.training) held.push(await this.#slotsOf(`training/${model}`, 1).enter(priority));
      const beforeCall = held.length;
      held.push(await this.#slotsOf(`calls/${model}`, request.concurrency).enter(priority));
      await this.#pause();
      held.push(await this.#all.enter(priority));
      await this.#pause();
      signal?.throwIfAborted();
      return {
        release: () => giveBack(),
        releaseCall: () => giveBack(beforeCall),
        releaseUnused: () => giveBack(),
        refused() {},
      };
    } catch (cause) {
      giveBack();
      throw cause;
    }
  }

  #slotsOf(id: string, max: number): Slots {
    const slots = this.#slots.get(id) ?? new Slots(max);
    this.#slots.set(id, slots);
    slots.max = max;
    return slots;
  }

  async reconfigure(settings: PermitSettings): Promise<void> {
    this.#all.max = settings.maxConcurrentTasks;
    this.#all.letIn();
  }

  hasBudget(): boolean {
    return false;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const slots of [this.#all, ...this.#slots.values()]) slots.stop();
  }
}
