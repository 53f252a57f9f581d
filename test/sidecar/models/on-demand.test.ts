/** CMG's on-demand configurations on a real database (reference cmg-api 1.7). */
import t, { type Test } from "tap";
import type { OnDemandConfig } from "../../../core/contract/model-management.js";
import { systemClock } from "../../../core/runtime/clock.js";
import { createOnDemandConfigs, type OnDemandSettings } from "../../../sidecar/models/on-demand.js";
import { createPackages } from "../../../sidecar/models/packages.js";
import { createReferences } from "../../../sidecar/models/references.js";
import { createMlflow } from "../../../sidecar/tracking/mlflow.js";
import { startMlflow } from "../../helpers/mlflow.js";
import { openRig, quiet } from "../tasks/store-rig.js";
import { createRequest, updateRequest } from "./model-samples.js";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/;
const DEPLOY = { resources: { limits: { memory: "4g", cpus: "2.0" }, reservations: { memory: "512M" } } };

async function open(t: Test) {
  const rig = await openRig(t);
  const fake = await startMlflow(t);
  fake.put({ run_id: "run", tags: { "training.output.model_uri": "models:/made/3" } });
  const address = { uri: fake.uri, username: "", password: "", ca: null };
  const mlflow = createMlflow({ ...address, clock: systemClock, logger: quiet, timeoutMs: 2_000 });
  t.teardown(() => mlflow.close());
  const settings: OnDemandSettings = { defaultIdleTtlSeconds: 3_600, requireModelUriValidation: false };
  const state = { settings, told: [] as string[] };
  const configs = createOnDemandConfigs({
    store: rig.models,
    references: createReferences(mlflow, createPackages(null)),
    settings: () => state.settings,
    logger: quiet,
  });
  configs.onChange(() => {
    throw new Error("a listener that fails");
  });
  configs.onChange((name) => state.told.push(name));
  const create = (given: Parameters<typeof createRequest>[0]) => configs.create(createRequest(given));
  const update = (given: Parameters<typeof updateRequest>[0], name = "m") => configs.update(name, updateRequest(given));
  return { configs, create, update, state, fake };
}

const keysOf = (config: OnDemandConfig) => Object.keys(config).sort();
const PLAIN_KEYS = ["created_at", "enabled", "id", "idle_ttl", "model_name", "model_uri", "updated_at"];

t.test("a configuration is shown whole, and without what it has not", async (t) => {
  const { configs, create } = await open(t);
  const plain = await create({ model_uri: "  models:/m/1\t" });
  t.same(keysOf(plain), PLAIN_KEYS);
  t.match(plain, { model_name: "m", model_uri: "models:/m/1", idle_ttl: 3_600, enabled: true });
  t.match(plain, { created_at: TIME, updated_at: TIME });
  t.same(configs.get("m"), plain);
  const loose = { ...DEPLOY.resources.reservations, cpus: null } as unknown as { memory: string };
  const whole = await create({
    model_name: "whole",
    model_uri: "models:/m/1",
    tracking_id: "nowhere",
    idle_ttl: 60,
    description: "",
    deploy: { resources: { ...DEPLOY.resources, reservations: loose } },
  });
  t.match(whole, { tracking_id: "nowhere", idle_ttl: 60, description: "" });
  t.strictSame(whole.deploy, DEPLOY, "nulls are left out at every level");
});

t.test("a reference of a new version is a URI, or a run that says one", async (t) => {
  const { create, configs, state, fake } = await open(t);
  const missing = { code: "REFERENCE_MISSING", status: 400, message: /model_uri is required/ };
  await t.rejects(create({}), missing);
  await t.rejects(create({ model_uri: "", tracking_id: "" }), { code: "REFERENCE_MISSING" });
  await t.rejects(create({ model_uri: "" }), { code: "REFERENCE_MISSING" });
  await t.rejects(create({ model_uri: " " }), { code: "REFERENCE_MISSING", message: /Model URI cannot be empty/ });
  await t.rejects(create({ model_name: "-bad" }), { code: "MODEL_NAME_INVALID" }, "the name comes first");
  await t.rejects(create({ tracking_id: "nowhere" }), { code: "REFERENCE_UNKNOWN", status: 404 });
  t.same(state.told, []);
  t.match(await create({ tracking_id: "run" }), { model_uri: "models:/made/3", tracking_id: "run" });
  state.settings = { ...state.settings, requireModelUriValidation: true };
  await t.rejects(create({ model_uri: "models:/made/3" }), { code: "REFERENCE_UNKNOWN" });
  fake.putVersion({ name: "made", version: "3", run_id: "run" });
  t.match(await create({ model_uri: "models:/made/3" }), { tracking_id: "run" }, "the same URI is the same run's");
  t.equal(configs.history("m").length, 2);
  t.same(state.told, ["m", "m"]);
});

t.test("what a new version leaves open it inherits, unless it must not", async (t) => {
  const { create, state } = await open(t);
  const first = { model_uri: "models:/m/1", tracking_id: "old", idle_ttl: 50, description: "old", deploy: DEPLOY };
  const old = await create(first);
  const heir = await create({ description: "new" });
  t.match(heir, { ...first, description: "new" });
  t.not(heir.id, old.id);
  const moved = await create({ model_uri: "models:/m/2" });
  t.match(moved, { model_uri: "models:/m/2", idle_ttl: 50, deploy: DEPLOY });
  t.notOk("tracking_id" in moved, "another URI alone: the old run says nothing of it");
  t.match(await create({ tracking_id: "run" }), { model_uri: "models:/made/3", tracking_id: "run" });
  t.notOk("deploy" in (await create({ deploy: {} })), "an empty spec is given, and is none");
  await t.rejects(create({ inherit_config: false }), {
    code: "REFERENCE_MISSING",
    message: /^model_uri is required: with inherit_config false nothing is taken over/,
  });
  state.settings = { ...state.settings, defaultIdleTtlSeconds: 7 };
  t.same(keysOf(await create({ model_uri: "u", inherit_config: false })), PLAIN_KEYS);
  t.match(await create({ inherit_config: false, model_uri: "u" }), { idle_ttl: 7 });
});

t.test("a version that is in force is replaced, or keeps its place where it may not be", async (t) => {
  const { configs, create } = await open(t);
  const first = await create({ model_uri: "models:/m/1", replace_enabled: false });
  const taken = { code: "ON_DEMAND_EXISTS", status: 409, message: /'m' already exists/ };
  await t.rejects(create({ model_uri: "models:/m/2", replace_enabled: false }), taken);
  const second = await create({ model_uri: "models:/m/2" });
  const [newest, older] = configs.history("m");
  t.same(newest, second);
  t.match(older, { id: first.id, enabled: false, created_at: first.created_at });
  t.ok(older!.updated_at > first.updated_at);
  const crowd = await Promise.all(
    Array.from({ length: 8 }, (_, each) => create({ model_name: "c", model_uri: `u${each}` })),
  );
  t.equal(new Set(crowd.map(({ id }) => id)).size, 8);
  t.equal(configs.history("c").filter(({ enabled }) => enabled).length, 1);
});

t.test("an update changes what is given, in place, and clearing wins", async (t) => {
  const { configs, create, update, state } = await open(t);
  const old = await create({ model_uri: "models:/m/1", tracking_id: "r", description: "old", idle_ttl: 10 });
  const changed = await update({ idle_ttl: 20, deploy: DEPLOY });
  t.strictSame(changed, { ...old, idle_ttl: 20, deploy: DEPLOY, updated_at: changed.updated_at });
  t.ok(changed.updated_at > old.updated_at);
  const touched = await update({});
  t.strictSame(touched, { ...changed, updated_at: touched.updated_at });
  t.ok(touched.updated_at > changed.updated_at, "also by an empty one");
  t.strictSame((await update({ deploy: {} })).deploy, {}, "stored and shown");
  t.equal((await update({ description: "" })).description, "");
  state.settings = { ...state.settings, defaultIdleTtlSeconds: 99 };
  const cleared = await update({
    idle_ttl: 5,
    description: "given",
    tracking_id: "run",
    ...{ clear_tracking_id: true, clear_idle_ttl: true, clear_description: true, clear_deploy: true },
  });
  t.same(keysOf(cleared), PLAIN_KEYS);
  t.match(cleared, { id: old.id, idle_ttl: 99, model_uri: "models:/made/3", created_at: old.created_at });
  t.match(await update({ tracking_id: "run" }), { model_uri: "models:/made/3", tracking_id: "run" });
  t.notOk("tracking_id" in (await update({ model_uri: "models:/m/9" })), "another URI alone clears the run");
  t.equal(configs.history("m").length, 1);
});

t.test("an update that cannot be is told why, the reference first", async (t) => {
  const { configs, create, update, state } = await open(t);
  await create({ model_uri: "models:/m/1" });
  for (const model_uri of ["", " \n"]) await t.rejects(update({ model_uri }), { code: "REFERENCE_MISSING" });
  await t.rejects(update({ tracking_id: "nowhere" }, "nobody"), { code: "REFERENCE_UNKNOWN", message: /nowhere/ });
  await t.rejects(update({ idle_ttl: 5 }, "nobody"), { code: "ON_DEMAND_UNKNOWN", status: 404, message: /nobody/ });
  for (const idle_ttl of [0, -1, 1.5, 1e300]) {
    await t.rejects(update({ idle_ttl }), { code: "INVALID_PARAMETER", detail: [{ loc: ["body", "idle_ttl"] }] });
  }
  t.match(configs.get("m"), { model_uri: "models:/m/1", idle_ttl: 3_600 });
  t.same(state.told, ["m"]);
});

t.test("disabled versions stay in the history, and any of them is put back in force", async (t) => {
  const { configs, create, update, state } = await open(t);
  await create({ model_name: "b", model_uri: "models:/b/1" });
  const first = await create({ model_uri: "models:/m/1" });
  const second = await create({ model_uri: "models:/m/2" });
  await configs.disable("m");
  t.throws(() => configs.get("m"), { code: "ON_DEMAND_UNKNOWN", message: /'m' is enabled/ });
  await t.rejects(configs.disable("m"), { code: "ON_DEMAND_UNKNOWN" });
  await t.rejects(update({}), { code: "ON_DEMAND_UNKNOWN" });
  const names = (all: boolean) => configs.list(all).map(({ id, model_name }) => [model_name, id]);
  t.same(names(false), [["b", 1]]);
  t.same(names(true), [
    ["b", 1],
    ["m", second.id],
    ["m", first.id],
  ]);
  t.throws(() => configs.history("nobody"), { code: "ON_DEMAND_UNKNOWN", message: /nobody/ });

  const back = await configs.enable(first.id);
  t.match(back, { id: first.id, enabled: true, model_uri: "models:/m/1" });
  t.ok(back.updated_at > first.updated_at);
  state.told.length = 0;
  t.strictSame(await configs.enable(first.id), back, "once more changes nothing");
  t.same(state.told, [], "and nobody is told");
  t.match(await configs.enable(second.id), { id: second.id, enabled: true });
  t.match(configs.history("m"), [{ enabled: true }, { enabled: false }]);
  for (const id of [999_999, -1, 1e300]) {
    await t.rejects(configs.enable(id), { code: "ON_DEMAND_UNKNOWN", message: new RegExp(String(id).slice(0, 3)) });
  }
  t.same(state.told, ["m"]);
});
