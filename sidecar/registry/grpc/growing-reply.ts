/** Replies that may be long: encoded in slices, with turns between for everybody else, within what all of them may hold together. */
import type { Clock } from "../../../core/runtime/clock.js";
import { CallRefused } from "./statuses.js";
import { encodeReply, type Method } from "./wire.js";

/** Items per slice: at 256 KiB of user data each about ten milliseconds. */
export const SLICE_ITEMS = 50;

/** Replies up to this find room even when long ones that nobody takes have filled theirs. */
const SHORT_REPLY_BYTES = 64 * 1024;
/** Of the limit, for all replies longer than that. */
const LONG_SHARE = 0.75;

/** Bytes of listings that wait to be taken by their clients. */
export class ReplyBudget {
  #takenBytes = 0;

  constructor(readonly limitBytes: number) {}

  /** @param replyBytes of the whole reply, so far and with these @throws RESOURCE_EXHAUSTED */
  take(bytes: number, replyBytes: number): void {
    const share = replyBytes > SHORT_REPLY_BYTES ? LONG_SHARE : 1;
    if (this.#takenBytes + bytes > this.limitBytes * share) {
      throw new CallRefused("RESOURCE_EXHAUSTED", "the reply is too long for now; ask for it in pages, or try again");
    }
    this.#takenBytes += bytes;
  }

  give(bytes: number): void {
    this.#takenBytes -= bytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }
}

export interface ReplyRoom {
  readonly budget: ReplyBudget;
  readonly clock: Clock;
  /** Aborts when the call is over, however it ended: until then its reply may be in memory. */
  readonly signal: AbortSignal;
}

/** Parts of one reply message, one after the other: repeated fields of encoded messages add up when they are joined. */
export class GrowingReply {
  readonly #method: Method;
  readonly #room: ReplyRoom;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(method: Method, room: ReplyRoom) {
    this.#method = method;
    this.#room = room;
    const giveBack = () => room.budget.give(this.#bytes);
    room.signal.addEventListener("abort", giveBack, { once: true });
  }

  /** Resolves a turn later; false: nobody wants the rest. @throws RESOURCE_EXHAUSTED */
  async add(part: object): Promise<boolean> {
    this.#push(part);
    await new Promise<void>((resolve) => this.#room.clock.soon(resolve));
    return !this.#room.signal.aborted;
  }

  end(part: object): Buffer {
    this.#push(part);
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
  }

  #push(part: object): void {
    if (this.#room.signal.aborted) throw new CallRefused("CANCELLED", "the client went away");
    const bytes = encodeReply(this.#method, part);
    this.#room.budget.take(bytes.length, this.#bytes + bytes.length);
    this.#bytes += bytes.length;
    this.#parts.push(bytes);
  }
}
