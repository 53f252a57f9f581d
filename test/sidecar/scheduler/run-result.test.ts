import t from "tap";
import { describeResult, exceptionList, SIBLING_TAG } from "../../../sidecar/scheduler/run-result.js";
import { readCmsMetrics, readCmsRun, readMlflowRun } from "../../../sidecar/tracking/tracked-run.js";

const INFO = {
  run_id: "r",
  run_name: "job",
  experiment_id: "7",
  status: "FINISHED",
  start_time: 1_000,
  end_time: 3_500,
  artifact_uri: "a",
};

const METRICS = { f1: [0.1, 0.5], concepts: ["C1"], empty: [], loss: [null] };

t.test("MLflow's run and the model server's give one result, CMG's keys in CMG's order", async (t) => {
  const data = {
    metrics: [
      { key: "f1", value: 0.5 },
      { key: "loss", value: "NaN" },
    ],
    params: [{ key: "epochs", value: "2" }],
    tags: [{ key: "mlflow.runName", value: "job" }],
  };
  const tracked = readMlflowRun({ info: { ...INFO, start_time: "1000" }, data });
  const served = { ...readCmsRun({ ...INFO, tags: { "mlflow.runName": "job" } }), metrics: readCmsMetrics(METRICS) };
  const expected = {
    run: {
      run_id: "r",
      run_name: "job",
      experiment_id: "7",
      status: "FINISHED",
      lifecycle_stage: "active",
      internal_url: "http://mlflow/base/#/experiments/7/runs/r",
    },
    timing: {
      started_at: "1970-01-01T00:00:01+00:00",
      finished_at: "1970-01-01T00:00:03.500000+00:00",
      duration_seconds: 2.5,
    },
    metrics: { f1: 0.5 },
    params: { epochs: "2" },
    tags: { "mlflow.runName": "job" },
    artifacts: { artifact_uri: "a" },
    error: null,
  };
  const result = describeResult(tracked, null, "http://user:secret@mlflow/base/");
  t.same(result, expected);
  t.same(Object.keys(result), Object.keys(expected));
  t.same(describeResult(served, null, "http://mlflow/base"), { ...expected, params: {} });
});

t.test("a sibling's numbers, tags and artefacts stand under the named run's name", async (t) => {
  const named = readMlflowRun({
    info: { ...INFO, status: "RUNNING", end_time: 0 },
    data: { metrics: [{ key: "per_concept_f1", value: 1 }], tags: [{ key: "mlflow.note.content", value: "mine" }] },
  });
  const sibling = readMlflowRun({
    info: { ...INFO, run_id: "s", run_name: "eager-fox-1", artifact_uri: "b" },
    data: {
      metrics: [{ key: "f1", value: 0.9 }],
      tags: [
        { key: "mlflow.runName", value: "eager-fox-1" },
        { key: "training.output.model_uri", value: "u" },
      ],
    },
  });
  t.match(describeResult(named, sibling, "http://mlflow"), {
    run: { run_id: "r", run_name: "job", status: "FINISHED" },
    timing: { duration_seconds: 2.5 },
    metrics: { per_concept_f1: 1, f1: 0.9 },
    tags: { "mlflow.note.content": "mine", "training.output.model_uri": "u", [SIBLING_TAG]: "s" },
    artifacts: { artifact_uri: "b" },
  });
});

t.test("what is no run is refused, odd members are left out", async (t) => {
  t.throws(() => readMlflowRun({ info: {} }), /without run_id/);
  t.throws(() => readCmsRun("text"), /without run_id/);
  const odd = readCmsRun({ run_uuid: "u", status: "PAUSED", start_time: {}, tags: { a: 1, b: "2" } });
  t.match(odd, { runId: "u", status: "RUNNING", startedAtMs: null, tags: { b: "2" } });
});

t.test("exceptions are told as CMG told them", async (t) => {
  t.equal(exceptionList(null), "None");
  t.equal(exceptionList(["E0", "E1"]), "['E0', 'E1']");
  t.equal(exceptionList(["can't", "a\nb"]), `["can't", 'a\\nb']`);
});
