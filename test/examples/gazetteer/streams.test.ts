import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import t from "tap";
import { WebSocket } from "ws";
import { type RunningGazetteer, startGazetteer } from "../../helpers/gazetteer.js";

const server = await startGazetteer(t, { args: ["--token-ms", "1"] });
const NDJSON = { "content-type": "application/x-ndjson" };

function open(
  path: string,
  to: RunningGazetteer = server,
): { sent: ClientRequest; answered: Promise<IncomingMessage> } {
  const sent = request(to.url + path, { method: "POST", headers: NDJSON });
  const answered = once(sent, "response").then(([response]) => response as IncomingMessage);
  sent.on("error", () => {});
  sent.flushHeaders();
  return { sent, answered };
}

async function read(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response) text += chunk;
  return text;
}

t.test("each line is answered while the request is still open", async (t) => {
  const { sent, answered } = open("/stream/process");
  sent.write('{"text":"asthma","name":"a"}\n');
  const response = await answered;
  t.equal(response.headers["content-type"], "application/x-ndjson; charset=utf-8");
  const lines = response.setEncoding("utf8")[Symbol.asyncIterator]();
  t.match(JSON.parse((await lines.next()).value), { doc_name: "a", text: "asthma" });
  sent.write('not json\n{"text":"TIA');
  t.strictSame(JSON.parse((await lines.next()).value), { error: "Invalid JSON Line", content: "not json" });
  sent.end('"}');
  t.match(JSON.parse((await lines.next()).value), { doc_name: "2", text: "TIA" });
  t.ok((await lines.next()).done);
});

t.test("a stream without any result says so", async (t) => {
  const { sent, answered } = open("/stream/process");
  sent.end('{"text":"nothing"}\n');
  t.equal(await read(await answered), '{"error": "Empty stream"}\n');
});

t.test("a character split over two chunks is a 500 before the first line and a cut after it", async (t) => {
  const note = Buffer.from('{"text":"caf\u00e9 asthma"}\n');
  const inside = note.indexOf(0xc3) + 1;
  const early = open("/stream/process");
  early.sent.write(note.subarray(0, inside));
  t.equal((await early.answered).statusCode, 500);
  early.sent.destroy();
  const late = open("/stream/process");
  late.sent.write('{"text":"asthma"}\n');
  const response = await late.answered;
  late.sent.write(note.subarray(0, inside));
  await t.rejects(read(response), { message: "aborted" });
});

t.test("long lines come in pieces of 1,024 bytes and whole again", async (t) => {
  const { sent, answered } = open("/stream/process");
  sent.end(`${"x".repeat(5_000)}\n`);
  t.equal(JSON.parse(await read(await answered)).content.length, 5_000);
});

t.test("events pair with the documents of the same client", async (t) => {
  const events = await fetch(`${server.url}/stream/sse/events?client_id=c1`);
  t.match(Object.fromEntries(events.headers), {
    "content-type": /^text\/event-stream/,
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  });
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  t.equal((await reader.read()).value, ": connected\n\n");
  const accepted = await fetch(`${server.url}/stream/sse/process?client_id=c1`, {
    method: "POST",
    headers: NDJSON,
    body: '{"text":"asthma"}\nbad\n{"text":"fever","name":"n"}',
  });
  t.equal(accepted.status, 202);
  t.strictSame(
    await accepted.json(),
    { status: "accepted", total_docs: 2 },
    "a last line without its break is not counted",
  );
  let text = "";
  while (!text.includes("all_completed")) text += (await reader.read()).value;
  const told = text
    .split("\n\n")
    .filter(Boolean)
    .map((event) => JSON.parse(event.replace(/^data: /u, "")));
  t.match(told, [
    { status: "started", doc_name: "doc_0", text: "asthma" },
    { type: "annotation", data: { label_id: "195967001" } },
    { status: "completed", doc_name: "doc_0" },
    { status: "error" },
    { status: "started", doc_name: "n" },
    { type: "annotation" },
    { status: "completed" },
    { status: "all_completed", total_docs: 2 },
  ]);
  await reader.cancel();
  const alone = await fetch(`${server.url}/stream/sse/process?client_id=nobody`, {
    method: "POST",
    headers: NDJSON,
    body: "{}",
  });
  t.equal(alone.status, 400);
  t.match(await alone.json(), { detail: String });
  t.equal((await fetch(`${server.url}/stream/sse/events`)).status, 422);
});

t.test("two event connections of one client share its events", async (t) => {
  const streams = await Promise.all([1, 2].map(() => fetch(`${server.url}/stream/sse/events?client_id=twice`)));
  const readers = streams.map(({ body }) => body!.pipeThrough(new TextDecoderStream()).getReader());
  for (const reader of readers) t.equal((await reader.read()).value, ": connected\n\n");
  await fetch(`${server.url}/stream/sse/process?client_id=twice`, {
    method: "POST",
    headers: NDJSON,
    body: '{"text":"asthma"}\n',
  });
  const told = await Promise.all(
    readers.map(async (reader) => {
      let text = "";
      while (text.split("\n\n").length < 3) text += (await reader.read()).value;
      await reader.cancel();
      return text.match(/started|annotation|all_completed|completed/gu);
    }),
  );
  t.strictSame(told, [
    ["started", "completed"],
    ["annotation", "all_completed"],
  ]);
});

t.test("a listener that does not read holds the sender back instead of filling the memory", async (t) => {
  const events = await fetch(`${server.url}/stream/sse/events?client_id=slow`);
  const lines = `${JSON.stringify({ text: "asthma ".repeat(2_000) })}\n`.repeat(40);
  let done = false;
  const processed = fetch(`${server.url}/stream/sse/process?client_id=slow`, {
    method: "POST",
    headers: NDJSON,
    body: lines,
  }).then((response) => {
    done = true;
    return response.status;
  });
  t.notOk(await Promise.race([processed.then(() => done), pause(700).then(() => done)]), "the sender waits");
  let tail = "";
  for await (const chunk of events.body!) {
    tail = (tail + Buffer.from(chunk).toString("latin1")).slice(-200);
    if (tail.includes("all_completed")) break;
  }
  t.equal(await processed, 202);
});

t.test("generated text is the same every time, whole or word by word", async (t) => {
  const ask = async (path: string) => {
    const response = await fetch(server.url + path, {
      method: "POST",
      body: "Dr Khan has asthma",
      headers: { "content-type": "text/plain" },
    });
    return { headers: response.headers, text: await response.text(), status: response.status };
  };
  const whole = await ask("/generate?tracking_id=g&include_usage=true");
  t.equal(whole.headers.get("x-cms-tracking-id"), "g");
  t.equal(whole.headers.get("x-cms-gen-prompt-token-num"), "4");
  t.match(whole.text, /mentions person name, asthma/);
  const streamed = await ask("/stream/generate");
  t.equal(streamed.text, whole.text);
  t.equal(streamed.headers.get("content-type"), "text/event-stream; charset=utf-8");
  t.match(
    (await ask("/stream/generate?include_usage=true")).text,
    /\n\n<cms_token_usage>\{.*"total_tokens":20\}<\/cms_token_usage>$/,
  );
  t.equal((await ask("/generate?max_tokens=2")).text, "The text ");
  t.equal((await ask("/generate?stop_sequences=words&stop_sequences=has")).text, "The text ");
  t.equal((await ask("/generate?top_p=2")).status, 422);
  t.equal((await fetch(`${server.url}/generate`, { method: "POST", body: "" })).status, 422);
});

const wsUrl = (to: RunningGazetteer, path = "/stream/ws") => to.url.replace("http:", "ws:") + path;

t.test("a WebSocket answers each text frame, compressed or not", async (t) => {
  t.match(await (await fetch(`${server.url}/stream/ws`)).json(), {
    protocol: "WebSocket",
    message: String,
    example: String,
  });
  for (const perMessageDeflate of [true, false]) {
    const socket = new WebSocket(wsUrl(server), { perMessageDeflate });
    await once(socket, "open");
    t.equal(socket.extensions.includes("permessage-deflate"), perMessageDeflate);
    const long = `${"well ".repeat(100_000)}`;
    const answers: string[] = [];
    socket.on("message", (data) => answers.push(String(data)));
    for (const text of ["Dr Khan has asthma", "well", long]) socket.send(text);
    while (answers.length < 3) await once(socket, "message");
    t.strictSame(answers.slice(0, 2), ["[Person name: Dr Khan] has [Asthma: asthma]", "well"]);
    t.equal(answers[2], long);
    socket.ping();
    await once(socket, "pong");
    socket.close();
    await once(socket, "close");
  }
});

t.test(
  "a WebSocket is closed for binary frames with 1000, for long ones with 1009, and refused elsewhere with 403",
  async (t) => {
    const closeCode = async (frame: string | Buffer) => {
      const socket = new WebSocket(wsUrl(server));
      await once(socket, "open");
      socket.send(frame);
      return (await once(socket, "close"))[0];
    };
    t.equal(await closeCode(Buffer.from("x")), 1000);
    t.equal(await closeCode("x".repeat(16_777_217)), 1009);
    const refused = new WebSocket(wsUrl(server, "/process"));
    refused.on("error", () => {});
    const [, response] = await once(refused, "unexpected-response");
    t.equal(response.statusCode, 403);
    const upgrades = (await server.requests()).filter(({ url }) => url === "/process");
    t.match(upgrades, [{ method: "GET" }], "handshakes are in the log");
  },
);

t.test("an idle WebSocket is closed with 1000 between one and two idle times, pings or not", async (t) => {
  const brief = await startGazetteer(t, { args: ["--ws-idle-ms", "300"] });
  const socket = new WebSocket(wsUrl(brief));
  await once(socket, "open");
  const pings = setInterval(() => socket.ping(), 50);
  t.teardown(() => clearInterval(pings));
  socket.send("asthma");
  const sent = performance.now();
  const [code] = await once(socket, "close");
  t.equal(code, 1000);
  t.ok(
    performance.now() - sent >= 290 && performance.now() - sent < 10_000,
    `${Math.round(performance.now() - sent)} ms`,
  );
});

t.test("open sockets do not keep a server from ending", async (t) => {
  const ending = await startGazetteer(t, { args: ["--grace-ms", "100"] });
  const socket = new WebSocket(wsUrl(ending));
  await once(socket, "open");
  const events = await fetch(`${ending.url}/stream/sse/events?client_id=c`);
  const closed = once(socket, "close");
  await ending.stop();
  await closed;
  await events.text().catch(() => {});
  t.equal(await ending.exited, 0, "it ended by itself");
});
