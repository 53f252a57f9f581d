/** Promise 9: note text, tokens and keys never appear in logs, metrics, or in an error shown to anyone else. */
import t from "tap";
import { WebSocket } from "ws";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startSluice } from "../helpers/sluice.js";

/** Words that stand for what must not get out, one for each place a request can carry it. */
const CANARIES = {
  body: "canary-note-text",
  query: "canary-query",
  token: "canary-token",
  cookie: "canary-cookie",
  key: "canary-idempotency",
  answer: "canary-note-text",
};

t.test("note text, tokens and keys never appear in logs or metrics", async (t) => {
  const server = await startGazetteer(t);
  const sluice = await startSluice(t, {
    config: {
      log: { level: "trace" },
      discovery: {
        static: [
          { name: "m", url: server.url },
          { name: "away", url: "http://127.0.0.1:9" },
        ],
        docker: { enabled: false },
      },
      proxy: { max_body_size: "1MiB", timeouts: { response: "1s", body: "1s" } },
      // What a 429 teaches holds for one such span: the requests after it need not wait for a minute.
      models: { rate_limit: { amount: 1_000, per: "1s" } },
    },
  });
  const headers = {
    authorization: `Bearer ${CANARIES.token}`,
    cookie: `fastapiusersauth=${CANARIES.cookie}`,
    "content-type": "text/plain",
  };
  const send = async (
    path: string,
    extra: Record<string, string> = {},
    body = `Patient ${CANARIES.body}, kidney failure`,
  ) => {
    const answer = await fetch(`${sluice.url}${path}?note=${CANARIES.query}`, {
      method: "POST",
      headers: { ...headers, ...extra },
      body,
    }).catch(() => null);
    await answer?.text().catch(() => "");
  };
  const misbehaviours = ["", "cut", "cut-head", "status=500", "status=400", "bad-http", "refuse-429", "hang"];
  const misbehaving = async (misbehave: string) => {
    const extra: Record<string, string> = misbehave === "" ? {} : { "x-misbehave": misbehave };
    await send("/models/m/process", extra);
    await send("/models/m/tasks/process", { ...extra, "idempotency-key": `${CANARIES.key}-${misbehave}` });
    await send("/models/m/process_jsonl", extra);
  };
  for (const misbehave of misbehaviours) await misbehaving(misbehave);
  await send("/models/m/process_bulk", { "content-type": "application/json" }, `["${CANARIES.body}"`);
  await send("/models/away/process");
  await send("/models/away/tasks/process", { prefer: `wait=${CANARIES.query}` });
  await send(`/models/m/tasks/${CANARIES.query}`);
  await send(`/models/${CANARIES.query}/process`);
  await send("/models/m/process", { "x-request-id": "fine" }, CANARIES.body.repeat(100_000));
  await send("/models/m/process_bulk", { "x-sluice-priority": CANARIES.key });
  await new Promise<void>((resolve) => {
    const socket = new WebSocket(`${sluice.url.replace("http", "ws")}/models/m/stream/ws?token=${CANARIES.query}`, {
      headers,
    });
    socket.on("open", () => socket.send(CANARIES.body));
    socket.on("message", () => socket.close());
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
  });
  // Last: what is held for a server that is gone waits until it is back.
  await misbehaving("die=body");
  const metrics = await (await fetch(`${sluice.url}/metrics`)).text();
  await sluice.stop();
  const logs = sluice.lines.join("\n");
  t.ok(sluice.lines.length > 20, "there is something in the logs");
  for (const [place, canary] of Object.entries(CANARIES)) {
    t.notOk(logs.includes(canary), `${place}: not in the logs: ${sluice.lines.find((line) => line.includes(canary))}`);
    t.notOk(metrics.includes(canary), `${place}: not in the metrics`);
  }
});
