import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import t from "tap";
import { startGazetteer } from "../../helpers/gazetteer.js";

const DATA = new URL("../../../../test/data/", import.meta.url);
const server = await startGazetteer(t);
const { url } = server;
const TEXT = { "content-type": "text/plain" };
const JSON_TYPE = { "content-type": "application/json" };

async function ask(path: string, init: RequestInit = {}) {
  const response = await fetch(url + path, { redirect: "manual", ...init });
  const body = await response.text();
  return { status: response.status, headers: response.headers, body, json: () => JSON.parse(body) };
}

const post = (path: string, body: NonNullable<RequestInit["body"]>, headers: Record<string, string> = TEXT) =>
  ask(path, { method: "POST", body, headers });

async function upload(path: string, field: string, ...files: string[]) {
  const form = new FormData();
  for (const file of files) form.append(field, new Blob([await readFile(new URL(file, DATA))]), file);
  return ask(path, { method: "POST", body: form });
}

t.test("probes, card and metrics answer in CMS's words", async (t) => {
  t.match(await ask("/healthz"), { status: 200, body: "OK" });
  t.match(await ask("/readyz"), { status: 200, body: "medcat_snomed" });
  t.match(await ask("/readyz", { method: "HEAD" }), { status: 405 });
  const card = (await ask("/info")).json();
  t.strictSame(Object.keys(card), ["api_version", "model_type", "model_description", "model_card", "labels"]);
  t.equal(card.model_card, null);
  t.match((await ask("/metrics")).body, /http_requests_total\{handler="\/healthz",method="GET",status="2xx"\} 1/);
});

t.test("the description lists exactly the routes that answer", async (t) => {
  const { paths } = (await ask("/openapi.json")).json();
  for (const [path, operations] of Object.entries<object>(paths)) {
    const other = "get" in operations ? "PUT" : "GET";
    if (path !== "/stream/sse/events") t.equal((await ask(path, { method: other })).status, 405, path);
  }
  t.notOk("/misbehave/log" in paths);
});

t.test("unknown paths, wrong methods and wrong slashes are answered as the framework does", async (t) => {
  t.match(await ask("/nothing"), { status: 404, body: '{"detail":"Not Found"}' });
  const wrong = await ask("/process", { method: "OPTIONS" });
  t.match(wrong, { status: 405, body: '{"detail":"Method Not Allowed"}' });
  t.equal(wrong.headers.get("allow"), "POST");
  const slash = await ask("/info/?a=1");
  t.equal(slash.status, 307);
  t.equal(slash.headers.get("location"), `${url}/info?a=1`);
  const root = await ask("/", { headers: { "x-forwarded-prefix": "/models/x" } });
  t.equal(root.headers.get("location"), `${url}/models/x/docs`);
  t.equal((await ask("/models/x/healthz", { headers: { "x-forwarded-prefix": "/models/x" } })).body, "OK");
});

t.test("what is not HTTP is refused with 400 and the connection is closed", async (t) => {
  const socket = connect(server.port, "127.0.0.1", () => socket.write("\u0001 nonsense\r\n\r\n"));
  let answer = "";
  for await (const chunk of socket) answer += chunk;
  t.match(answer, /^HTTP\/1\.1 400 [\s\S]*Invalid HTTP request received\.$/);
});

t.test("the content type decides whether a body is raw text or a JSON string", async (t) => {
  t.match((await post("/process", "has asthma")).json(), {
    text: "has asthma",
    annotations: [{ start: 4, end: 10, label_id: "195967001" }],
  });
  t.equal((await post("/process", "asthma", { "content-type": "application/x-www-form-urlencoded" })).status, 200);
  t.equal((await post("/process", '"asthma"', JSON_TYPE)).json().text, "asthma");
  t.equal((await post("/process", '"asthma"', { "content-type": "application/vnd.x+json" })).json().text, "asthma");
  t.match((await post("/process", "asthma", JSON_TYPE)).json(), { detail: [{ type: "json_invalid", loc: ["body"] }] });
  t.match((await post("/process", "{}", JSON_TYPE)).json(), { detail: [{ type: "string_type", loc: ["body"] }] });
  t.equal((await post("/process", new Uint8Array(Buffer.from("asthma")), {})).status, 422, "no type at all means JSON");
  t.match(await post("/process", ""), { status: 422 });
  t.match(await post("/process", new Uint8Array([0x61, 0xff])), { status: 500, body: /^{"message":/ });
});

t.test("bulk answers in order and refuses what is not an array of strings", async (t) => {
  const notes = JSON.parse(await readFile(new URL("sample_texts.json", DATA), "utf8")) as string[];
  const bulk = (await post("/process_bulk", JSON.stringify(notes), JSON_TYPE)).json();
  t.strictSame(
    bulk.map(({ text }: { text: string }) => text),
    notes,
  );
  t.strictSame(bulk[0], (await post("/process", notes[0]!)).json());
  t.match((await post("/process_bulk", '["a",1]', JSON_TYPE)).json(), {
    detail: [{ type: "string_type", loc: ["body", 1] }],
  });
  t.match((await post("/process_bulk", '{"a":1}', JSON_TYPE)).json(), { detail: [{ type: "list_type" }] });
});

t.test("an uploaded file is annotated into a download", async (t) => {
  const file = await upload("/process_bulk_file?tracking_id=T-1", "multi_text_file", "multi_text_file.json");
  t.equal(file.headers.get("content-disposition"), 'attachment ; filename="entities_T-1.json"');
  t.equal(file.headers.get("content-length"), null, "sent in chunks");
  t.match(file.json(), [
    { annotations: [{ label_name: "Kidney failure" }] },
    { annotations: [{ start: 23, end: 37 }] },
  ]);
  t.match(await upload("/process_bulk_file?tracking_id=-x", "multi_text_file", "multi_text_file.json"), {
    status: 400,
    body: /Invalid tracking ID '-x'/,
  });
  t.match(await upload("/process_bulk_file", "other", "multi_text_file.json"), {
    status: 422,
    body: /"loc":\["body","multi_text_file"\]/,
  });
  t.match(await upload("/process_bulk_file", "multi_text_file", "public_key.pem"), {
    status: 500,
    body: /^{"message"/,
  });
  t.match(await post("/process_bulk_file", "x", { "content-type": "multipart/form-data" }), {
    status: 400,
    body: /Missing boundary/,
  });
});

t.test("lines are all checked before the first is answered", async (t) => {
  const ndjson = { "content-type": "application/x-ndjson" };
  const good = await post("/process_jsonl", '{"text":"asthma"}\n{"text":"nothing"}\n{"text":"TIA","name":"n"}', ndjson);
  t.equal(good.headers.get("content-type"), "application/x-ndjson; charset=utf-8");
  t.ok(good.body.endsWith("}\n"));
  t.match(
    good.body
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
    [
      { doc_name: "0", text: "asthma" },
      { doc_name: "n", text: "TIA" },
    ],
  );
  t.match(await post("/process_jsonl", '{"text":"nothing"}', ndjson), { status: 200, body: "" });
  for (const bad of ['{"text":"a"}\n{', '{"text":"a"}\n\n{"text":"b"}', '{"text":"a","x":1}', '{"name":"a"}']) {
    t.match(await post("/process_jsonl", bad, ndjson), { status: 400, body: /^{"message":/ }, bad);
  }
  t.equal((await post("/process_jsonl", "[]", ndjson)).status, 500);
});

t.test("redaction keeps, masks, hashes and warns", async (t) => {
  const note = "Dr Khan sees asthma and TIA";
  t.equal((await post("/redact", note)).body, "[Person name] sees [Asthma] and [Transient ischaemic attack]");
  t.equal(
    (await post("/redact?concepts_to_keep=195967001&concepts_to_keep=266257000&mask=**", note)).body,
    "** sees asthma and TIA",
  );
  t.equal(
    (await post("/redact?concepts_to_keep=195967001,266257000&mask=*", note)).body,
    "* sees * and *",
    "commas are not split",
  );
  t.match((await post("/redact?hash=true", "TIA")).body, /^[0-9a-f]{64}$/);
  t.equal((await post("/redact", "well")).body, "well");
  t.match(await post("/redact?warn_on_no_redaction=true", "well"), { status: 200, body: /^WARNING: / });
  t.match((await post("/redact?hash=perhaps", "well")).json(), {
    detail: [{ type: "bool_parsing", loc: ["query", "hash"] }],
  });
});

t.test("what encryption took out comes back with the private key", async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const public_key_pem = publicKey.export({ type: "spki", format: "pem" });
  const ask = (body: unknown, query = "") => post(`/redact_with_encryption${query}`, JSON.stringify(body), JSON_TYPE);
  const { redacted_text, encryptions } = (await ask({ text: "Dr Khan has asthma", public_key_pem })).json();
  t.equal(redacted_text, "[REDACTED_0] has [REDACTED_1]");
  const key = { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  const decrypted = encryptions.map(({ encryption }: { encryption: string }) =>
    privateDecrypt(key, Buffer.from(encryption, "base64")).toString(),
  );
  t.strictSame(decrypted, ["Dr Khan", "asthma"]);
  t.match((await ask({ text: "well", public_key_pem }, "?warn_on_no_redaction=true")).json(), {
    message: /^WARNING: /,
  });
  t.match(await ask({ text: "asthma", public_key_pem: "no key" }), { status: 500, body: /^{"message"/ });
  t.match((await ask({ text: 1 })).json(), {
    detail: [{ loc: ["body", "text"] }, { loc: ["body", "public_key_pem"] }],
  });
});

t.test("previews are escaped fragments to download", async (t) => {
  const preview = await post("/preview?tracking_id=p", "<b>asthma</b>");
  t.equal(preview.headers.get("content-disposition"), 'attachment ; filename="preview_p.html"');
  t.equal(preview.headers.get("content-type"), "application/octet-stream");
  t.match(preview.body, "&lt;b&gt;<mark>asthma <b>Asthma</b></mark>&lt;/b&gt;");
  const one = await upload(
    "/preview_trainer_export?project_id=14&document_id=3204",
    "trainer_export",
    "trainer_export.json",
  );
  t.match(one.body, /<mark>hypertension <b>C0020538<\/b><\/mark>/);
  const both = await upload("/preview_trainer_export", "trainer_export", "trainer_export.json", "trainer_export.json");
  t.equal(both.status, 400, "the two share a project id");
  t.equal(
    (await upload("/preview_trainer_export", "trainer_export", "trainer_export.json")).body.split("<br/><h2>").length,
    10,
  );
  t.match(await upload("/preview_trainer_export?document_id=1", "trainer_export", "trainer_export.json"), {
    status: 404,
    body: /^{"message"/,
  });
  t.match(await post("/preview_trainer_export", new URLSearchParams({ trainer_export_str: "{" }), {}), {
    status: 400,
    body: /not valid JSON/,
  });
});

t.test("export reports have CMS's columns", async (t) => {
  const stats = await upload("/annotation-stats?tracking_id=s", "trainer_export", "trainer_export.json");
  t.equal(stats.headers.get("content-type"), "text/csv; charset=utf-8");
  t.equal(stats.headers.get("content-disposition"), 'attachment ; filename="stats_s.csv"');
  t.match(stats.body, /^concept,anno_count,anno_unique_counts,anno_ignorance_counts\n[\s\S]*C0011860,15,3,0\n/);
  t.match(stats.body, /C0012634,5,1,5\n/, "annotations that do not count are told");
  t.match(
    (await upload("/sanity-check", "trainer_export", "trainer_export.json")).body,
    /^concept,name,precision,recall,f1\nC0003864,/,
  );
  const iaa = (scope: string, b = 14) =>
    upload(
      `/iaa-scores?annotator_a_project_id=14&annotator_b_project_id=${b}&scope=${scope}`,
      "trainer_export",
      "trainer_export.json",
    );
  t.match(
    (await iaa("per_concept")).body,
    /^concept,iaa_percentage,cohens_kappa,iaa_percentage_meta,cohens_kappa_meta\nC0003864,100,1,/,
  );
  t.match((await iaa("per_document")).body, /^doc_id,iaa_percentage,[^\n]*\n3204,100,1,/);
  t.match((await iaa("per_span")).body, /^doc_id,span_start,span_end,iaa_percentage,[^\n]*\n3204,\d+,\d+,100,1,/);
  t.match(await iaa("per_page"), { status: 400, body: /^{"message"/ });
  t.match(await iaa("per_span", 99), { status: 400, body: /^{"message"/ });
  t.equal((await upload("/iaa-scores", "trainer_export", "trainer_export.json")).json().detail.length, 3);
  const joined = await upload("/concat_trainer_exports?tracking_id=c", "trainer_export", "trainer_export.json");
  t.equal(joined.headers.get("content-disposition"), 'attachment ; filename="concatenated_c.json"');
  t.equal(joined.json().projects.length, 1);
  for (const path of ["/sanity-check", "/concat_trainer_exports", "/annotation-stats"]) {
    t.match(await upload(path, "trainer_export", "multi_text_file.json"), { status: 400, body: /^{"message"/ }, path);
    t.equal((await upload(`${path}?tracking_id=`, "trainer_export", "trainer_export.json")).status, 400, path);
  }
});

t.test("two annotators who differ get the agreement that arithmetic gives", async (t) => {
  const annotation = (cui: string, start: number) => ({ cui, start, end: start + 1 });
  const project = (id: number, ...annotations: object[]) => ({
    id,
    name: "p",
    documents: [{ id: 1, text: "abcdefgh", annotations }],
  });
  const projects = [
    project(1, annotation("x", 0), annotation("x", 1), annotation("y", 2)),
    project(2, annotation("x", 0), annotation("y", 1), annotation("y", 2), annotation("y", 3)),
  ];
  const form = new FormData();
  form.append("trainer_export", new Blob([JSON.stringify({ projects })]), "e.json");
  const path = "/iaa-scores?annotator_a_project_id=1&annotator_b_project_id=2&scope=per_concept";
  const rows = (await ask(path, { method: "POST", body: form })).body.trim().split("\n").slice(1);
  // x: A marks 0 and 1, B marks 0. Of four items 3 agree; by chance 0.5*0.25 + 0.5*0.75 = 0.5, so kappa is 0.5.
  t.equal(rows[0], "x,50,0.5,,");
  // y: A marks 2, B marks 1, 2 and 3. Of four items 2 agree; by chance 0.25*0.75 + 0.75*0.25 = 0.375, so kappa is 0.2.
  t.equal(rows[1], "y,33.33333333333333,0.2,,");
});

t.test("embeddings are the same for the same text and carry the tracking id", async (t) => {
  const embed = (body: unknown) => post("/v1/embeddings?tracking_id=e1", JSON.stringify(body), JSON_TYPE);
  const one = await embed({ input: "asthma", model: "m" });
  t.equal(one.headers.get("x-cms-tracking-id"), "e1");
  const two = (await embed({ input: ["asthma", "fever"] })).json();
  t.strictSame(two.data[0].embedding, one.json().data[0].embedding);
  t.notSame(two.data[1].embedding, two.data[0].embedding);
  t.equal((await embed({ input: 3 })).status, 422);
});

t.test("a limited server refuses beyond its rate, path by path, after reading the body", async (t) => {
  const limited = await startGazetteer(t, { args: ["--rate-limit", "2"] });
  const ask = (path: string) => fetch(limited.url + path, { method: "POST", body: "asthma", headers: TEXT });
  t.strictSame(
    [(await ask("/process")).status, (await ask("/process")).status, (await ask("/process")).status],
    [200, 200, 429],
  );
  const refused = await ask("/process");
  t.equal(refused.headers.get("retry-after"), null);
  t.strictSame(await refused.json(), { message: "Too many requests. Please wait and try your request again." });
  t.equal((await ask("/redact")).status, 200);
  t.equal((await limited.requests()).at(-2)?.bytes, 6);
});

t.test("a de-identification model knows identifiers only and lists their labels", async (t) => {
  const deid = await startGazetteer(t, { args: ["--model-type", "medcat_deid", "--name", "deid"] });
  t.equal(await (await fetch(`${deid.url}/readyz`)).text(), "anoncat");
  t.match(await (await fetch(`${deid.url}/info`)).json(), {
    model_type: "anoncat",
    labels: { DATE: "Date", NHS_NUMBER: "NHS number" },
  });
  const redacted = await fetch(`${deid.url}/redact`, { method: "POST", body: "Dr Khan sees asthma", headers: TEXT });
  t.equal(await redacted.text(), "[Person name] sees asthma");
});

t.test("a body beyond the limit is refused with 413 and the connection lives on", async (t) => {
  const small = await startGazetteer(t, { args: ["--max-body-bytes", "1000"] });
  const socket = connect(small.port, "127.0.0.1");
  socket.write(
    `POST /process HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 3000000\r\n\r\n${"x".repeat(3_000_000)}`,
  );
  socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  let answers = "";
  for await (const chunk of socket) answers += chunk;
  t.match(answers, /^HTTP\/1\.1 413 [\s\S]*\{"detail":"[^"]*1000 bytes"\}HTTP\/1\.1 200 OK[\s\S]*OK$/);
});
