import { setTimeout as pause } from "node:timers/promises";
import { refuseWithDetail } from "./errors.js";
import { type Call, type Reply, replyJson } from "./http.js";
import { flag, readQuery, requiredText } from "./query.js";
import type { Route } from "./route.js";
import { readLines } from "./stream.js";

export const SSE_ROUTES: readonly Route[] = [
  { method: "GET", path: "/stream/sse/events", summary: "Events of one client's documents", handle: openEvents },
  { method: "POST", path: "/stream/sse/process", summary: "Documents whose events go there", handle: processForEvents },
];

const CONNECTED_WITHIN_MS = 1_000;
const LOOK_EVERY_MS = 20;

function openEvents(call: Call): Reply {
  const query = readQuery(call.query, { client_id: requiredText(), keep_alive: flag(false) });
  const stream = call.service.events.open(query.client_id, query.keep_alive);
  call.response.once("close", () => stream.destroy());
  const headers = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    connection: "keep-alive",
    "x-accel-buffering": "no",
  };
  return { status: 200, headers, body: stream };
}

async function processForEvents(call: Call): Promise<Reply> {
  const { client_id } = readQuery(call.query, { client_id: requiredText() });
  await requireListener(call, client_id);
  const send = (event: unknown) => call.service.events.send(client_id, event);
  let total = 0;
  for await (const { read, index, complete } of readLines(call)) {
    if (complete) total++;
    if ("fault" in read) {
      await send({ status: "error", error: read.fault });
      continue;
    }
    const docName = read.item.name ?? `doc_${index}`;
    await send({ status: "started", doc_name: docName, text: read.item.text });
    for (const annotation of call.service.annotator.annotate(read.item.text)) {
      await send({ type: "annotation", data: { doc_name: docName, ...annotation } });
    }
    await send({ status: "completed", doc_name: docName });
  }
  await send({ status: "all_completed", total_docs: total });
  return replyJson(202, { status: "accepted", total_docs: total });
}

async function requireListener({ service }: Call, clientId: string): Promise<void> {
  const until = performance.now() + CONNECTED_WITHIN_MS;
  while (!service.events.has(clientId)) {
    if (performance.now() > until) throw refuseWithDetail(400, `No events connection for client ${clientId}`);
    await pause(LOOK_EVERY_MS);
  }
}
