/** Definitions of models on a real database. */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { MIGRATIONS_FOLDER, migrate } from "../../../sidecar/db/migrate.js";
import { openForReading, openForWriting } from "../../../sidecar/db/open.js";
import { Writer } from "../../../sidecar/db/writer.js";
import { createSqliteModels, MODEL_WRITES } from "../../../sidecar/models/sqlite-model-store.js";
import { openRig } from "../tasks/store-rig.js";
import { newOnDemand, onDemandChange, sampleDeployment } from "./model-samples.js";

t.test("a name has many versions, and one of them at most is in force", async (t) => {
  const { models } = await openRig(t);
  t.same([models.configs(true), models.enabledConfig("m"), models.versions("m")], [[], null, []]);
  const first = await models.createConfig(newOnDemand());
  const second = await models.createConfig(newOnDemand({ modelUri: "models:/m/2" }));
  const other = await models.createConfig(newOnDemand({ modelName: "a" }));
  t.same(models.enabledConfig("m"), second);
  t.match(models.versions("m"), [
    { id: second.id, enabled: true },
    { id: first.id, enabled: false, createdAtUs: first.createdAtUs },
  ]);
  t.ok(models.versions("m")[1]!.updatedAtUs > first.updatedAtUs, "being replaced is a change");
  const ids = (includeDisabled: boolean) => models.configs(includeDisabled).map(({ id }) => id);
  t.same(ids(false), [other.id, second.id]);
  t.same(ids(true), [other.id, second.id, first.id], "by name, then newest first");

  const back = await models.enableConfig(first.id);
  t.match(back, { changed: true, version: { id: first.id, enabled: true } });
  t.same(await models.enableConfig(first.id), { ...back, changed: false }, "a second time changes nothing");
  t.equal(await models.enableConfig(99), null);
  t.same(ids(false), [other.id, first.id]);

  t.equal(await models.disableConfig("m"), true);
  t.equal(await models.disableConfig("m"), false);
  t.equal(models.enabledConfig("m"), null);
  t.equal(models.versions("m").length, 2, "the versions stay");
});

t.test("many creations at once all succeed in some order, and without replacing exactly one does", async (t) => {
  const { models } = await openRig(t);
  const uris = Array.from({ length: 40 }, (_, each) => `models:/m/${each}`);
  const made = await Promise.all(uris.map((modelUri) => models.createConfig(newOnDemand({ modelUri }))));
  t.equal(new Set(made.map(({ id }) => id)).size, 40);
  t.equal(models.versions("m").filter(({ enabled }) => enabled).length, 1);
  const careful = uris.map((modelUri) =>
    models.createConfig(newOnDemand({ modelName: "n", modelUri, replace: false })),
  );
  const settled = await Promise.allSettled(careful);
  t.equal(settled.filter(({ status }) => status === "fulfilled").length, 1);
  for (const each of settled) {
    if (each.status === "rejected") t.match(each.reason, { code: "ON_DEMAND_EXISTS", status: 409 });
  }
  const enabling = await Promise.all(made.map(({ id }) => models.enableConfig(id)));
  t.ok(enabling.every((each) => each !== null));
  t.equal(models.versions("m").filter(({ enabled }) => enabled).length, 1);
});

t.test("times grow with every change, also while the clock stands still or goes back", async (t) => {
  const { file } = await openRig(t);
  const database = openForReading(file);
  const writer = await Writer.open({ file, modules: [MODEL_WRITES] });
  t.teardown(async () => {
    await writer.close();
    database.close();
  });
  let nowMs = 5_000;
  const models = createSqliteModels(database, writer, () => nowMs);
  const first = await models.createConfig(newOnDemand());
  t.same([first.createdAtUs, first.updatedAtUs], [5_000_000, 5_000_000]);
  t.equal((await models.updateConfig("m", onDemandChange()))!.updatedAtUs, 5_000_001);
  nowMs = 4_000;
  t.equal((await models.updateConfig("m", onDemandChange()))!.updatedAtUs, 5_000_002);
  t.equal((await models.createConfig(newOnDemand())).createdAtUs, 5_000_001);
  t.equal(models.versions("m")[1]!.updatedAtUs, 5_000_003, "being replaced is the next change");
  t.equal((await models.enableConfig(first.id))!.version.updatedAtUs, 5_000_004);
});

t.test("deployments are kept by name, whole, until they are removed", async (t) => {
  const { models, dataDir, store } = await openRig(t);
  const plain = sampleDeployment();
  const full = sampleDeployment({
    name: "a",
    deploymentType: "auto",
    modelUri: null,
    modelType: "medcat_snomed",
    trackingId: "r",
    ttlSeconds: null,
    idleTtlSeconds: 60,
    deploy: { resources: { limits: { memory: "512m" } } },
  });
  await models.putDeployment(plain);
  await models.putDeployment(full);
  t.same(models.deployments(), [full, plain]);
  await models.putDeployment({ ...plain, modelUri: "models:/m/2", createdAtMs: 2_000 });
  await store.close();
  const again = await openRig(t, { dataDir });
  t.same(again.models.deployment("m"), { ...plain, modelUri: "models:/m/2", createdAtMs: 2_000 });
  t.same(again.models.deployment("a"), full);
  t.equal(await again.models.removeDeployment("m"), true);
  t.equal(await again.models.removeDeployment("m"), false);
  t.equal(again.models.deployment("m"), null);
});

t.test("the newest twenty starts of each model are kept", async (t) => {
  const { models } = await openRig(t);
  for (let each = 1; each <= 25; each++) {
    await models.recordStart({ model: "m", modelUri: "models:/m/1", tookMs: each + 0.4, atMs: each * 1_000 });
  }
  await models.recordStart({ model: "n", modelUri: null, tookMs: 7, atMs: 1 });
  const kept = models.starts("m");
  t.equal(kept.length, 20);
  t.same(kept[0], { model: "m", modelUri: "models:/m/1", tookMs: 25, atMs: 25_000 });
  t.equal(kept.at(-1)!.tookMs, 6);
  t.same(models.starts("n"), [{ model: "n", modelUri: null, tookMs: 7, atMs: 1 }]);
});

t.test("starts of names that nobody uses any more go in the end", async (t) => {
  const { models, file } = await openRig(t);
  const db = openForWriting(file);
  db.exec(
    `INSERT INTO model_starts (model, model_uri, took_ms, at_ms)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT 'old-' || i, NULL, 1, 1 FROM n`,
  );
  await models.recordStart({ model: "m", modelUri: null, tookMs: 1, atMs: 1 });
  t.same(db.prepare("SELECT count(*) AS kept FROM model_starts").get(), { kept: 10_000 });
  t.same([models.starts("old-1").length, models.starts("old-2").length, models.starts("m").length], [0, 1, 1]);
  db.close();
});

t.test("a data folder of a version before deployments is brought up, its tasks untouched", async (t) => {
  const dataDir = t.testdir();
  const folder = join(dataDir, "before");
  mkdirSync(folder);
  for (const name of readdirSync(MIGRATIONS_FOLDER).filter((each) => each < "0004")) {
    copyFileSync(join(MIGRATIONS_FOLDER, name), join(folder, name));
  }
  const db = openForWriting(join(dataDir, "sluice.db"));
  migrate(db, folder);
  db.close();
  const { models, store } = await openRig(t, { dataDir });
  t.same([models.configs(true), models.deployments(), store.countWaiting().tasks], [[], [], 0]);
});
