/** The command against a server that speaks Sluice's wire and misbehaves: what a person sees, what is left behind, how it ends. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { runSluice } from "./programs/run-sluice.js";

const ID = "0b5c6a4e-6d0f-4c2b-9a55-0d6a1f1f4c11";
const RESULT = Buffer.from('{"entities":[]}');

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

async function startServer(t: Test, answers: Record<string, Answer>) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const key = `${request.method} ${request.url}`;
    seen.push({ method: request.method!, url: request.url!, headers: request.headers, body });
    const answer = answers[key];
    if (answer !== undefined) answer(request, response, body);
    else response.writeHead(404).end(JSON.stringify({ detail: `no answer for ${key}` }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const json =
  (value: unknown, status = 200): Answer =>
  (_request, response) =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));

const event = (status: string, more: object = {}) =>
  `event: status\ndata: ${JSON.stringify({ uuid: ID, status, position: null, eta_seconds: null, reason: null, ...more })}\n\n`;

const detail = (more: object = {}) => ({
  uuid: ID,
  status: "succeeded",
  model: "m",
  type: "process",
  error_message: null,
  reason: null,
  result_sha256: createHash("sha256").update(RESULT).digest("hex"),
  request_id: "req-7",
  ...more,
});

/** A task that ends well. */
const happy: Record<string, Answer> = {
  "POST /models/m/tasks/process": json({ uuid: ID, status: "Task submitted successfully" }),
  [`GET /tasks/${ID}/events`]: (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": hello\n\n");
    response.write(event("pending", { position: 2 }));
    response.end(event("succeeded"));
  },
  [`GET /tasks/${ID}?detail=true`]: json(detail()),
  [`GET /tasks/${ID}?download=true`]: (_request, response) => void response.end(RESULT),
};

const OTHER_TERMS = [
  ...["--tenant", "ward-7", "--deadline", "10m"],
  ...["--callback", "https://hooks.example.org/?token=x"],
];

t.test("submit streams the file with the task's content type and prints the result, nothing else", async (t) => {
  const { url, seen } = await startServer(t, happy);
  const dir = t.testdir({ "note.txt": "Patient né 1950" });
  const args = ["submit", "m", "process", join(dir, "note.txt"), "--url", url];
  const ended = await runSluice([...args, "--priority", "0", "--idempotency-key", "k 1", ...OTHER_TERMS]);
  t.match(ended, { code: 0, stderr: "" });
  t.same(ended.stdout, RESULT);
  t.equal(seen[0]!.body.toString(), "Patient né 1950");
  t.match(seen[0]!.headers, {
    "content-type": "text/plain",
    "content-length": "16",
    "x-sluice-priority": "0",
    "x-sluice-tenant": "ward-7",
    "x-sluice-deadline": "10m",
    "sluice-callback": "https://hooks.example.org/?token=x",
    "idempotency-key": "k 1",
  });
});

t.test("submit reads standard input and sends parameters", async (t) => {
  const { url, seen } = await startServer(t, {
    ...happy,
    "POST /models/m/tasks/process?a=1%262&b=x+y": happy["POST /models/m/tasks/process"]!,
  });
  const ended = await runSluice(["submit", "m", "process", "-", "--param", "a=1&2", "--param", "b=x y"], {
    input: "from a pipe",
    env: { SLUICE_URL: url },
  });
  t.equal(ended.code, 0, ended.stderr);
  t.match(seen[0], { headers: { "transfer-encoding": "chunked" } });
  t.equal(seen[0]!.body.toString(), "from a pipe");
});

t.test("submit writes the result to a file, whole, and leaves no temporary one", async (t) => {
  const { url } = await startServer(t, happy);
  const dir = t.testdir({ "note.txt": "x" });
  const output = join(dir, "result.json");
  const ended = await runSluice(["submit", "m", "process", join(dir, "note.txt"), "--url", url, "-o", output]);
  t.match(ended, { code: 0, stderr: "" });
  t.equal(ended.stdout.length, 0);
  t.same(readFileSync(output), RESULT);
  t.same(readdirSync(dir).sort(), ["note.txt", "result.json"]);
});

t.test("a result that arrives damaged is not left behind", async (t) => {
  const { url } = await startServer(t, {
    ...happy,
    [`GET /tasks/${ID}?download=true`]: (_request, response) => void response.end("{}"),
  });
  const dir = t.testdir();
  const ended = await runSluice(["tasks", "wait", ID, "--url", url, "--output", join(dir, "result.json")]);
  t.equal(ended.code, 1);
  t.match(ended.stderr, "arrived damaged");
  t.same(readdirSync(dir), []);
});

t.test("a result that is cut off is not left behind", async (t) => {
  const { url } = await startServer(t, {
    ...happy,
    [`GET /tasks/${ID}?download=true`]: (_request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("{");
      setTimeout(() => response.destroy(), 50);
    },
  });
  const dir = t.testdir();
  const ended = await runSluice(["tasks", "wait", ID, "--url", url, "--output", join(dir, "result.json")]);
  t.equal(ended.code, 3);
  t.match(ended.stderr, "the connection was cut");
  t.same(readdirSync(dir), []);
});

t.test("a form is sent as multipart, text and files byte for byte", async (t) => {
  const { url, seen } = await startServer(t, { "POST /models/m/tasks/train_supervised": json({ uuid: ID }) });
  const odd = Buffer.from([0, 255, 13, 10, 45, 45]);
  const dir = t.testdir();
  writeFileSync(join(dir, 'a"b.json'), odd);
  const form = ["--form", `trainer_export=@${join(dir, 'a"b.json')}`, "--form", "description=first = best"];
  const ended = await runSluice(["submit", "m", "train_supervised", ...form, "--no-wait", "--url", url]);
  t.match(ended, { code: 0, stderr: "" });
  t.equal(ended.stdout.toString(), `${ID}\n`);
  const { headers, body } = seen[0]!;
  t.equal(headers["content-length"], String(body.length));
  const parsed = await new Response(body, { headers: { "content-type": headers["content-type"]! } }).formData();
  t.equal(parsed.get("description"), "first = best");
  const file = parsed.get("trainer_export") as File;
  t.equal(file.name, 'a"b.json');
  t.same(Buffer.from(await file.arrayBuffer()), odd);
});

t.test("a file for a task that takes a form goes under the field CMS knows", async (t) => {
  const { url, seen } = await startServer(t, { "POST /models/m/tasks/process_bulk_file": json({ uuid: ID }) });
  const dir = t.testdir({ "texts.json": '["a"]' });
  const ended = await runSluice([
    "submit",
    "m",
    "process_bulk_file",
    join(dir, "texts.json"),
    "--no-wait",
    "--url",
    url,
  ]);
  t.equal(ended.code, 0, ended.stderr);
  t.match(seen[0]!.body.toString(), 'name="multi_text_file"; filename="texts.json"');
});

t.test("waiting goes on when the event stream is cut and when the sidecar is away for a moment", async (t) => {
  let asked = 0;
  const { url } = await startServer(t, {
    ...happy,
    [`GET /tasks/${ID}/events`]: (request, response, body) => {
      asked++;
      if (asked === 1) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(event("pending").slice(0, 20));
        setTimeout(() => response.destroy(), 30);
      } else if (asked === 2)
        json({ source: "sluice", error: { code: "SIDECAR_UNAVAILABLE", message: "away" } }, 503)(
          request,
          response,
          body,
        );
      else happy[`GET /tasks/${ID}/events`]!(request, response, body);
    },
  });
  const ended = await runSluice(["tasks", "wait", ID, "--url", url]);
  t.match(ended, { code: 0, stderr: "" });
  t.same(ended.stdout, RESULT);
  t.equal(asked, 3);
});

t.test("a failed task ends with 1, its reason and its request id", async (t) => {
  const failed = detail({ status: "failed", reason: "rejected", error_message: "the model server said 400: bad JSON" });
  const { url } = await startServer(t, { ...happy, [`GET /tasks/${ID}?detail=true`]: json(failed) });
  const ended = await runSluice(["tasks", "wait", ID, "--url", url]);
  t.equal(ended.code, 1);
  t.equal(ended.stdout.length, 0);
  t.match(ended.stderr, `task ${ID} failed (rejected): the model server said 400: bad JSON`);
  t.match(ended.stderr, "request id: req-7");
});

const endless: Record<string, Answer> = {
  ...happy,
  [`GET /tasks/${ID}/events`]: (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(event("pending"));
  },
};

t.test("waiting no longer than asked ends with 4 and leaves the task running", async (t) => {
  const { url, seen } = await startServer(t, endless);
  const ended = await runSluice(["tasks", "wait", ID, "--url", url, "--timeout", "300ms"]);
  t.equal(ended.code, 4);
  t.match(ended.stderr, `sluice tasks wait ${ID}`);
  t.notOk(seen.some((each) => each.method === "DELETE"));
});

t.test("Ctrl-C while waiting ends with 130, leaves the task running and says how to come back", async (t) => {
  let interrupt = () => {};
  const { url, seen } = await startServer(t, {
    ...endless,
    [`GET /tasks/${ID}/events`]: (request, response, body) => {
      endless[`GET /tasks/${ID}/events`]!(request, response, body);
      interrupt();
    },
  });
  const ended = await runSluice(["tasks", "wait", ID, "--url", url], {
    onStart: (kill) => {
      interrupt = () => kill("SIGINT");
    },
  });
  t.equal(ended.code, 130);
  t.match(ended.stderr, `sluice tasks wait ${ID}`);
  t.notOk(seen.some((each) => each.method === "DELETE"));
});

t.test("an error of Sluice shows its message, hint and request id", async (t) => {
  const error = { code: "QUEUE_FULL", message: "the queue holds 100000 tasks", hint: "Try later.", requestId: "req-9" };
  const { url } = await startServer(t, {
    "POST /models/m/tasks/process": json({ source: "sluice", error, detail: error.message }, 429),
  });
  const ended = await runSluice(["submit", "m", "process", "-", "--url", url], { input: "x" });
  t.equal(ended.code, 1);
  t.equal(ended.stderr, "sluice: the queue holds 100000 tasks\n  Try later.\n  request id: req-9\n");
});

t.test("tasks show, tasks cancel and models speak to programs in plain lines or JSON", async (t) => {
  const models = {
    running: [{ name: "m", is_running: true, model_type: "x\u001b[31m" }],
    on_demand: [{ name: "g", is_running: false }],
  };
  const told = detail({ callback: { state: "delivered", attempts: 1 } });
  const { url } = await startServer(t, {
    ...happy,
    "GET /models/?verbose=true": json(models),
    [`GET /tasks/${ID}?detail=true`]: json(told),
    [`DELETE /tasks/${ID}`]: json(detail({ status: "failed", reason: "cancelled" })),
  });
  t.match((await runSluice(["tasks", "show", ID, "--url", url])).stdout.toString(), "status\tsucceeded\n");
  t.match((await runSluice(["tasks", "show", ID, "--url", url])).stdout.toString(), "callback\tdelivered, sent once\n");
  t.same(JSON.parse((await runSluice(["tasks", "show", ID, "--url", url, "--json"])).stdout.toString()), told);
  t.equal((await runSluice(["tasks", "cancel", ID, "--url", url])).stdout.toString(), `Task ${ID} is cancelled.\n`);
  const listed = await runSluice(["models", "--url", url]);
  t.equal(listed.stdout.toString(), "m\trunning\tx [31m\t-\t-\ng\ton demand\t-\t-\t-\n");
  t.same(JSON.parse((await runSluice(["models", "--url", url, "--json"])).stdout.toString()), models);
});

t.test("tasks why says it in a sentence, and what for, line by line", async (t) => {
  const why = {
    uuid: ID,
    status: "pending",
    waiting_for: [
      { what: "x", code: "ahead", until: null, message: "3 tasks go before it." },
      { what: "y", code: "model_slot", until: "2026-01-02T03:04:05.600000+00:00", message: "1 call runs \u001b[31m." },
    ],
    position: 3,
    eta_seconds: null,
    summary: "It waits for x and y.",
  };
  const { url } = await startServer(t, { [`GET /tasks/${ID}/why`]: json(why) });
  t.equal(
    (await runSluice(["tasks", "why", ID, "--url", url])).stdout.toString(),
    [
      "It waits for x and y.",
      "- ahead: 3 tasks go before it.",
      "- model_slot: 1 call runs  [31m. Until about 2026-01-02 03:04:05 UTC.",
      "",
    ].join("\n"),
  );
  t.same(JSON.parse((await runSluice(["tasks", "why", ID, "--url", url, "--json"])).stdout.toString()), why);
});

t.test("exit codes tell usage, configuration and an absent Sluice apart", async (t) => {
  const dir = t.testdir({ "bad.yaml": "proxy: { port: 99999 }\n", "note.txt": "x" });
  const note = join(dir, "note.txt");
  const nobody = "http://127.0.0.1:1";
  const cases: [string[], number, RegExp][] = [
    [["submitt"], 2, /Did you mean submit\?/],
    [["submit", "m"], 2, /missing required argument 'task'/],
    [["submit", "m", "proces", note], 2, /Did you mean 'process'\?/],
    [["submit", "m", "process"], 2, /needs input/],
    [["submit", "m", "process", join(dir, "none.txt")], 2, /there is no such file/],
    [["submit", "m", "process", note, "--output", join(dir, "no", "where")], 2, /cannot write/],
    [["submit", "m", "process", note, "--output", join(dir, "out"), "--no-wait"], 2, /--no-wait brings no result/],
    [["tasks", "list", "--status", "cancelled"], 2, /one of pending, scheduled, running, succeeded, failed/],
    [["submit", "m", "process", note, "--deadline", "soon"], 2, /such as 90s, 5m or 2h/],
    [["submit", "m", "process", note, "--tenant", "a\n"], 2, /printable ASCII/],
    [["submit", "m", "process", note, "--priority", "10"], 2, /0 \(most urgent\) to 9/],
    [["serve", "--config", join(dir, "bad.yaml")], 2, /proxy\.port/],
    [["submit", "m", "process", note, "--url", nobody], 3, /cannot reach Sluice at http:\/\/127\.0\.0\.1:1/],
    [["models", "--url", nobody], 3, /nobody listens/],
    [["tasks", "list", "--data-dir", dir], 3, /no such socket[\s\S]*--data-dir names its data folder/],
    [["--version"], 0, /^$/],
    [["--help"], 0, /^$/],
  ];
  for (const [args, code, words] of cases) {
    const ended = await runSluice(args);
    t.equal(ended.code, code, `sluice ${args.join(" ")}: ${ended.stderr}`);
    t.match(ended.stderr, words);
  }
});
