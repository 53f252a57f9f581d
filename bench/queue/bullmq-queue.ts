/** BullMQ on a Redis that keeps what it is told, with a worker in this process whose job does nothing. */
import { Queue, Worker } from "bullmq";
import { Histogram } from "../load/histogram.js";
import { type QueuePeer, WorkClock } from "./peer.js";

const BULK = 1_000;
const DATA = { text: "Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958" };
/** Neither result nor history is removed: Sluice keeps them too. */
const OPTIONS = { removeOnComplete: false, removeOnFail: false };

export async function openBullQueue(port: number): Promise<QueuePeer> {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
  const queue = new Queue("bench", { connection, defaultJobOptions: OPTIONS });
  await queue.waitUntilReady();
  return {
    name: "BullMQ",
    async fill(count) {
      for (let left = count; left > 0; left -= BULK) {
        await queue.addBulk(Array.from({ length: Math.min(BULK, left) }, () => ({ name: "note", data: DATA })));
      }
    },
    submit: async () => {
      await queue.add("note", DATA);
    },
    async work(count, concurrency) {
      const [dispatch, finish] = [new Histogram(), new Histogram()];
      const clock = new WorkClock(dispatch, finish);
      let kept = 0;
      const worker = new Worker(
        "bench",
        async (job) => {
          clock.worked(job.id!);
          return { annotations: [] };
        },
        { connection, concurrency, autorun: false },
      );
      await worker.waitUntilReady();
      const startedMs = performance.now();
      const done = new Promise<void>((resolve) => {
        worker.on("completed", (job) => {
          clock.kept(job.id!);
          kept += 1;
          if (kept === count) resolve();
        });
      });
      void worker.run();
      await done;
      const durationMs = performance.now() - startedMs;
      await worker.close();
      return { tasks: count, durationMs, dispatch, finish };
    },
    stop: () => queue.close(),
  };
}
