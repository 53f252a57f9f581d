/** A thread that writes, reads and hashes, so that no byte of a version costs the main event loop more than its passing by. */
import { parentPort, workerData } from "node:worker_threads";
import { armFailpoints, followArming } from "../../core/runtime/failpoints.js";
import { describeFault } from "./byte-faults.js";
import type { FromThread, ThreadSetup, ToThread } from "./byte-messages.js";
import { ThreadReader } from "./thread-reader.js";
import { ThreadWriter } from "./thread-writer.js";

const setup = workerData as ThreadSetup;
const port = parentPort!;
armFailpoints(setup.failpoints);
followArming();

const streams = new Map<number, ThreadReader | ThreadWriter>();
const slots = new Map<number, Buffer>();

function say(message: FromThread, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

port.on("message", (message: ToThread | "close") => {
  if (message === "close") {
    port.close();
    return;
  }
  if (message.type === "slot") {
    slots.set(message.slot, Buffer.from(message.memory));
    return;
  }
  const { id } = message;
  const stream = streams.get(id);
  // What arrives late for a stream that has failed is no news.
  if (message.type === "read.begin") {
    const reader = new ThreadReader(message, say);
    streams.set(id, reader);
  } else if (message.type === "write.begin") {
    const writer = new ThreadWriter(message, say);
    streams.set(id, writer);
    attempt(id, () => writer.begin());
  } else if (message.type === "end") {
    void end(id);
  } else if (stream instanceof ThreadReader) {
    if (message.type === "fill") stream.fill(message.slot, slots.get(message.slot)!);
  } else if (stream !== undefined) {
    if (message.type === "write") attempt(id, () => stream.write(message.chunks));
    else if (message.type === "sync") attempt(id, () => stream.sync(message.seal));
  }
});

/** What fails ends the stream's work; its file is the main thread's to close. */
function attempt(id: number, work: () => void | Promise<void>): void {
  const fail = (caught: unknown) => say({ type: "fault", id, fault: describeFault(caught) });
  try {
    work()?.catch(fail);
  } catch (caught) {
    streams.get(id)?.stop();
    fail(caught);
  }
}

async function end(id: number): Promise<void> {
  const stream = streams.get(id);
  streams.delete(id);
  stream?.stop();
  await stream?.idle();
  say({ type: "ended", id });
}
