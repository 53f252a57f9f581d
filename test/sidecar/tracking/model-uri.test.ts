import t from "tap";
import { toYaml } from "../../../config/yaml.js";
import { readModelFile } from "../../../sidecar/tracking/model-file.js";
import { isSameRoot, proxiedRoot, readModelUri } from "../../../sidecar/tracking/model-uri.js";

const HEX = "0123456789abcdef".repeat(2);

t.test("a model's URI is read as MLflow writes it, and nothing else is guessed at", async (t) => {
  for (const [uri, location] of [
    ["runs:/r1/model", { kind: "run", runId: "r1", path: "model" }],
    ["runs:/r1/deep/er/", { kind: "run", runId: "r1", path: "deep/er" }],
    ["models:/m/3", { kind: "version", name: "m", version: "3" }],
    ["models:/m@champion", { kind: "alias", name: "m", alias: "champion" }],
    ["models:/m/latest", { kind: "newest", name: "m", stage: null }],
    ["models:/m/Production", { kind: "newest", name: "m", stage: "Production" }],
    [`s3://b/1/r1/artifacts/deep/er`, { kind: "store", runId: "r1", path: "deep/er", root: "s3://b/1/r1/artifacts" }],
    [
      `s3://b/artifacts/1/${HEX}/artifacts/m/artifacts/x/`,
      { kind: "store", runId: HEX, path: "m/artifacts/x", root: `s3://b/artifacts/1/${HEX}/artifacts` },
    ],
    ["s3://mlflow/artifacts/1/r1/artifacts/model", { kind: "store", runId: "r1", path: "model" }],
    [
      "mlflow-artifacts:/1/r1/artifacts/model",
      { kind: "store", runId: "r1", root: "mlflow-artifacts:/1/r1/artifacts" },
    ],
    ["runs:/r1", null],
    ["runs:/r1/../r2/model", null],
    ["runs:/r1//model", null],
    ["models:/m", null],
    ["models:/m/1/2", null],
    ["models:/", null],
    ["s3://bucket/model", null],
    ["/srv/model", null],
    ["/srv/1/r1/artifacts/model", null],
    ["s3://b/1/r1/artifacts/../../r2/artifacts/../model", null],
    ["s3://b/1/r1/artifacts", null],
    ["file:///srv/model", null],
    ["xruns:/r1/model", null],
    ["", null],
  ] as const) {
    if (location === null) t.equal(readModelUri(uri), null, uri);
    else t.match(readModelUri(uri), location, uri);
  }
  t.equal(proxiedRoot("mlflow-artifacts:/1/r1/artifacts"), "1/r1/artifacts");
  t.equal(proxiedRoot("s3://bucket/1/r1/artifacts"), null);
  for (const [one, other, same] of [
    ["s3://b/1/r/artifacts", "s3://b/1/r/artifacts/", true],
    ["mlflow-artifacts:/1/r/artifacts", "mlflow-artifacts://mlflow:5000/1/r/artifacts", true],
    ["s3://b/1/r/artifacts", "s3://other/1/r/artifacts", false],
  ] as const) {
    t.equal(isSameRoot(one, other), same, other);
  }
});

t.test("an MLmodel file is read whole; a page or a broken text is none", async (t) => {
  const signature = { inputs: '[{"type": "string"}]', outputs: null, params: null };
  const file = {
    artifact_path: "model",
    flavors: { python_function: { python_version: "3.10.14" } },
    mlflow_version: "2.16.2",
    model_uuid: "u",
    run_id: "r",
    utc_time_created: "2026-01-02 03:04:05.678901",
  };
  const read = {
    uuid: "u",
    runId: "r",
    artifactPath: "model",
    createdUtc: "2026-01-02 03:04:05.678901",
    mlflowVersion: "2.16.2",
    signature: {},
    flavors: file.flavors,
  };
  t.same(readModelFile(toYaml(file)), read);
  t.same(readModelFile(toYaml({ ...file, signature })), { ...read, signature });
  t.match(readModelFile("flavors: {}\n"), { uuid: "", runId: "", flavors: {} });
  for (const text of ["<!doctype html><html></html>", "", "a: [", "- flavors", "flavors: none"]) {
    t.equal(readModelFile(text), null, text);
  }
});
