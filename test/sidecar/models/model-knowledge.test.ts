/** What is shown of a model from MLflow, and how rarely it is asked for it. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createModelKnowledge } from "../../../sidecar/models/model-knowledge.js";
import { createMlflow } from "../../../sidecar/tracking/mlflow.js";
import { type FakeMlflow, startMlflow } from "../../helpers/mlflow.js";
import { quiet } from "../tasks/store-rig.js";

function knowledgeOf(t: Test, fake: Pick<FakeMlflow, "uri">, timeoutMs = 2_000) {
  let leaptMs = 0;
  const clock = { ...systemClock, elapsed: () => systemClock.elapsed() + leaptMs };
  const address = { uri: fake.uri, username: "", password: "", ca: null };
  const mlflow = createMlflow({ ...address, clock: systemClock, logger: quiet, timeoutMs, retryAfterMs: 1 });
  t.teardown(() => mlflow.close());
  const leap = (ms: number) => {
    leaptMs += ms;
  };
  return { ...createModelKnowledge(mlflow, clock), leap };
}

t.test("tracking holds CMG's seven keys, by run, by version, by alias and by artifact", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r" });
  const signature = { inputs: '[{"type": "string"}]', outputs: null, params: null };
  fake.putModel({ run_id: "r", signature });
  fake.putVersion({ name: "m", version: "4", run_id: "r", tags: { model_type: "medcat_icd10" }, aliases: ["best"] });
  const knowledge = knowledgeOf(t, fake);
  for (const uri of ["runs:/r/model", "models:/m/4", "models:/m@best", "mlflow-artifacts:/1/r/artifacts/model"]) {
    t.same(
      await knowledge.tracking(uri),
      {
        uuid: "uuid-r",
        run_id: "r",
        artifact_path: "model",
        utc_time_created: "2026-01-02 03:04:05.678901",
        mlflow_version: "2.16.2",
        signature,
        flavors: { python_function: { loader_module: "mlflow.pyfunc.model", python_version: "3.10.14" } },
      },
      uri,
    );
    t.equal(await knowledge.modelType(uri), "medcat_icd10", uri);
  }
  fake.put({ run_id: "bare" });
  fake.putModel({ run_id: "bare" });
  t.match(await knowledge.tracking("runs:/bare/model"), { signature: {} }, "{} where there is none");
  t.equal(await knowledge.modelType("runs:/bare/model"), null, "never registered");
});

t.test("what MLflow does not know is left out, and what it cannot know is not asked for", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r" });
  const knowledge = knowledgeOf(t, fake);
  for (const uri of ["s3://bucket/model", "/srv/model", "", "models:/zeta"]) {
    t.same([await knowledge.tracking(uri), await knowledge.modelType(uri)], [null, null], uri);
  }
  t.same(fake.asked, []);
  for (const uri of ["runs:/r/none", "runs:/nowhere/model", "models:/nobody/1", "models:/nobody@best"]) {
    t.same([await knowledge.tracking(uri), await knowledge.modelType(uri)], [null, null], uri);
  }
  const { tracking, modelType } = createModelKnowledge(null, systemClock);
  t.same([await tracking("runs:/r/model"), await modelType("runs:/r/model")], [null, null]);
});

t.test("many who ask together are one question, and a known answer is good for a minute", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r" });
  fake.putModel({ run_id: "r" });
  const knowledge = knowledgeOf(t, fake);
  await Promise.all(Array.from({ length: 30 }, () => knowledge.tracking("runs:/r/model")));
  t.equal(fake.asked.length, 2, "the run and the file");
  knowledge.leap(59_000);
  await knowledge.tracking("runs:/r/model");
  t.equal(fake.asked.length, 2);
  knowledge.leap(2_000);
  await knowledge.tracking("runs:/r/model");
  t.equal(fake.asked.length, 4);
});

t.test("MLflow away or slow leaves it out in time, and what comes back is soon seen", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r" });
  fake.putModel({ run_id: "r" });
  fake.putVersion({ name: "m", run_id: "r", tags: { model_type: "medcat_umls" } });
  const knowledge = knowledgeOf(t, fake, 200);
  fake.misbehaviour = "slow";
  t.same([await knowledge.tracking("runs:/r/model"), await knowledge.modelType("runs:/r/model")], [null, null]);
  await fake.stop();
  knowledge.leap(5_100);
  t.equal(await knowledge.tracking("runs:/r/model"), null);
  fake.misbehaviour = null;
  await fake.start();
  for (let tries = 0; (await knowledge.tracking("runs:/r/model")) === null; tries++) {
    if (tries > 200) throw new Error("it never came back");
    knowledge.leap(5_100);
    await systemClock.sleep(20);
  }
  knowledge.leap(5_100);
  t.equal(await knowledge.modelType("runs:/r/model"), "medcat_umls");
});

t.test("an artifact store in trouble hides tracking alone: the type still counts for a start", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r" });
  fake.putModel({ run_id: "r" });
  fake.putVersion({ name: "m", run_id: "r", tags: { model_type: "medcat_icd10" } });
  for (const path of ["/get-artifact", "/model-versions/get-artifact"]) fake.trouble.set(path, 500);
  const knowledge = knowledgeOf(t, fake);
  for (const uri of ["runs:/r/model", "models:/m/1"]) {
    t.equal(await knowledge.tracking(uri), null, uri);
    t.equal(await knowledge.modelType(uri), "medcat_icd10", uri);
  }
});

t.test("a list of thousands asks a few things at a time, and waits no longer than a list of one", async (t) => {
  let open = 0;
  let mostOpen = 0;
  const silent = http.createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  silent.on("connection", (socket) => {
    open += 1;
    mostOpen = Math.max(mostOpen, open);
    socket
      .on("error", () => {})
      .once("close", () => {
        open -= 1;
      });
  });
  t.teardown(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const uri = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const knowledge = knowledgeOf(t, { uri }, 60_000);
  const startedAt = performance.now();
  const uris = Array.from({ length: 2_000 }, (_, index) => `models:/m/${index}`);
  const found = await Promise.all(uris.flatMap((each) => [knowledge.tracking(each), knowledge.modelType(each)]));
  t.ok(found.every((each) => each === null));
  t.ok(performance.now() - startedAt < 8_000, `${Math.round(performance.now() - startedAt)} ms`);
  t.ok(mostOpen > 0 && mostOpen <= 32, `${mostOpen} connections`);
});
