/** Following a run at a model server whose base URL has a path, and ending it. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { type AttemptsOptions, createAttempts } from "../../../sidecar/scheduler/attempt.js";
import { followRun } from "../../../sidecar/scheduler/training.js";
import type { TaskRow } from "../../../sidecar/tasks/store.js";

const logger = createLogger({ level: "silent", format: "json", process: "test" });
const TASK = { uuid: "u", model: "m", headers: [] as string[] } as unknown as TaskRow;

async function startServer(t: Test, answer: http.RequestListener): Promise<string> {
  const server = http.createServer(answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function attemptsAt(t: Test, url: string) {
  const client = createHttpClient({ connectTimeoutMs: 1_000 });
  t.teardown(() => client.close());
  const options = { http: client, logger, catalogue: { get: () => ({ url }) } } as unknown as AttemptsOptions;
  return createAttempts(options);
}

t.test("a run is followed below the path of its model server's URL", async (t) => {
  const url = await startServer(t, (req, res) => {
    const isInfo = req.url?.startsWith("/base/train_eval_info?") === true;
    res.writeHead(isInfo ? 200 : 404).end(isInfo ? '[{"run_id":"r","status":"FINISHED"}]' : "");
  });
  const client = createHttpClient();
  t.teardown(() => client.close());
  const end = await followRun({
    http: client,
    clock: systemClock,
    baseUrl: () => `${url}/base`,
    runName: "u",
    runId: "r",
    trackingUri: "http://mlflow",
    headers: [],
    signal: AbortSignal.timeout(5_000),
  });
  t.equal(end.kind, "finished");
});

t.test("a run is cancelled below the path of its model server's URL", async (t) => {
  const url = await startServer(
    t,
    (req, res) => void res.writeHead(req.url === "/base/cancel_training" ? 202 : 404).end(),
  );
  t.match(await attemptsAt(t, `${url}/base`).cancelTraining(TASK), { accepted: true });
});

t.test("a model server that cannot be reached has not accepted to cancel, which is no fault of ours", async (t) => {
  const answer = await attemptsAt(t, "http://127.0.0.1:9").cancelTraining(TASK);
  t.match(answer, { accepted: false, message: /could not be reached/ });
});
