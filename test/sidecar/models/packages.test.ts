/** Model servers out of the registry: a real one, real processes, and what a restart finds of them. */
import { appendFileSync, chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { filesIn, openRig, push, putModel, type Rig } from "../registry/local-rig.js";
import { deployRequest, onDemand, startManaged, templateOf, WAIT_MS } from "./managed-rig.js";
import { command, folderOf, isAlive, until } from "./support.js";

const deployment = (modelUri: string) => ({ ...deployRequest(-1), model_uri: modelUri });
const pidOf = (serverId: string | undefined) => Number(serverId?.split("-")[1]);

/** With versions 1 and 2 of `terms`. */
async function openTerms(t: Test): Promise<Rig> {
  const rig = await openRig(t, { dataDir: join(folderOf(t), "registry") });
  await putModel(rig.registry, "terms");
  await push(rig.registry, "terms", "one");
  await push(rig.registry, "terms", "two");
  return rig;
}

/** What the last started server was given. */
function seenBy(t: Test) {
  const file = join(folderOf(t), "seen");
  const switches = ["--seen", file, "--", "{model_path}", "{model_uri}", "{registry_url}"];
  const look = () => {
    const { argv } = JSON.parse(readFileSync(file, "utf8")) as { argv: string[] };
    const [path, uri, registryUrl] = argv.slice(argv.indexOf("--") + 1) as [string, string, string];
    return { path, uri, registryUrl, content: path === "" ? null : readFileSync(path, "utf8") };
  };
  return { switches, look };
}

t.test("a start takes the version that is the newest then, and its server keeps it", async (t) => {
  const { registry } = await openTerms(t);
  const { switches, look } = seenBy(t);
  const { management, catalogue, store } = await startManaged(t, templateOf(switches), undefined, { registry });
  t.match(await management.deploy("m", deployment("sluice://terms/latest")), { model_uri: "sluice://terms/2" });
  t.match(await catalogue.ensureReady("m", WAIT_MS), { modelUri: "sluice://terms/2" });
  t.match(look(), { uri: "sluice://terms/2", content: "two" });
  t.equal(store.deployment("m")?.modelUri, "sluice://terms/latest", "what was asked for stays");

  await push(registry, "terms", "three");
  t.equal(catalogue.get("m")?.modelUri, "sluice://terms/2");
  await t.rejects(registry.deleteVersion("terms", 2, { force: false }), { code: "REGISTRY_IN_USE", message: /'?m'?/ });
  await t.rejects(registry.deleteModel("terms", { force: false }), { code: "REGISTRY_IN_USE" });
  await registry.deleteVersion("terms", 1, { force: false });

  await management.stop("m");
  t.equal(catalogue.get("m")?.modelUri, "sluice://terms/latest");
  await registry.deleteVersion("terms", 2, { force: false });
  t.match(await catalogue.ensureReady("m", WAIT_MS), { modelUri: "sluice://terms/3" });
  t.match(look(), { uri: "sluice://terms/3", content: "three" });
});

t.test("numbers and aliases name their versions; an on-demand model is started from the registry too", async (t) => {
  const { registry } = await openTerms(t);
  await registry.setAlias("terms", "champion", 1);
  const { switches, look } = seenBy(t);
  const { management, catalogue } = await startManaged(t, templateOf(switches), undefined, { registry });
  await management.onDemand.create(onDemand("m", { model_uri: "sluice://terms/champion" }));
  t.match(catalogue.get("m"), { state: "absent", modelUri: "sluice://terms/champion" });
  t.match(await catalogue.ensureReady("m", WAIT_MS), { modelUri: "sluice://terms/1" });
  t.equal(look().content, "one");
  await management.deploy("n", deployment("sluice://terms/2"));
  t.match(await catalogue.ensureReady("n", WAIT_MS), { modelUri: "sluice://terms/2" });
  t.equal(look().content, "two");
});

t.test("what is not there, is gone with the process or is damaged is refused before anything starts", async (t) => {
  const { registry, archiveDir } = await openTerms(t);
  await push(registry, "terms", "three", { archived: false });
  const { management, catalogue, store } = await startManaged(t, templateOf([]), undefined, { registry });
  const refusals = [
    ["sluice://nothing/1", { code: "REFERENCE_UNKNOWN", status: 404, message: /"?nothing"?/ }],
    ["sluice://terms/9", { code: "REFERENCE_UNKNOWN", status: 404, message: /9/ }],
    ["sluice://terms/champion", { code: "REFERENCE_UNKNOWN", status: 404, message: /champion/ }],
    ["sluice://terms", { code: "INVALID_PARAMETER", hint: /sluice:\/\/<model>\/<number>/ }],
    ["sluice://terms/latest", { code: "VERSION_TRANSIENT" }],
  ] as const;
  for (const [uri, refusal] of refusals) {
    await t.rejects(management.deploy("m", deployment(uri)), refusal, uri);
    await t.rejects(management.onDemand.create(onDemand("m", { model_uri: uri })), refusal, uri);
  }
  const file = join(archiveDir, filesIn(archiveDir)[0]!);
  chmodSync(file, 0o600);
  appendFileSync(file, "!");
  await t.rejects(management.deploy("m", deployment("sluice://terms/1")), { code: "VERSION_DAMAGED", status: 500 });
  t.strictSame([store.deployment("m"), catalogue.get("m")], [null, undefined]);
});

t.test("a start whose package has gone meanwhile fails at once, in the registry's words", async (t) => {
  const { registry } = await openTerms(t);
  const { management, catalogue } = await startManaged(t, templateOf([]), undefined, { registry });
  await management.onDemand.create(onDemand("m", { model_uri: "sluice://terms/1" }));
  await registry.deleteVersion("terms", 1, { force: false });
  await t.rejects(catalogue.ensureReady("m", WAIT_MS), {
    code: "MODEL_START_FAILED",
    message: /^Model 'm' could not be started: its package cannot be had: .*terms/,
  });
  await registry.deleteModel("terms", { force: false });
  await t.rejects(catalogue.ensureReady("m", WAIT_MS), {
    code: "MODEL_START_FAILED",
    message: /package cannot be had/,
  });
});

t.test("a server that a restart finds is known by its version, and goes on using it", async (t) => {
  const { registry } = await openTerms(t);
  const dataDir = join(folderOf(t), "data");
  const config = templateOf([]);
  const first = await startManaged(t, config, dataDir, { registry });
  await first.management.deploy("m", deployment("sluice://terms/latest"));
  const { serverId } = await first.catalogue.ensureReady("m", WAIT_MS);
  first.catalogue.lease("m", "a request that goes on");
  await first.close();
  t.ok(isAlive(pidOf(serverId)), "it is in use, so it runs on");
  await push(registry, "terms", "three");

  const second = await startManaged(t, config, dataDir, { registry });
  t.match(await second.catalogue.ensureReady("m", WAIT_MS), { serverId, modelUri: "sluice://terms/2" });
  await t.rejects(registry.deleteVersion("terms", 2, { force: false }), { code: "REGISTRY_IN_USE" });
  await second.management.remove("m", false);
  await registry.deleteVersion("terms", 2, { force: false });
});

t.test(
  "an entry that follows a model without versions starts without one; others, and an alias, need theirs",
  async (t) => {
    const { registry } = await openRig(t, { dataDir: join(folderOf(t), "registry") });
    const { switches, look } = seenBy(t);
    const entry = (name: string, model_uri: string, follow: string | null = null) => ({
      name,
      model_uri,
      follow,
      command: command(...switches),
    });
    const config: ConfigInput = templateOf([], {
      discovery: {
        process: [
          entry("follows", "sluice://terms/latest", "latest"),
          entry("alias", "sluice://terms/latest", "champion"),
          entry("plain", "sluice://terms/latest"),
        ],
      },
    });
    const { catalogue, management } = await startManaged(t, config, undefined, { registry });
    t.match(await catalogue.ensureReady("follows", WAIT_MS), { modelUri: "sluice://terms/latest" });
    t.match(look(), { path: "", uri: "sluice://terms/latest" });
    await management.stop("follows");
    await putModel(registry, "terms");
    await catalogue.ensureReady("follows", WAIT_MS);
    t.equal(look().path, "");
    await t.rejects(catalogue.ensureReady("plain", WAIT_MS), { code: "MODEL_START_FAILED", message: /package/ });

    await management.stop("follows");
    await push(registry, "terms", "one");
    t.match(await catalogue.ensureReady("follows", WAIT_MS), { modelUri: "sluice://terms/1" });
    t.equal(look().content, "one");
    await t.rejects(catalogue.ensureReady("alias", WAIT_MS), { code: "MODEL_START_FAILED", message: /champion/ });
    await registry.setAlias("terms", "champion", 1);
    t.match(await catalogue.ensureReady("alias", WAIT_MS), { modelUri: "sluice://terms/1" });
  },
);

t.test("a command learns the model's place in the registry by the way a proxy reports", async (t) => {
  const { switches, look } = seenBy(t);
  const { management, catalogue } = await startManaged(t, templateOf(switches));
  const { presence } = catalogue;
  presence.connect("one");
  const deployed = management.deploy("m", deployment("models:/m/1"));
  const localUrl = "http://127.0.0.1:18888";
  const report = { proxy: "one", localUrl, sequence: 1, inFlight: {}, servers: {}, used: [], isLeaving: false };
  presence.report({ ...presence.table, ...report });
  await deployed;
  await catalogue.ensureReady("m", WAIT_MS);
  await until(() => look().registryUrl !== "", "its address");
  t.match(look(), { registryUrl: "http://127.0.0.1:18888/registry/models/m", path: "", uri: "models:/m/1" });
});
