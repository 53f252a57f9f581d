/** The MLflow client against a server that speaks its REST API, and one that does not. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { createMlflow, type MlflowOptions } from "../../../sidecar/tracking/mlflow.js";
import { openMlflow } from "../../../sidecar/tracking/open-mlflow.js";
import { type Misbehaviour, startMlflow } from "../../helpers/mlflow.js";

const logger = createLogger({ level: "silent", format: "json", process: "test" });

function client(t: Test, change: Partial<MlflowOptions> & { uri: string }) {
  const mlflow = createMlflow({
    username: "admin",
    password: "password",
    ca: null,
    clock: systemClock,
    logger,
    timeoutMs: 2_000,
    retryAfterMs: 50,
    ...change,
  });
  t.teardown(() => mlflow.close());
  return mlflow;
}

t.test("a run is read by its id, below a base path, with name and password", async (t) => {
  const fake = await startMlflow(t, { username: "admin", password: "p:w", basePath: "/mlflow" });
  fake.put({ run_id: "r", run_name: "job", metrics: { f1: 0.5 }, params: { epochs: "2" }, tags: { a: "b" } });
  const mlflow = client(t, { uri: `${fake.uri}/`, password: "p:w" });
  t.equal(mlflow.isKnown, false);
  t.match(await mlflow.getRun("r"), {
    runId: "r",
    runName: "job",
    experimentId: "1",
    status: "RUNNING",
    endedAtMs: null,
    metrics: { f1: 0.5 },
    params: { epochs: "2" },
    tags: { a: "b", "mlflow.runName": "job" },
    artifactUri: "mlflow-artifacts:/1/r/artifacts",
  });
  t.equal(await mlflow.getRun("nobody"), "unknown");
  t.equal(mlflow.isKnown, true);
  t.equal(fake.asked[0], "/mlflow/api/2.0/mlflow/runs/get");
});

t.test("runs are found by experiment and time, and by name over all experiments", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "a", start_time: 1_000 });
  fake.put({ run_id: "b", start_time: 61_000 });
  fake.put({ run_id: "c", start_time: 61_001 });
  fake.put({ run_id: "d", start_time: 2_000, experiment_id: "2", run_name: "job-d" });
  const mlflow = client(t, { uri: fake.uri });
  const ids = (found: unknown) => (found as { runId: string }[]).map((each) => each.runId);
  t.same(ids(await mlflow.searchRuns("1", { fromMs: 1_000, toMs: 61_000 })), ["a", "b"]);
  t.same(ids(await mlflow.searchRuns("9", { fromMs: 0, toMs: 1 })), []);
  t.same(ids(await mlflow.findRuns("job-d")), ["d"]);
  t.same(ids(await mlflow.findRuns("nobody")), []);
  t.equal(await mlflow.findRuns("' or 'a' = 'a"), "unknown", "what cannot be a tracking id never stands in a filter");
});

t.test("however it misbehaves it is away, is left in peace, and is asked again when it is back", async (t) => {
  for (const misbehaviour of [500, 503, 401, 404, "nonsense", "slow"] satisfies Misbehaviour[]) {
    const fake = await startMlflow(t);
    fake.put({ run_id: "r" });
    const mlflow = client(t, { uri: fake.uri, timeoutMs: 300 });
    t.match(await mlflow.getRun("r"), { runId: "r" });
    fake.misbehaviour = misbehaviour;
    t.equal(await mlflow.getRun("r"), "away", String(misbehaviour));
    const askedBefore = fake.asked.length;
    t.equal(await mlflow.getRun("r"), "away");
    t.equal(fake.asked.length, askedBefore, "without asking");
    fake.misbehaviour = null;
    t.match(await untilBack(() => mlflow.getRun("r")), { runId: "r" });
  }
});

t.test("a wrong password is told apart in the log, and never shown in it", async (t) => {
  const fake = await startMlflow(t, { username: "admin", password: "right" });
  const lines: string[] = [];
  const heard = { ...logger, warn: (...args: unknown[]) => void lines.push(JSON.stringify(args)) };
  const mlflow = client(t, { uri: fake.uri, password: "wr0ng", logger: heard as typeof logger });
  t.equal(await mlflow.getRun("r"), "away");
  t.match(lines.join(), /tracking.username and tracking.password/);
  t.notMatch(lines.join(), /wr0ng|127\.0\.0\.1/);
});

t.test("one that is stopped and started again is used again", async (t) => {
  const fake = await startMlflow(t);
  fake.put({ run_id: "r" });
  await fake.stop();
  const mlflow = client(t, { uri: fake.uri });
  t.equal(await mlflow.getRun("r"), "away");
  await fake.start();
  t.match(await untilBack(() => mlflow.getRun("r")), { runId: "r" });
});

t.test("a store that is not asked over HTTP is away", async (t) => {
  for (const uri of ["file:///mlruns", "databricks", "./mlruns", ""]) {
    t.equal(await client(t, { uri }).getRun("r"), "away", uri);
  }
});

t.test("https is checked against tracking.ca_file, and refused without it", async (t) => {
  const folder = t.testdir();
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  execFileSync("openssl", [...made, ...subject], { stdio: "ignore" });
  const server = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_req, res) => {
    res.end(JSON.stringify({ run: { info: { run_id: "r" }, data: {} } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => void server.close());
  const uri = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.equal(await client(t, { uri }).getRun("r"), "away");
  const s3 = { access_key_id: null, secret_access_key: null, endpoint_url: "" };
  const settings = { uri, username: "", password: "", s3, enable_system_metrics_logging: true };
  const trusting = (await openMlflow({ ...settings, ca_file: cert }, systemClock, logger))!;
  t.equal(
    await openMlflow({ ...settings, ca_file: null, uri: "file:/tmp/mlruns" }, systemClock, logger),
    null,
    "nothing to ask over HTTP",
  );
  t.teardown(() => trusting.close());
  t.match(await trusting.getRun("r"), { runId: "r" });
  await t.rejects(openMlflow({ ...settings, ca_file: join(folder, "none.pem") }, systemClock, logger), {
    code: "CONFIG_INVALID",
    message: /none\.pem' cannot be read \(ENOENT\)/,
  });
});

async function untilBack<Value>(ask: () => Promise<Value>): Promise<Value> {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await ask();
    if (answer !== "away") return answer;
    await systemClock.sleep(20);
  }
  throw new Error("it never came back");
}
