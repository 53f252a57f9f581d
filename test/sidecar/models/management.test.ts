import { join } from "node:path";
import t from "tap";
import type { ModelEvent } from "../../../core/contract/model-management.js";
import { readText } from "../../../core/runtime/http.js";
import { deployRequest, onDemand, startManaged, templateOf, WAIT_MS } from "./managed-rig.js";
import { folderOf, isAlive, linesOf, until } from "./support.js";

const pidOf = (serverId: string | undefined) => Number(serverId?.split("-")[1]);

t.test("a deployment answers as soon as its program runs, and stays until it is removed", async (t) => {
  const { management, catalogue, store, metrics } = await startManaged(t, templateOf(["--ready-after", "500"]));
  const deployed = await management.deploy("m", {
    ...deployRequest(600),
    model_uri: "https://me:secret@host/m?key=secret",
  });
  t.match(deployed, { container_id: /^process-\d+$/, container_name: "m", ttl: 600, message: /'m'/ });
  t.equal(catalogue.get("m")?.state, "starting");
  t.equal(store.deployment("m")?.ttlSeconds, 600);
  t.match(await catalogue.ensureReady("m", WAIT_MS), { deploymentType: "manual", serverId: deployed.container_id });
  t.match(management.facts("m"), { deploymentType: "manual", idleTtlSeconds: null, expiresAtMs: Number });
  await t.rejects(management.deploy("m", deployRequest()), {
    code: "MODEL_ALREADY_RUNNING",
    message: /already running/,
  });
  t.match(await metrics(), 'gateway_models_deployed_total{model="m",model_uri="https://host/m"} 1');

  await management.remove("m", false);
  t.notOk(isAlive(pidOf(deployed.container_id)));
  t.equal(store.deployment("m"), null);
  t.equal(catalogue.get("m"), undefined);
  await t.rejects(management.remove("m", false), { code: "MODEL_UNKNOWN" });
  await management.remove("m", true);
  await t.rejects(management.remove("-m", true), { code: "MODEL_NAME_INVALID" });
});

t.test("of two deployments of one name at once one wins", async (t) => {
  const starts = join(folderOf(t), "starts");
  const { management, catalogue } = await startManaged(t, templateOf(["--starts", starts]));
  const results = await Promise.allSettled([1, 2, 3].map(() => management.deploy("m", deployRequest())));
  t.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") t.match(result.reason, { code: "MODEL_ALREADY_RUNNING" });
  }
  await catalogue.ensureReady("m", WAIT_MS);
  t.equal(linesOf(starts).length, 1);
});

t.test("a name of the configuration cannot be deployed, whether or not it runs", async (t) => {
  const { command } = templateOf([]).models!.deployment!.process!;
  const { management } = await startManaged(t, templateOf([], { discovery: { process: [{ name: "m", command }] } }));
  await t.rejects(management.deploy("m", deployRequest()), { code: "MODEL_ALREADY_RUNNING" });
});

t.test("a deployment that nothing can start leaves nothing behind", async (t) => {
  const bare = { models: { deployment: { auto: { deployment_retry_attempts: 0 } } } };
  const { management, catalogue, store, reload } = await startManaged(t, bare);
  await t.rejects(management.deploy("m", deployRequest()), {
    code: "DEPLOY_FAILED",
    message: /discovery\.docker\.socket.*models\.deployment\.process\.command/,
  });
  reload({ models: { deployment: { ...bare.models.deployment, process: { command: ["/nowhere/program"] } } } });
  await t.rejects(management.deploy("m", deployRequest()), { code: "DEPLOY_FAILED", message: /ENOENT/ });
  t.equal(store.deployment("m"), null);
  t.equal(catalogue.get("m"), undefined);
});

t.test("a deployment takes the place of an on-demand model of its name, and gives it back", async (t) => {
  const { management, catalogue } = await startManaged(t, templateOf([]));
  await management.onDemand.create(onDemand("m", { model_uri: "models:/m/7" }));
  await management.deploy("m", deployRequest());
  t.match(await catalogue.ensureReady("m", WAIT_MS), { deploymentType: "manual", modelUri: "models:/m/1" });
  await management.remove("m", false);
  t.match(catalogue.get("m"), { state: "absent", deploymentType: "auto", modelUri: "models:/m/7" });
});

t.test(
  "a deployment whose server died is started again by the next request, and is still that deployment",
  async (t) => {
    const starts = join(folderOf(t), "starts");
    const { management, catalogue, store } = await startManaged(t, templateOf(["--starts", starts]));
    const { container_id } = await management.deploy("m", deployRequest(600));
    await catalogue.ensureReady("m", WAIT_MS);
    process.kill(pidOf(container_id), "SIGKILL");
    await until(() => catalogue.get("m")?.state === "absent", "its death to be seen");
    t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready", deploymentType: "manual" });
    t.equal(linesOf(starts).length, 2);
    t.equal(store.deployment("m")?.ttlSeconds, 600);
  },
);

t.test("a deployment is removed when its time has come; one in use when it is free", async (t) => {
  const { management, catalogue, store, clock, metrics } = await startManaged(
    t,
    templateOf([], { ripper: { interval: "1h" } }),
  );
  const { container_id } = await management.deploy("m", deployRequest(5));
  await management.deploy("stays", deployRequest(-1));
  await catalogue.ensureReady("m", WAIT_MS);
  const release = catalogue.lease("m", "a request");
  await clock.sleep(6_000);
  catalogue.managed.reapNow();
  await clock.sleep(2_000);
  t.equal(catalogue.get("m")?.state, "ready", "held");
  release();
  await until(() => catalogue.get("m") === undefined, "its removal");
  t.equal(store.deployment("m"), null);
  t.notOk(isAlive(pidOf(container_id)));
  t.not(store.deployment("stays"), null);
  t.match(await metrics(), /ripper_containers_purged_total\{deployment_type="manual",reason="fixed_ttl_expired"\} 1/);
});

t.test("a model is started and stopped by hand; one in use is not, and nothing but ours is", async (t) => {
  const { management, catalogue } = await startManaged(t, {
    ...templateOf([]),
    discovery: { static: [{ name: "other", url: "http://127.0.0.1:1" }] },
  });
  await management.onDemand.create(onDemand("m"));
  management.start("m");
  await until(() => catalogue.get("m")?.state === "ready", "its start");
  const release = catalogue.lease("m", "a request");
  await t.rejects(management.stop("m"), { code: "MODEL_IN_USE", message: /within 30 s/ });
  await t.rejects(management.remove("m", true), { code: "MODEL_IN_USE" });
  t.equal(catalogue.get("m")?.state, "ready", "it serves on");
  release();
  t.match(await management.stop("m"), { state: "absent" });
  await t.rejects(management.remove("m", false), {
    code: "MODEL_UNKNOWN",
    message: "Model 'm' is not running; there is nothing to remove, even by force",
    hint: /disable its on-demand configuration/,
  });
  t.throws(() => management.start("other"), { code: "MODEL_NOT_MANAGED" });
  await t.rejects(management.stop("other"), { code: "MODEL_NOT_MANAGED" });
  await t.rejects(management.remove("other", true), { code: "MODEL_NOT_MANAGED" });
  t.throws(() => management.start("nobody"), { code: "MODEL_UNKNOWN" });
});

t.test("whoever watches sees each state with what past starts took, and the log can be read", async (t) => {
  const { management, catalogue, store } = await startManaged(t, templateOf(["--ready-after", "200"]));
  await management.onDemand.create(onDemand("m"));
  const events: ModelEvent[] = [];
  const unwatch = management.watch("m", (event) => events.push(event));
  await catalogue.ensureReady("m", WAIT_MS);
  const [start] = await until(() => store.starts("m").length > 0 && store.starts("m"), "the start's record");
  t.ok(start!.tookMs >= 1_000, "on a clock ten times as fast");
  await management.stop("m");
  await catalogue.ensureReady("m", WAIT_MS);
  unwatch();
  const states = events.map(({ state }) => state);
  t.strictSame(states.slice(0, 3), ["absent", "starting", "ready"]);
  const second = events.filter(({ state }) => state === "starting").at(-1);
  t.equal(second?.expected_seconds, Math.round(start!.tookMs / 100) / 10);
  t.equal(events[0]?.expected_seconds, null);

  const log = await management.logs("m", { tail: 10, follow: false, signal: new AbortController().signal });
  t.match(await readText(log as never, 10_000), /"url":"http:\/\/127\.0\.0\.1:\d+"/);
});
