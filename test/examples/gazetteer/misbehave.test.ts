import { createHash } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import t from "tap";
import { type RunningGazetteer, startGazetteer } from "../../helpers/gazetteer.js";

const NOTE = "Dr Khan has asthma";
const SHA256 = createHash("sha256").update(NOTE).digest("hex");
const server = await startGazetteer(t);

function ask(misbehave: string, to: RunningGazetteer = server, more: Record<string, string> = {}) {
  const headers = { "content-type": "text/plain", "x-misbehave": misbehave, ...more };
  return fetch(`${to.url}/process?tracking_id=m`, { method: "POST", body: NOTE, headers });
}

/** The bytes of the whole answer, and how the connection ended. */
async function askRaw(misbehave: string): Promise<{ text: string; reset: boolean }> {
  const head = `POST /process HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\nx-misbehave: ${misbehave}\r\ncontent-length: ${NOTE.length}\r\n\r\n`;
  const socket = connect(server.port, "127.0.0.1", () => socket.write(head + NOTE));
  let text = "";
  let reset = false;
  socket.setEncoding("latin1").on("data", (chunk) => {
    text += chunk;
    if (/\r\n\r\n./su.test(text) && misbehave === "odd-headers") socket.destroy();
  });
  socket.on("error", () => {
    reset = true;
  });
  await new Promise((resolve) => socket.once("close", resolve));
  return { text, reset };
}

t.test("without --misbehave the header is just a header and the log is not there", async (t) => {
  const tame = await startGazetteer(t, { misbehave: false });
  t.equal((await ask("status=500", tame)).status, 200);
  t.equal((await fetch(`${tame.url}/misbehave/log`)).status, 404);
});

t.test("answers are refused, delayed and dripped as asked", async (t) => {
  const limited = await ask("refuse-429=7");
  t.equal(limited.status, 429);
  t.equal(limited.headers.get("retry-after"), "7");
  t.equal((await ask("refuse-429")).headers.get("retry-after"), null);
  t.match(await (await ask("busy")).json(), { message: /still active/, experiment_id: String, run_id: String });
  t.equal((await ask("status=418")).status, 418);
  t.equal((await ask("no-such-thing")).status, 400);
  for (const wish of ["delay=300", "slow-body=20", "block=300"]) {
    const started = performance.now();
    t.equal(((await (await ask(wish)).json()) as { text: string }).text, NOTE);
    t.ok(performance.now() - started >= 280, wish);
  }
});

t.test("answers are cut: after some bytes, before any, and by garbage", async (t) => {
  const cut = await askRaw("cut=10");
  t.match(cut.text, /content-length: 2\d\d/);
  t.equal(cut.text.split("\r\n\r\n")[1]?.length, 10);
  t.ok(cut.reset);
  t.strictSame(await askRaw("cut-head"), { text: "", reset: true });
  t.match((await askRaw("bad-http")).text, /this is not HTTP/);
});

t.test("odd headers go out as they are, Latin-1 included", async (t) => {
  const { text } = await askRaw("odd-headers");
  t.match(
    text,
    /\r\nSet-Cookie: a=1; Path=\/\r\nSet-Cookie: b=2; Path=\/x\r\nX-ODD-Case: Kept As It Is\r\nx-latin1: caf\xe9\r\n/,
  );
  t.equal(text.match(/x-request-id/giu)?.length, 1);
});

t.test("echo tells exactly what came", async (t) => {
  const answer = (await (await ask("echo", server, { "x-Custom": "v" })).json()) as Record<string, unknown>;
  t.match(answer, { method: "POST", url: "/process?tracking_id=m", bytes: NOTE.length, sha256: SHA256 });
  t.ok((answer.rawHeaders as string[]).includes("x-Custom"));
});

t.test("hang never answers", async (t) => {
  const gone = new AbortController();
  const headers = { "content-type": "text/plain", "x-misbehave": "hang", "x-request-id": "hanging" };
  const hanging = fetch(`${server.url}/process`, { method: "POST", body: NOTE, headers, signal: gone.signal });
  while (!(await server.requests()).some(({ requestId }) => requestId === "hanging"));
  gone.abort();
  await t.rejects(hanging, { name: "AbortError" });
});

t.test("memory stays flat for bodies of any length, both ways", async (t) => {
  const size = 192 * 1_048_576;
  const residentBytes = async () =>
    Number(/process_resident_memory_bytes (\d+)/u.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]);
  const before = await residentBytes();
  const piece = Buffer.alloc(1_048_576, "x");
  for (const wish of ["echo", "swallow"]) {
    const sent = request(server.url, { method: "POST", headers: { "x-misbehave": wish } });
    const answered = once(sent, "response");
    for (let left = size; left > 0; left -= piece.length) if (!sent.write(piece)) await once(sent, "drain");
    sent.end();
    const [response] = await answered;
    let text = "";
    for await (const chunk of response) text += chunk;
    t.equal(JSON.parse(text).bytes, size);
  }
  const big = await fetch(server.url, { headers: { "x-misbehave": `big=${size}` } });
  let received = 0;
  for await (const chunk of big.body!) {
    if (received < 1_000 && chunk[0] !== received % 251) t.fail("another pattern");
    received += chunk.length;
  }
  t.equal(received, size);
  const grown = (await residentBytes()) - before;
  t.ok(grown < 64 * 1_048_576, `grew by ${Math.round(grown / 1_048_576)} MB`);
});

t.test("the log counts what was sent and survives the death of the process", async (t) => {
  const mortal = await startGazetteer(t);
  await (await ask("delay=1", mortal, { "x-request-id": "r1" })).text();
  const seen = await (await fetch(`${mortal.url}/misbehave/log`)).json();
  const entry = {
    method: "POST",
    url: "/process?tracking_id=m",
    requestId: "r1",
    trackingId: "m",
    sha256: SHA256,
    bytes: NOTE.length,
  };
  t.strictSame(seen, [entry]);
  await t.rejects(ask("die", mortal, { "x-request-id": "r2" }));
  t.equal(await mortal.exited, 1);
  t.strictSame(await mortal.requests(), [entry, { ...entry, requestId: "r2" }]);
  const again = await startGazetteer(t, { port: mortal.port, requestLog: mortal.requestLog });
  t.equal(again.port, mortal.port);
  await t.rejects((await ask("die=answer", again, { "x-request-id": "r3" })).text());
  t.equal(await again.exited, 1);
  t.strictSame(
    (await again.requests()).map(({ requestId }) => requestId),
    ["r1", "r2", "r3"],
  );
});

t.test("it dies on the head alone when asked, and that is in the log as well", async (t) => {
  const mortal = await startGazetteer(t);
  await t.rejects(ask("die=head", mortal));
  t.equal(await mortal.exited, 1);
  t.match(await mortal.requests(), [{ method: "POST", sha256: null }]);
});
