/** Every real note, through every way in: what comes through Sluice is what the model server answers when it is asked straight. */
import { readFile } from "node:fs/promises";
import t from "tap";
import { WebSocket } from "ws";
import { startGazetteer } from "../helpers/gazetteer.js";
import { DATA_FOLDER, readNotes, readSampleTexts } from "../helpers/notes.js";
import { startSluice } from "../helpers/sluice.js";

const server = await startGazetteer(t);
const sluice = await startSluice(t, {
  config: { discovery: { static: [{ name: "notes", url: server.url }], docker: { enabled: false } } },
});
const straight = server.url;
const through = `${sluice.url}/models/notes`;
const notes = await readNotes();
const samples = await readSampleTexts();

interface Seen {
  status: number;
  type: string | null;
  disposition: string | null;
  body: string;
}

async function ask(base: string, path: string, init: RequestInit): Promise<Seen> {
  const answer = await fetch(`${base}${path}`, init);
  return {
    status: answer.status,
    type: answer.headers.get("content-type"),
    disposition: answer.headers.get("content-disposition"),
    body: await answer.text(),
  };
}

async function both(path: string, init: () => RequestInit): Promise<{ direct: Seen; gateway: Seen }> {
  return { direct: await ask(straight, path, init()), gateway: await ask(through, path, init()) };
}

const text = (body: string): RequestInit => ({ method: "POST", headers: { "content-type": "text/plain" }, body });
const json = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

t.test("every note through /process and /redact", async (t) => {
  t.ok(notes.length >= 10);
  let found = 0;
  for (const note of [...notes.map((each) => each.text), ...samples]) {
    for (const path of ["/process", "/redact", "/redact?mask=***&concepts_to_keep=a&concepts_to_keep=b"]) {
      const { direct, gateway } = await both(path, () => text(note));
      t.equal(direct.status, 200);
      t.same(gateway, direct, path);
    }
    found += JSON.parse((await ask(through, "/process", text(note))).body).annotations.length;
  }
  t.ok(found > notes.length, "and there is something in them");
});

t.test("every note through /process_bulk, held in the queue, answered as if straight", async (t) => {
  const { direct, gateway } = await both("/process_bulk", () => json(notes.map((each) => each.text)));
  t.equal(direct.status, 200);
  t.same(gateway, direct);
  const answer = await fetch(`${through}/process_bulk`, json(samples));
  t.match(answer.headers.get("sluice-task-id"), /^[0-9a-f-]{36}$/);
  t.match(answer.headers.get("server-timing"), /queue;dur=.*upstream;dur=.*gateway;dur=/);
});

t.test("every note through /process_jsonl, which waits at the gate and streams", async (t) => {
  const lines = notes.map(({ name, text: note }) => JSON.stringify({ name, text: note })).join("\n");
  const init = () => ({ method: "POST", headers: { "content-type": "application/x-ndjson" }, body: lines });
  const { direct, gateway } = await both("/process_jsonl", init);
  t.equal(direct.status, 200);
  t.ok(direct.body.endsWith("\n"));
  t.same(gateway, direct);
});

t.test("every note through /process_bulk_file, its multipart body untouched", async (t) => {
  const file = JSON.stringify(notes.map((each) => each.text));
  const init = () => {
    const form = new FormData();
    form.set("multi_text_file", new Blob([file], { type: "application/json" }), "notes.json");
    return { method: "POST", body: form };
  };
  const { direct, gateway } = await both("/process_bulk_file?tracking_id=notes-1", init);
  t.equal(direct.status, 200);
  t.equal(direct.disposition, 'attachment ; filename="entities_notes-1.json"');
  t.same(gateway, direct);
  const shipped = await readFile(`${DATA_FOLDER}multi_text_file.json`);
  const small = () => {
    const form = new FormData();
    form.set("multi_text_file", new Blob([shipped], { type: "application/json" }), "multi_text_file.json");
    return { method: "POST", body: form };
  };
  const second = await both("/process_bulk_file?tracking_id=t2", small);
  t.same(second.gateway, second.direct);
});

t.test("every note through the WebSocket", async (t) => {
  const talk = async (url: string): Promise<string[]> => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/stream/ws`);
    const replies: string[] = [];
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("open", () => socket.send(notes[0]!.text));
      socket.on("message", (data) => {
        replies.push(String(data));
        if (replies.length === notes.length) socket.close(1000);
        else socket.send(notes[replies.length]!.text);
      });
      socket.on("close", () => resolve());
    });
    return replies;
  };
  const direct = await talk(straight);
  t.equal(direct.length, notes.length);
  t.same(await talk(through), direct);
});

t.test("the model server saw each request's bytes as they were sent", async (t) => {
  const { direct, gateway } = await both("/process", () => ({
    ...text("naïve café: 3 March 2021"),
    headers: { "content-type": "text/plain; charset=utf-8" },
  }));
  t.same(gateway, direct);
  const seen = (await server.requests()).filter((each) => each.url === "/process").slice(-2);
  t.equal(seen[0]?.sha256, seen[1]?.sha256);
});

t.test("what is wrong with a request is the model server's to say, also through the queue", async (t) => {
  for (const path of ["/process_bulk", "/process_bulk_file"]) {
    const { direct, gateway } = await both(path, () => ({
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{not json",
    }));
    t.ok(direct.status >= 400);
    t.same(gateway, direct, path);
  }
});
