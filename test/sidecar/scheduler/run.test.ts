/** One call to a model server that behaves badly after its head. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { createCaller } from "../../../sidecar/scheduler/run.js";
import { FileBlobs } from "../../../sidecar/tasks/file-blobs.js";
import type { StoredBody, TaskRow } from "../../../sidecar/tasks/store.js";
import { makeFolder } from "../../helpers/folder.js";

/** Beyond a second undici's own timer is the coarser one of the two that watch a body. */
const IDLE_MS = 1_200;
const PAYLOAD: StoredBody = { kind: "inline", bytes: Buffer.from("a note"), sha256: "" };

async function callOnce(t: Test, answer: http.RequestListener) {
  const server = http.createServer(answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const blobs = await FileBlobs.open(makeFolder(t));
  const caller = createCaller({ blobs, connectTimeoutMs: 1_000, responseTimeoutMs: 5_000, idleTimeoutMs: IDLE_MS });
  t.teardown(async () => {
    await caller.close();
    server.closeAllConnections();
    server.close();
  });
  const task = { uuid: "u", method: "POST", path: "/process", headers: [], forceTrackingId: false };
  return caller.call(task as unknown as TaskRow, PAYLOAD, `http://127.0.0.1:${port}`, new AbortController().signal);
}

t.test("an answer that stops in its middle is a timeout, which ends after its attempts like any other", async (t) => {
  const result = await callOnce(t, (_req, res) => void res.write("half"));
  t.match(result, { kind: "failure", failure: "timeout", sent: true });
});

t.test("what speaks of the connection to us is not kept for the caller", async (t) => {
  const result = await callOnce(t, (_req, res) => {
    res.writeHead(200, [
      "Connection",
      "close, X-Hop",
      "X-Hop",
      "1",
      "Keep-Alive",
      "timeout=5",
      "X-Request-Id",
      "theirs",
      "Sluice-Task-Id",
      "theirs",
    ]);
    res.write("a");
    res.end("b");
  });
  t.equal(result.kind, "answer");
  const headers = result.kind === "answer" ? result.answer.headers : [];
  const names = headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  t.same(names, ["date"]);
});

function manyHeaders(kib: number): http.RequestListener {
  return (_req, res) => {
    for (let each = 0; each < kib; each++) res.setHeader(`x-${each}`, "h".repeat(1_000));
    res.end("the answer");
  };
}

t.test("an answer with a head of 60 KiB is kept, as on the light path", async (t) => {
  const result = await callOnce(t, manyHeaders(60));
  t.match(result, { kind: "answer", answer: { status: 200 } });
  t.ok(result.kind === "answer" && result.answer.headers.includes("x-59"));
});

t.test(
  "a larger head is no valid answer, and not taken for a broken connection that is worth another try",
  async (t) => {
    t.match(await callOnce(t, manyHeaders(70)), { kind: "failure", failure: "protocol" });
  },
);
