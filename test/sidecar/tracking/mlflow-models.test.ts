/** What MLflow is asked about models, against a server that speaks as it does. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { createMlflow } from "../../../sidecar/tracking/mlflow.js";
import type { RegisteredVersion } from "../../../sidecar/tracking/mlflow-models.js";
import type { TrackedRun } from "../../../sidecar/tracking/tracked-run.js";
import { startMlflow } from "../../helpers/mlflow.js";

const logger = createLogger({ level: "silent", format: "json", process: "test" });

function client(t: Test, uri: string, retryAfterMs = 50) {
  const mlflow = createMlflow({
    ...{ uri, username: "admin", password: "pw", ca: null, clock: systemClock, logger },
    ...{ timeoutMs: 2_000, retryAfterMs },
  });
  t.teardown(() => mlflow.close());
  return mlflow;
}

t.test("artifacts, versions and model files are found, with name and password, below a base path", async (t) => {
  const fake = await startMlflow(t, { username: "admin", password: "pw", basePath: "/mlflow" });
  fake.put({ run_id: "r" });
  fake.putModel({ run_id: "r" });
  fake.putArtifact("r", { path: "notes.txt", text: "-" });
  for (const version of ["9", "10", "2"]) {
    fake.putVersion({ name: "m", version, run_id: "r", tags: { model_type: `type-${version}` } });
  }
  fake.putVersion({ name: "m", version: "1", run_id: "r", aliases: ["champion"] });
  const { models, getRun } = client(t, fake.uri);
  t.same(await models.artifacts("r", null), [
    { path: "model", isFolder: true },
    { path: "notes.txt", isFolder: false },
  ]);
  t.same(await models.artifacts("r", "model"), [{ path: "model/MLmodel", isFolder: false }]);
  t.match(await models.version({ kind: "version", name: "m", version: "9" }), { runId: "r", stage: "None" });
  t.match(await models.version({ kind: "alias", name: "m", alias: "champion" }), { version: "1" });
  t.match(
    await models.version({ kind: "newest", name: "m", stage: null }),
    { version: "10" },
    "as numbers, not as text",
  );
  t.equal(await models.version({ kind: "newest", name: "m", stage: "Production" }), "unknown");
  t.equal(await models.version({ kind: "newest", name: "' or name = 'm", stage: null }), "unknown");
  t.equal(await models.version({ kind: "version", name: "nobody", version: "1" }), "unknown");
  t.equal(await models.version({ kind: "alias", name: "m", alias: "nobody" }), "unknown");
  t.match(await models.versionsOfRun("r"), [{ version: "9", tags: { model_type: "type-9" } }, {}, {}, {}]);
  t.same(await models.versionsOfRun("nobody"), []);
  const run = (await getRun("r")) as TrackedRun;
  t.match(await models.fileOfRun(run, "model"), { uuid: "uuid-r", runId: "r", artifactPath: "model" });
  t.equal(await models.fileOfRun(run, "nothing"), "unknown");
  const version = (await models.version({ kind: "version", name: "m", version: "9" })) as RegisteredVersion;
  t.match(await models.fileOfVersion(version), { uuid: "uuid-r" });
  t.match(
    await models.version({ kind: "newest", name: "m", stage: "champion" }),
    { version: "1" },
    "an alias as CMS writes it",
  );
});

t.test("where MLflow's pages are closed its artifact proxy is asked", async (t) => {
  const fake = await startMlflow(t);
  const run = fake.put({ run_id: "r" });
  fake.putModel({ run_id: "r" });
  const { models, getRun } = client(t, fake.uri);
  fake.trouble.set("/get-artifact", 404);
  t.match(await models.fileOfRun((await getRun(run.run_id)) as TrackedRun, "model"), { uuid: "uuid-r" });
});

t.test("an artifact store in trouble does not make MLflow count as away", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r" });
  fake.putModel({ run_id: "r" });
  const { models, getRun } = client(t, fake.uri, 60_000);
  for (const path of ["/get-artifact", "/api/2.0/mlflow/artifacts/list"]) fake.trouble.set(path, 500);
  t.equal(await models.artifacts("r", null), "away");
  const run = await getRun("r");
  t.match(run, { runId: "r" }, "asked at once, and answered");
  t.equal(await models.fileOfRun(run as TrackedRun, "model"), "away");
  t.match(await getRun("r"), { runId: "r" });
  await fake.stop();
  // The first finds its connection cut, the second nobody.
  for (let each = 0; each < 2; each++) t.equal(await models.artifacts("r", null), "away");
  await fake.start();
  t.equal(await getRun("r"), "away", "but where nobody is there at all MLflow is away, and left in peace");
});

t.test("a long listing is read page by page, and one without end is left", async (t) => {
  let pages = 0;
  const server = http.createServer((req, res) => {
    const token = new URL(req.url!, "http://m").searchParams.get("page_token");
    pages += 1;
    const next = req.url!.includes("run_id=endless") || token === null ? { next_page_token: `after-${token}` } : {};
    res.end(JSON.stringify({ root_uri: "x", files: [{ path: `file-${token}`, is_dir: true }], ...next }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { models } = client(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.match(await models.artifacts("r", null), [{ path: "file-null" }, { path: "file-after-null" }]);
  pages = 0;
  await models.artifacts("endless", null);
  t.equal(pages, 20);
});
