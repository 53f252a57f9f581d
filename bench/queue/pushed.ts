/** A real Sluice: from the moment a task's end is stamped, which is before its commit, to its event at a client that listens. */
import { request } from "undici";
import { Histogram } from "../load/histogram.js";
import { ModelServer } from "../peers/model-server.js";
import { startSluice } from "../peers/sluice.js";

interface Detail {
  readonly status: string;
  readonly finished_at: string;
}

export async function measurePushed(folder: string, tasks: number): Promise<Histogram> {
  const model = await ModelServer.start();
  const sluice = await startSluice({ workers: 1, upstreamPort: model.port, folder });
  const origin = `http://${sluice.host}:${sluice.port}`;
  const histogram = new Histogram();
  try {
    for (let each = 0; each < tasks; each++) {
      model.isHolding = true;
      const submitted = await request(`${origin}${sluice.prefix}/tasks/process`, {
        method: "POST",
        headers: { "content-type": "text/plain" },
        body: "Seen on 3 March 2021",
      });
      const { uuid } = (await submitted.body.json()) as { uuid: string };
      const events = await request(`${origin}/tasks/${uuid}/events`);
      model.release();
      let seenMs = Number.NaN;
      for await (const chunk of events.body) {
        if (/"status":"(?:succeeded|failed)"/.test(String(chunk))) seenMs = Date.now();
      }
      const answer = await request(`${origin}/tasks/${uuid}?detail=true`);
      const detail = (await answer.body.json()) as Detail;
      if (detail.status !== "succeeded") throw new Error(`a task ended ${detail.status}`);
      histogram.record(seenMs - Date.parse(detail.finished_at));
    }
    return histogram;
  } finally {
    model.release();
    await sluice.stop();
    await model.stop();
  }
}
