import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import t from "tap";
import { type RunningGazetteer, startGazetteer, type Teardown } from "../../helpers/gazetteer.js";

const DATA = new URL("../../../../test/data/", import.meta.url);
const EXPORT = await readFile(new URL("trainer_export.json", DATA));

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into by assertions, which is their check
type Json = any;

function exportOf(text: string, ...annotations: object[]): string {
  return JSON.stringify({ projects: [{ id: 1, name: "p", documents: [{ id: 1, name: "d", text, annotations }] }] });
}

async function send(server: RunningGazetteer, path: string, content: string | Buffer, field = "trainer_export") {
  const form = new FormData();
  form.append("description", "words");
  form.append(field, new Blob([content]), "input.json");
  const response = await fetch(server.url + path, { method: "POST", body: form });
  return { status: response.status, body: (await response.json()) as Json };
}

async function getJson(server: RunningGazetteer, path: string) {
  const response = await fetch(server.url + path);
  return { status: response.status, body: (await response.json()) as Json };
}

async function waitForEnd(server: RunningGazetteer, id: string) {
  for (let tries = 0; tries < 500; tries++) {
    const { body } = await getJson(server, `/train_eval_info?train_eval_id=${id}`);
    if (body[0].status !== "RUNNING") return body[0];
    await pause(20);
  }
  throw new Error(`${id} did not end`);
}

async function annotate(server: RunningGazetteer, text: string) {
  const response = await fetch(`${server.url}/process`, {
    method: "POST",
    body: text,
    headers: { "content-type": "text/plain" },
  });
  return ((await response.json()) as Json).annotations;
}

const start = (t: Teardown, ...args: string[]) => startGazetteer(t, { args });

t.test("a training adds the words of an export that count, and no others", async (t) => {
  const server = await start(t);
  const text = "Has \u{1F9E0} brain fog, foo and bar and baz.";
  const at = (word: string) => Array.from(text.slice(0, text.indexOf(word))).length;
  const mark = (cui: string, word: string, more: object = {}) => ({
    id: 1,
    cui,
    start: at(word),
    end: at(word) + word.length,
    ...more,
  });
  const content = exportOf(
    text,
    mark("C1", "brain fog"),
    mark("C2", "foo", { correct: false }),
    mark("C3", "bar", { deleted: true }),
    mark("C4", "baz", { killed: true }),
  );
  const accepted = await send(server, "/train_supervised?tracking_id=job-1", content);
  t.equal(accepted.status, 202);
  t.strictSame(Object.keys(accepted.body), ["message", "training_id", "experiment_id", "run_id"]);
  t.equal(accepted.body.training_id, "job-1");
  const run = await waitForEnd(server, "job-1");
  t.match(run, {
    run_id: accepted.body.run_id,
    experiment_id: accepted.body.experiment_id,
    run_name: "job-1",
    status: "FINISHED",
    lifecycle_stage: "active",
    tags: {
      "mlflow.note.content": "words",
      "training.input_data.filename": "input.json",
      "training.trainer.mode": "train",
    },
  });
  t.ok(run.end_time >= run.start_time);
  t.match(await annotate(server, "a brain  fog with foo, bar and baz"), [{ label_id: "C1", start: 2, end: 12 }]);
  t.equal((await annotate(server, "a brain fog with foo, bar and baz")).length, 1);
});

t.test("training on the real export raises its scores and tells progress document by document", async (t) => {
  const server = await start(t);
  await send(server, "/evaluate?tracking_id=before", EXPORT);
  await waitForEnd(server, "before");
  const accepted = await send(server, "/train_supervised?tracking_id=train&epochs=2", EXPORT);
  t.equal(accepted.status, 202);
  await waitForEnd(server, "train");
  const evaluated = await send(server, "/evaluate?tracking_id=after", EXPORT);
  t.strictSame(Object.keys(evaluated.body), ["message", "evaluation_id", "experiment_id", "run_id"]);
  t.match(await waitForEnd(server, "after"), { status: "FINISHED", tags: { "training.trainer.mode": "eval" } });
  const metrics = async (id: string) => (await getJson(server, `/train_eval_metrics?train_eval_id=${id}`)).body[0];
  const [before, trained, after] = [await metrics("before"), await metrics("train"), await metrics("after")];
  t.equal(before.recall[0], 0, "the built-in list has other ids");
  t.equal(trained.f1.length, 2, "one value for each epoch");
  t.strictSame(
    trained.documents_done,
    Array.from({ length: 16 }, (_, index) => index + 1),
  );
  t.ok(after.f1[0] > 0.95, `F1 is ${after.f1[0]}`);
  t.equal(after.concepts.length, after.per_concept_f1.length);
});

t.test("supervised training and evaluation share one slot, unsupervised has its own", async (t) => {
  const server = await start(t, "--train-doc-ms", "2000");
  const first = await send(server, "/train_supervised", EXPORT);
  for (const path of ["/train_supervised", "/evaluate"]) {
    const refused = await send(server, path, EXPORT);
    t.equal(refused.status, 503);
    t.strictSame(Object.keys(refused.body), ["message", "experiment_id", "run_id"]);
    t.equal(refused.body.run_id, first.body.run_id, "the id of the run that is active");
    t.match(refused.body.message, /^Another training or evaluation on this model is still active\. Please retry /);
  }
  t.equal((await send(server, "/train_unsupervised", '["asthma"]', "training_data")).status, 202);
  t.equal((await send(server, "/train_unsupervised", '["asthma"]', "training_data")).status, 503);
});

t.test("cancelling ends what runs as KILLED with nothing learned, and is refused when nothing runs", async (t) => {
  const server = await start(t, "--train-doc-ms", "60000");
  const cancel = () => fetch(`${server.url}/cancel_training`, { method: "POST" });
  t.equal((await cancel()).status, 400);
  await send(server, "/train_supervised?tracking_id=c", EXPORT);
  const cancelled = await cancel();
  t.equal(cancelled.status, 202);
  t.strictSame(await cancelled.json(), { message: "The in-progress training will be stopped momentarily." });
  const run = await waitForEnd(server, "c");
  t.equal(run.status, "KILLED");
  t.notOk("exception" in run.tags);
  t.equal((await cancel()).status, 400);
  t.match(await annotate(server, "hypertension"), [{ label_id: "38341003" }]);
  t.equal((await send(server, "/train_supervised", EXPORT)).status, 202, "the slot is free again");
});

t.test("a training that fails says why and leaves the model as it was", async (t) => {
  const server = await start(t, "--train-fail-after", "3");
  await send(server, "/train_supervised?tracking_id=f", EXPORT);
  t.match(await waitForEnd(server, "f"), { status: "FAILED", tags: { exception: /after 3 documents/ } });
  t.match(await annotate(server, "hypertension"), [{ label_id: "38341003" }]);
});

t.test("unsupervised training counts the concepts it meets", async (t) => {
  const server = await start(t);
  await send(
    server,
    "/train_unsupervised?tracking_id=u&log_frequency=1",
    '["asthma and asthma","fever"]',
    "training_data",
  );
  t.match(await waitForEnd(server, "u"), { status: "FINISHED" });
  const { body } = await getJson(server, "/train_eval_metrics?train_eval_id=u");
  const asthma = body[0].concepts.indexOf("195967001");
  t.equal(body[0].per_concept_train_count_after[asthma] - body[0].per_concept_train_count_before[asthma], 2);
});

t.test("a version outlives the server and another server starts from it; so do the runs", async (t) => {
  const dataDir = t.testdir();
  const first = await start(t, "--data-dir", dataDir, "--name", "my model");
  await send(first, "/train_supervised?tracking_id=one", EXPORT);
  const { tags, experiment_id } = await waitForEnd(first, "one");
  await send(first, "/train_supervised?tracking_id=two", EXPORT);
  await waitForEnd(first, "two");
  first.kill("SIGKILL");
  await first.exited;
  t.strictSame((await readdir(join(dataDir, "versions"))).sort(), ["my_model-1.json", "my_model-2.json"]);
  t.match(tags["training.output.model_uri"], /^file:\/\/.*my_model-1\.json$/);
  t.equal(tags["training.output.package"], "my_model-1.json");
  const plain = await start(t, "--data-dir", dataDir, "--name", "my model");
  t.match(await annotate(plain, "hypertension"), [{ label_id: "38341003" }], "it starts from the built-in list");
  t.match((await getJson(plain, "/train_eval_info?train_eval_id=one")).body, [{ status: "FINISHED", experiment_id }]);
  const trained = await start(t, "--model-path", tags["training.output.model_uri"]);
  t.match(await annotate(trained, "hypertension"), [{ label_id: "C0020538" }]);
});

t.test(
  "a run that the server did not survive is FAILED after the restart, one that was stopped is KILLED",
  async (t) => {
    const dataDir = t.testdir();
    for (const [signal, status] of [
      ["SIGKILL", "FAILED"],
      ["SIGTERM", "KILLED"],
    ] as const) {
      const server = await start(t, "--data-dir", dataDir, "--train-doc-ms", "60000");
      await send(server, `/train_supervised?tracking_id=${signal}`, EXPORT);
      t.match(await readFile(join(dataDir, "runs.json"), "utf8"), signal, "it was written down before the 202");
      server.kill(signal);
      await server.exited;
      const again = await start(t, "--data-dir", dataDir);
      t.equal((await getJson(again, `/train_eval_info?train_eval_id=${signal}`)).body[0].status, status);
      await again.stop();
    }
  },
);

t.test("a training whose result cannot be kept has failed and says why", async (t) => {
  const dataDir = t.testdir();
  const server = await start(t, "--data-dir", dataDir, "--train-doc-ms", "20");
  await send(server, "/train_supervised?tracking_id=gone", EXPORT);
  await rm(dataDir, { recursive: true });
  await writeFile(dataDir, "a file where the folder was");
  t.match(await waitForEnd(server, "gone"), { status: "FAILED", tags: { exception: /ENOTDIR|EEXIST/ } });
  t.match(await annotate(server, "hypertension"), [{ label_id: "38341003" }], "what is not kept is not served");
});

t.test("a damaged version keeps the server from starting", async (t) => {
  const file = join(t.testdir(), "v.json");
  await writeFile(file, '{"format":"other"}');
  await t.rejects(start(t, "--model-path", file), { message: /is not a version of a gazetteer/ });
});

t.test("bad requests are refused in CMS's shapes and order", async (t) => {
  const server = await start(t);
  const train = (path: string, content: string | Buffer = EXPORT, field?: string) => send(server, path, content, field);
  t.match(await train("/train_supervised", EXPORT, "other"), {
    status: 422,
    body: { detail: [{ loc: ["body", "trainer_export"] }] },
  });
  t.match(await train("/train_supervised?epochs=-1&log_frequency=0"), {
    status: 422,
    body: { detail: [{ ctx: { ge: 0 } }, { ctx: { ge: 1 } }] },
  });
  t.match(await train("/train_supervised?epochs=1.5"), { status: 422, body: { detail: [{ type: "int_parsing" }] } });
  t.match(await train("/train_supervised?lr_override=0"), {
    status: 422,
    body: { detail: [{ type: "greater_than", ctx: { gt: 0 } }] },
  });
  t.equal((await train("/train_supervised?test_size=-1&epochs=0")).status, 202, "negative sizes are allowed here");
  t.equal((await train("/train_unsupervised?test_size=-1", "[]", "training_data")).status, 422, "and not here");
  for (const id of ["", "-a", "a%20b", `a${"b".repeat(256)}`, "a%0A"]) {
    t.match(
      await train(`/train_supervised?tracking_id=${id}`),
      { status: 400, body: { detail: /^Invalid tracking ID '/ } },
      id,
    );
  }
  for (const content of [
    "[]",
    "{",
    '{"projects":[{}]}',
    '{"projects":[{"id":1,"documents":[{"text":"a","annotations":[{}]}]}]}',
  ]) {
    t.match(await train("/evaluate", content), { status: 400, body: { message: /trainer export/ } }, content);
  }
  t.match(await train("/train_unsupervised", "{", "training_data"), { status: 500, body: { message: String } });
  t.strictSame(await getJson(server, "/train_eval_info?train_eval_id=none"), { status: 404, body: [] });
  t.strictSame(await getJson(server, "/train_eval_metrics?train_eval_id=none"), { status: 404, body: [] });
  t.equal((await getJson(server, "/train_eval_info")).status, 422);
  t.equal((await send(server, "/train_metacat", EXPORT)).status, 404);
});
