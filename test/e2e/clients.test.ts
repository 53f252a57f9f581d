/** What clients of tasks get through the whole: parts of results, reasons for waiting, and their task's end as soon as it is there. */
import t from "tap";
import type { TaskEvent, TaskWhy } from "../../core/contract/tasks.js";
import { startGazetteer } from "../helpers/gazetteer.js";
import { readNotes } from "../helpers/notes.js";
import { startSluice } from "../helpers/sluice.js";

const server = await startGazetteer(t);
const sluice = await startSluice(t, {
  config: { discovery: { static: [{ name: "m", url: server.url }] }, proxy: { timeouts: { drain: "500ms" } } },
});
const notes = (await readNotes()).map((each) => each.text);

async function submit(body: readonly string[], headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(`${sluice.url}/models/m/process_bulk`, {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "respond-async", ...headers },
    body: JSON.stringify(body),
  });
  return ((await answer.json()) as { uuid: string }).uuid;
}

const json = async (path: string) => (await (await fetch(sluice.url + path)).json()) as Record<string, unknown>;

/** The first event of this status, and when it came. */
async function eventOf(id: string, status: string): Promise<{ event: TaskEvent; atMs: number }> {
  const { body } = await fetch(`${sluice.url}/tasks/${id}/events`);
  let text = "";
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const events = text.split("\n\n");
    text = events.pop()!;
    for (const line of events.flatMap((event) => event.split("\n"))) {
      if (!line.startsWith("data: ")) continue;
      const event = JSON.parse(line.slice(6)) as TaskEvent;
      if (event.status === status) return { event, atMs: Date.now() };
    }
  }
  throw new Error(`the events ended without '${status}'`);
}

t.test("a result is fetched in parts through the proxy, and not again when it is known", async (t) => {
  const id = await submit(notes);
  await json(`/tasks/${id}?wait=60`);
  const url = `${sluice.url}/tasks/${id}?download=true`;
  const whole = await fetch(url);
  const bytes = Buffer.from(await whole.arrayBuffer());
  const etag = whole.headers.get("etag")!;
  t.ok(bytes.length > 64 * 1024, `${bytes.length} bytes: a file`);
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += 50_000) {
    const part = await fetch(url, { headers: { range: `bytes=${start}-${start + 49_999}`, "if-range": etag } });
    t.equal(part.status, 206);
    t.match(part.headers.get("content-range"), new RegExp(`^bytes ${start}-\\d+/${bytes.length}$`));
    parts.push(Buffer.from(await part.arrayBuffer()));
  }
  t.ok(Buffer.concat(parts).equals(bytes));
  const changed = await fetch(url, { headers: { range: "bytes=0-1", "if-range": '"another"' } });
  t.equal(changed.status, 200, "If-Range reaches the sidecar");
  t.equal((await changed.arrayBuffer()).byteLength, bytes.length);
  t.equal((await fetch(url, { headers: { "if-none-match": etag } })).status, 304);
  const beyond = await fetch(url, { headers: { range: `bytes=${bytes.length}-` } });
  t.match([beyond.status, beyond.headers.get("content-range")], [416, `bytes */${bytes.length}`]);
  await beyond.arrayBuffer();
  const head = await fetch(url, { method: "HEAD" });
  t.match(
    [head.status, head.headers.get("content-length"), head.headers.get("etag")],
    [200, String(bytes.length), etag],
  );
});

t.test("a task behind others is told how many, until when about, and in one sentence", async (t) => {
  const first = await submit(notes.slice(0, 2), { "x-misbehave": "delay=3000" });
  await eventOf(first, "scheduled");
  const [second, third] = [await submit(notes.slice(0, 1)), await submit(notes.slice(0, 1))];
  const why = (await json(`/tasks/${third}/why`)) as unknown as TaskWhy;
  t.match(why, { uuid: third, status: "pending", position: 1, eta_seconds: Number });
  t.same(
    why.waiting_for.map(({ code }) => code),
    ["ahead", "model_slot"],
  );
  t.match(why.summary, /^It waits for 1 task that goes before it and a slot of model 'm'; it starts in about \d+ s\.$/);
  t.match(await json(`/tasks/${second}?detail=true`), { status: "pending", position: 0, eta_seconds: Number });
  t.match((await eventOf(third, "succeeded")).event, { position: null, eta_seconds: null });
  t.match(await json(`/tasks/${first}/why`), { status: "succeeded", waiting_for: [], summary: /^It succeeded at / });
});

t.test("the end of a task reaches its watcher within 50 ms of its commit", async (t) => {
  const lateMs: number[] = [];
  for (let each = 0; each < 11; each++) {
    const id = await submit(notes.slice(0, 1), { "x-misbehave": "delay=150" });
    const { atMs } = await eventOf(id, "succeeded");
    // Written just before the commit: the commit's own time is in what is measured.
    lateMs.push(atMs - Date.parse(String((await json(`/tasks/${id}?detail=true`)).finished_at)));
  }
  lateMs.sort((one, other) => one - other);
  t.comment(`median ${lateMs[5]} ms, worst ${lateMs.at(-1)} ms`);
  t.ok(lateMs[5]! < 50, `${lateMs[5]} ms`);
});
