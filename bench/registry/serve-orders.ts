/** A server's side of the benchmark: it says its port, and how long its event loop stood still. */
import { readFileSync } from "node:fs";
import type { ServerOrder, ServerReady, ServerState } from "./messages.js";

const TICK_MS = 1;
/** Of the main thread, in nanoseconds: at work, and ready to work but waiting for a core. Linux alone. */
const SCHEDULED = "/proc/self/schedstat";

function readWaitedMs(): number {
  try {
    return Number(readFileSync(SCHEDULED, "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** The longest time between two ticks, less the time in which others had the core: on a busy machine that says nothing of the server. */
class Pauses {
  #longestMs = 0;
  #tickMs = performance.now();
  #waitedMs = readWaitedMs();

  constructor() {
    setInterval(() => this.#tick(), TICK_MS).unref();
  }

  begin(): void {
    this.#longestMs = 0;
  }

  get longestMs(): number {
    return this.#longestMs;
  }

  #tick(): void {
    const nowMs = performance.now();
    const waitedMs = readWaitedMs();
    const pauseMs = nowMs - this.#tickMs - (waitedMs - this.#waitedMs) - TICK_MS;
    this.#longestMs = Math.max(this.#longestMs, pauseMs);
    this.#tickMs = nowMs;
    this.#waitedMs = waitedMs;
  }
}

export function serveOrders(port: number): void {
  const pauses = new Pauses();
  process.on("message", ({ type }: ServerOrder) => {
    if (type === "begin") pauses.begin();
    const { user, system } = process.cpuUsage();
    process.send?.({ pauseMs: pauses.longestMs, cpuSeconds: (user + system) / 1e6 } satisfies ServerState);
  });
  process.send?.({ port } satisfies ServerReady);
}
