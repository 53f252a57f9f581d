/** Many callers at once, and a way to the sidecar that is gone: nobody is shut out, nobody is told what is not so. */
import { unlink } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../config/schema.js";
import { startGazetteer } from "../helpers/gazetteer.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";

async function start(t: Test, more: ConfigInput = {}): Promise<RunningSluice> {
  const server = await startGazetteer(t);
  const discovery = { static: [{ name: "m", url: server.url }], docker: { enabled: false } };
  return startSluice(t, { config: { discovery, ...more } });
}

function submit({ url }: RunningSluice, misbehave?: string): Promise<Response> {
  const headers = { "content-type": "text/plain", ...(misbehave === undefined ? {} : { "x-misbehave": misbehave }) };
  return fetch(`${url}/models/m/tasks/process`, { method: "POST", headers, body: "Seen on 3 March 2021" });
}

/** Connections that each send one request; `heads` are the statuses that came back so far. */
function crowd(
  t: Test,
  { port }: RunningSluice,
  count: number,
  request: string,
): { sockets: Socket[]; heads: string[] } {
  const heads: string[] = [];
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.once("data", (chunk) => heads.push(chunk.toString("latin1").slice(9, 12)));
    socket.write(request);
    return socket;
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  return { sockets, heads };
}

async function until(holds: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<boolean> {
  for (const endMs = Date.now() + withinMs; Date.now() < endMs; await pause(50)) if (await holds()) return true;
  return false;
}

t.test("a full queue says when to come back", async (t) => {
  const sluice = await start(t, { scheduler: { queue: { max_tasks: 1 } } });
  await submit(sluice, "delay=5000");
  let refused = await submit(sluice);
  for (let more = 0; more < 3 && refused.status === 200; more++) refused = await submit(sluice);
  t.equal(refused.status, 429);
  t.equal(refused.headers.get("retry-after"), "30");
});

t.test("callers that follow tasks keep nobody else out", async (t) => {
  const sluice = await start(t);
  await submit(sluice, "delay=60000");
  const { uuid } = (await (await submit(sluice)).json()) as { uuid: string };
  const { heads } = crowd(t, sluice, 700, `GET /tasks/${uuid}/events HTTP/1.1\r\nHost: sluice\r\n\r\n`);
  t.ok(await until(() => heads.length === 700), `each stream begins: ${heads.length}`);
  const other = await fetch(`${sluice.url}/tasks/${uuid}`, { signal: AbortSignal.timeout(5_000) });
  t.equal(other.status, 200);
});

t.test(
  "with its socket's file deleted the sidecar is found again, and a refusal never says that something was stored",
  async (t) => {
    const sluice = await start(t);
    await unlink(`${sluice.dataDir}/sidecar.sock`);
    const refused = await fetch(`${sluice.url}/models/m/tasks/process`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "Seen on 3 March 2021",
      signal: AbortSignal.timeout(3_000),
    });
    if (refused.status !== 200) t.match(await refused.text(), /nothing was stored/);
    t.ok(await until(async () => (await submit(sluice)).status === 200, 5_000), "it heals without a restart");
  },
);
