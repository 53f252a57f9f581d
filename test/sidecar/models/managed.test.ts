import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { fastClock } from "../../helpers/fast-clock.js";
import { deployRequest, onDemand, startManaged, templateOf, WAIT_MS } from "./managed-rig.js";
import { newOnDemand } from "./model-samples.js";
import { folderOf, isAlive, linesOf, until } from "./support.js";

t.test("the first request for a model on demand starts it from the template", async (t) => {
  const seen = join(folderOf(t), "seen");
  const { management, catalogue, metrics } = await startManaged(
    t,
    templateOf(["--seen", seen, "--", "{name}", "{model_uri}"]),
  );
  await management.onDemand.create(onDemand("m", { idle_ttl: 600, description: "a model" }));
  t.match(catalogue.get("m"), { state: "absent", onDemand: true, deploymentType: "auto", modelUri: "models:/m/1" });
  const entries = await Promise.all([1, 2, 3].map(() => catalogue.ensureReady("m", WAIT_MS)));
  t.match(entries[0], { state: "ready", source: "process", serverId: /^process-\d+$/, problem: null });
  t.strictSame((JSON.parse(readFileSync(seen, "utf8")) as { argv: string[] }).argv.slice(-2), ["m", "models:/m/1"]);
  t.match(management.facts("m"), {
    deploymentType: "auto",
    description: "a model",
    idleTtlSeconds: 600,
    expiresAtMs: null,
  });
  const text = await metrics();
  t.match(text, /sluice_models\{state="ready"\} 1/);
  t.match(text, /sluice_model_starts_total\{model="m",outcome="ready"\} 1/);
});

t.test("an idle model is stopped, a held one is not, and the next request starts it again", async (t) => {
  const starts = join(folderOf(t), "starts");
  const { management, catalogue, metrics, clock } = await startManaged(t, templateOf(["--starts", starts]));
  await management.onDemand.create(onDemand("m", { idle_ttl: 5 }));
  const release = catalogue.lease("m", "a request");
  await catalogue.ensureReady("m", WAIT_MS);
  await clock.sleep(25_000);
  t.equal(catalogue.get("m")?.state, "ready", "held for longer than its time and two rounds");
  release();
  await until(() => catalogue.get("m")?.state === "absent", "its stop");
  t.notOk(isAlive(Number(linesOf(starts)[0])));
  await catalogue.ensureReady("m", WAIT_MS);
  t.equal(linesOf(starts).length, 2);
  const text = await metrics();
  t.match(text, /ripper_containers_purged_total\{deployment_type="auto",reason="idle_ttl_expired"\} 1/);
  t.match(text, /ripper_containers_checked_total\{deployment_type="auto"\} [1-9]/);
  t.match(text, /ripper_model_idle_time_seconds_count\{model="m"\} 1/);
});

t.test("nobody who sets the machine's clock makes a model idle", async (t) => {
  const system = fastClock(10);
  let setForwardMs = 0;
  const clock = { ...system, now: () => system.now() + setForwardMs };
  const { management, catalogue, store } = await startManaged(t, templateOf([]), undefined, { clock });
  await management.onDemand.create(onDemand("m", { idle_ttl: 600 }));
  await catalogue.ensureReady("m", WAIT_MS);
  await management.deploy("short", deployRequest(600));
  setForwardMs = 3_600_000;
  catalogue.managed.reapNow();
  await until(() => store.deployment("short") === null, "the end of what lives until a time of day");
  t.equal(catalogue.get("m")?.state, "ready");
});

t.test("an entry of the configuration with an idle time is stopped like the others", async (t) => {
  const { command } = templateOf([]).models!.deployment!.process!;
  const { catalogue } = await startManaged(t, {
    ripper: { interval: "5s" },
    discovery: { process: [{ name: "m", command, idle_ttl: "5s" }] },
  });
  await catalogue.ensureReady("m", WAIT_MS);
  await until(() => catalogue.get("m")?.state === "absent", "its stop");
});

t.test("a change of a running model counts from its next start", async (t) => {
  const { management, catalogue, lines } = await startManaged(t, templateOf([]));
  await management.onDemand.create(onDemand("m"));
  t.notOk(
    lines.some(({ message }) => message.includes("keeps its settings")),
    "nothing runs that could keep any",
  );
  const { serverId } = await catalogue.ensureReady("m", WAIT_MS);
  await management.onDemand.create(onDemand("m", { model_uri: "models:/m/2" }));
  t.match(catalogue.get("m"), { state: "ready", serverId: serverId!, modelUri: "models:/m/1" });
  t.ok(lines.some(({ model, message }) => model === "m" && message.includes("keeps its settings")));
  await management.stop("m");
  t.match(catalogue.get("m"), { state: "absent", modelUri: "models:/m/2" });
  t.match(await catalogue.ensureReady("m", WAIT_MS), { modelUri: "models:/m/2" });
});

t.test("a configuration that is disabled leaves its running model alone, and nothing starts it again", async (t) => {
  const { management, catalogue } = await startManaged(t, templateOf([]));
  await management.onDemand.create(onDemand("m"));
  await catalogue.ensureReady("m", WAIT_MS);
  await management.onDemand.disable("m");
  await until(() => catalogue.get("m")?.onDemand === false, "the change");
  t.equal(catalogue.get("m")?.state, "ready");
  await management.stop("m");
  await until(() => catalogue.get("m") === undefined, "its going");
  await t.rejects(catalogue.ensureReady("m", WAIT_MS), { code: "MODEL_UNKNOWN" });
});

t.test("with neither Docker nor a template a start says which settings are missing", async (t) => {
  const { management, catalogue } = await startManaged(t, {
    models: { deployment: { auto: { deployment_retry_attempts: 0 } } },
  });
  await management.onDemand.create(onDemand("m"));
  await t.rejects(catalogue.ensureReady("m", WAIT_MS), {
    code: "MODEL_START_FAILED",
    message: /discovery\.docker\.socket.*models\.deployment\.process\.command/,
  });
});

t.test("an entry that the configuration has lost is stopped once nothing holds it", async (t) => {
  const { command } = templateOf([]).models!.deployment!.process!;
  const { catalogue, reload } = await startManaged(t, { discovery: { process: [{ name: "m", command }] } });
  const { serverId } = await catalogue.ensureReady("m", WAIT_MS);
  const release = catalogue.lease("m", "a request");
  reload({});
  t.match(catalogue.get("m"), { state: "draining", serverId: serverId! });
  release();
  await until(() => catalogue.get("m") === undefined, "its going");
  t.notOk(existsSync(`/proc/${serverId!.split("-")[1]}`));
});

t.test(
  "a thousand configurations are looked at in seconds, and none is said to keep settings of a run it never had",
  async (t) => {
    const { store, catalogue, lines } = await startManaged(t, templateOf([]));
    const names = Array.from({ length: 1_000 }, (_, index) => `many-${index}`);
    await Promise.all(names.map((modelName) => store.createConfig(newOnDemand({ modelName }))));
    const { managed } = catalogue;
    const startedAt = performance.now();
    managed.refresh();
    await Promise.all(managed.servers.all.map(({ begun }) => begun));
    t.ok(performance.now() - startedAt < 10_000, `${Math.round(performance.now() - startedAt)} ms`);
    t.equal(catalogue.list().length, names.length);
    t.notOk(lines.some(({ message }) => message.includes("keeps its settings")));
  },
);
