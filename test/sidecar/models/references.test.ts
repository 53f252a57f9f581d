/** What a model's reference means, with MLflow there, away, and not askable. */
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createPackages } from "../../../sidecar/models/packages.js";
import { createReferences, modelFolder } from "../../../sidecar/models/references.js";
import { createMlflow } from "../../../sidecar/tracking/mlflow.js";
import { type FakeMlflow, startMlflow } from "../../helpers/mlflow.js";
import { quiet } from "../tasks/store-rig.js";

function knowing(t: Test, fake: FakeMlflow) {
  const address = { uri: fake.uri, username: "", password: "", ca: null };
  const mlflow = createMlflow({ ...address, clock: systemClock, logger: quiet, timeoutMs: 2_000, retryAfterMs: 20 });
  t.teardown(() => mlflow.close());
  return mlflow;
}

const byRun = (trackingId: string) => ({ modelUri: null, trackingId });
const byUri = (modelUri: string) => ({ modelUri, trackingId: null });

t.test("a run's model is its tag's, else its folder model, else the only folder that says model", async (t) => {
  const fake = await startMlflow(t);
  const references = createReferences(knowing(t, fake), createPackages(null));
  const put = (run_id: string, folders: string[], tags: Record<string, string> = {}) => {
    fake.put({ run_id, tags });
    for (const path of folders) fake.putArtifact(run_id, { path });
  };
  put("tagged", ["model"], { "training.output.model_uri": " models:/tagged/3 " });
  put("empty-tag", ["model"], { "training.output.model_uri": "" });
  put("exact", ["model", "model_old", "logs"]);
  put("single", ["medcat_model_pack", "logs"]);
  put("two", ["model_one", "model_two"]);
  put("bare", ["logs"]);
  put("file", []);
  fake.putArtifact("file", { path: "model", text: "no folder" });
  for (const [run, uri] of [
    ["tagged", "models:/tagged/3"],
    ["empty-tag", "runs:/empty-tag/model"],
    ["exact", "runs:/exact/model"],
    ["single", "runs:/single/medcat_model_pack"],
  ] as const) {
    t.equal(await references.resolve(byRun(run), false), uri, run);
  }
  for (const run of ["two", "bare", "file"]) {
    const error = { code: "REFERENCE_UNKNOWN", status: 404, message: new RegExp(`run '${run}' does not say`) };
    await t.rejects(references.resolve(byRun(run), false), error, run);
  }
  for (const run of ["nowhere", "x".repeat(10_000)]) {
    const error = { code: "REFERENCE_UNKNOWN", message: /does not know a run '[^']{1,101}'/ };
    await t.rejects(references.resolve(byRun(run), false), error);
  }
  const both = { modelUri: " models:/given/1\n", trackingId: "nowhere" };
  t.equal(await references.resolve(both, false), "models:/given/1", "the URI wins, trimmed, and nobody is asked");
  t.equal(modelFolder([{ path: "a/model", isFolder: true }]), "a/model");
});

t.test("no reference, a blank one and one no program can take are refused", async (t) => {
  const references = createReferences(null, createPackages(null));
  for (const modelUri of [null, ""]) {
    for (const trackingId of [null, ""]) {
      const error = { code: "REFERENCE_MISSING", status: 400, message: /model_uri.*tracking_id/ };
      await t.rejects(references.resolve({ modelUri, trackingId }, false), error);
    }
  }
  for (const trackingId of [null, "run"]) {
    const error = { code: "REFERENCE_MISSING", message: /Model URI cannot be empty/ };
    await t.rejects(references.resolve({ modelUri: " \t\n", trackingId }, false), error);
  }
  await t.rejects(references.resolve(byUri("models:/a\0b/1"), false), { code: "INVALID_PARAMETER", status: 422 });
});

t.test("a URI that must be known is looked up where MLflow can be asked, and refused elsewhere", async (t) => {
  const fake = await startMlflow(t);
  const references = createReferences(knowing(t, fake), createPackages(null));
  fake.put({ run_id: "r" });
  fake.putModel({ run_id: "r" });
  fake.putVersion({ name: "m", version: "2", run_id: "r", aliases: ["champion"] });
  for (const uri of [
    "runs:/r/model",
    "models:/m/2",
    "models:/m@champion",
    "models:/m/latest",
    "models:/m/champion",
    "mlflow-artifacts:/1/r/artifacts/model",
    "mlflow-artifacts://mlflow:5000/1/r/artifacts/model",
  ]) {
    t.equal(await references.resolve(byUri(uri), true), uri);
  }
  for (const uri of [
    "runs:/r/other",
    "runs:/nowhere/model",
    "models:/m/3",
    "models:/m@nobody",
    "models:/nobody/latest",
  ]) {
    const error = { code: "REFERENCE_UNKNOWN", status: 404, message: new RegExp(`does not know model_uri '${uri}'`) };
    await t.rejects(references.resolve(byUri(uri), true), error, uri);
  }
  for (const uri of [
    "mlflow-artifacts:/1/r/artifacts/other",
    "mlflow-artifacts:/1/nowhere/artifacts/model",
    "s3://key:secret@bucket/1/r/artifacts/model",
  ]) {
    const error = { code: "REFERENCE_UNKNOWN", message: "MLflow does not know this model_uri" };
    await t.rejects(references.resolve(byUri(uri), true), error, `${uri}: not where that run keeps its own`);
  }
  const secret = references.resolve(byUri("s3://key:secret@bucket/model"), true);
  const refused = await secret.then(
    () => null,
    (error: Error) => error,
  );
  t.match(refused, { code: "REFERENCE_UNKNOWN", message: /neither runs:\/ nor models:/ });
  t.notMatch(refused!.message, /secret/);
  t.equal(await references.resolve(byUri("s3://bucket/model"), false), "s3://bucket/model");
  fake.put({ run_id: "lost", tags: { "training.output.model_uri": "models:/gone/1" } });
  fake.put({ run_id: "kept", tags: { "training.output.model_uri": "mlflow-artifacts:/1/kept/artifacts/model" } });
  fake.putModel({ run_id: "kept" });
  t.equal(await references.resolve(byRun("kept"), true), "mlflow-artifacts:/1/kept/artifacts/model");
  await t.rejects(references.resolve(byRun("lost"), true), { code: "REFERENCE_UNKNOWN" }, "a run's own URI too");
});

t.test("MLflow away is a 503 that says when to come back, and never a 404", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r", tags: { "training.output.model_uri": "models:/m/1" } });
  fake.putVersion({ name: "m", run_id: "r" });
  const references = createReferences(knowing(t, fake), createPackages(null));
  await fake.stop();
  const away = { code: "TRACKING_UNAVAILABLE", status: 503, retryAfterMs: 15_000 };
  await t.rejects(references.resolve(byRun("r"), false), away);
  await t.rejects(references.resolve(byUri("models:/m/1"), true), away);
  t.equal(await references.resolve(byUri("models:/m/1"), false), "models:/m/1", "a URI needs nobody");
  await fake.start();
  for (let tries = 0; ; tries++) {
    const uri = await references.resolve(byRun("r"), true).catch(() => null);
    if (uri === "models:/m/1") break;
    if (tries > 200) throw new Error("it never came back");
    await systemClock.sleep(20);
  }
  fake.trouble.set("/api/2.0/mlflow/artifacts/list", 500);
  fake.put({ run_id: "untagged" });
  await t.rejects(references.resolve(byRun("untagged"), false), away, "so is its artifact store");
});

t.test("a store that is not asked over HTTP says so", async (t) => {
  const references = createReferences(null, createPackages(null));
  const error = { code: "REFERENCE_UNKNOWN", message: /tracking\.uri is no http/ };
  await t.rejects(references.resolve(byRun("r"), false), error);
  await t.rejects(references.resolve(byUri("models:/m/1"), true), error);
  t.equal(await references.resolve(byUri("models:/m/1"), false), "models:/m/1");
});
