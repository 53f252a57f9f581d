/** A model server that refuses with 429 is left in peace: nothing else is sent to it before it asked for. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import t from "tap";
import { startSluice } from "../helpers/sluice.js";

t.test("after a 429 with Retry-After no other task of the model is sent before that", async (t) => {
  const sentMs: number[] = [];
  const server = http.createServer(async (req, res) => {
    if (req.method !== "POST") return res.end("medcat_snomed");
    req.resume();
    await once(req, "end");
    if (sentMs.push(performance.now()) > 1) return res.end("[]");
    return res.writeHead(429, { "retry-after": "2", "content-type": "application/json" }).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const sluice = await startSluice(t, { config: { discovery: { static: [{ name: "m", url }] } } });
  const gone = new AbortController();
  const submit = (signal: AbortSignal | null) =>
    fetch(`${sluice.url}/models/m/process_bulk`, { method: "POST", body: "[]", signal });
  const first = submit(gone.signal);
  while (sentMs.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const second = await submit(null);
  t.equal(second.status, 200);
  await second.arrayBuffer();
  t.ok(sentMs[1]! - sentMs[0]! >= 1_900, `the second waited ${Math.round(sentMs[1]! - sentMs[0]!)} ms`);
  // The first comes back after its own pause; nobody waits for that.
  gone.abort();
  await t.rejects(first);
});
