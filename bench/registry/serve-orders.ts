/** A server's side of the benchmark: it says its port, and how long its event loop stood still. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { ServerOrder, ServerReady, ServerState } from "./messages.js";

const NANOSECONDS = 1e6;

export function serveOrders(port: number): void {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  process.on("message", ({ type }: ServerOrder) => {
    if (type === "begin") delays.reset();
    // The timer behind it counts its own distance of a millisecond in.
    process.send?.({ pauseMs: Math.max(0, delays.max / NANOSECONDS - 1) } satisfies ServerState);
  });
  process.send?.({ port } satisfies ServerReady);
}
