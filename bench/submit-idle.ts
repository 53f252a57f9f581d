/** With nothing else to do: from the moment a client sends a task to the moment the model server sees it. */
import { Connection, type Outcome } from "./load/connection.js";
import { Histogram } from "./load/histogram.js";
import { ModelServer } from "./peers/model-server.js";
import { startSluice } from "./peers/sluice.js";

/** The first tasks pay for what is loaded and compiled once. */
const WARMUP_TASKS = 20;
const SEEN_WITHIN_MS = 10_000;
/** Between tasks, so that each one meets a system at rest. */
const REST_MS = 20;

export interface IdleOptions {
  readonly folder: string;
  readonly notes: readonly Uint8Array[];
  readonly tasks: number;
}

export async function measureIdle({ folder, notes, tasks }: IdleOptions): Promise<Histogram> {
  const model = await ModelServer.start();
  const sluice = await startSluice({ workers: 1, upstreamPort: model.port, folder });
  const histogram = new Histogram();
  const connection = new Connection(sluice.host, sluice.port);
  try {
    for (let n = -WARMUP_TASKS; n < tasks; n++) {
      const note = notes[Math.abs(n) % notes.length]!;
      const head = `POST ${sluice.prefix}/tasks/process HTTP/1.1\r\nhost: bench\r\ncontent-type: text/plain\r\ncontent-length: ${note.length}\r\n\r\n`;
      const seen = model.nextSeen(AbortSignal.timeout(SEEN_WITHIN_MS));
      const sentMs = performance.now();
      const answered = new Promise<Outcome>((settle) => {
        connection.send([Buffer.concat([Buffer.from(head), note])], settle);
      });
      const [seenMs, outcome] = await Promise.all([seen, answered]);
      if (outcome.kind === "broken") throw new Error(`a submission broke: ${outcome.reason}`);
      if (outcome.status !== 200 && outcome.status !== 202)
        throw new Error(`a submission got status ${outcome.status}`);
      if (n >= 0) histogram.record(seenMs - sentMs);
      await new Promise((done) => setTimeout(done, REST_MS));
    }
    return histogram;
  } finally {
    connection.destroy();
    await sluice.stop();
    await model.stop();
  }
}
