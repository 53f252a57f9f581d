import t from "tap";
import { MAX_ALIASES } from "../../../sidecar/registry/store/registry-store.js";
import { openRig, push, putModel } from "./local-rig.js";

t.test("an alias names one version at a time, and its history tells which it named", async (t) => {
  const first = await openRig(t);
  const { registry } = first;
  await putModel(registry, "foo");
  for (const data of ["1", "2", "3"]) await push(registry, "foo", data);
  const set = await registry.setAlias("foo", "champion", 1);
  t.match(set, { modelId: "foo", alias: "champion", versionNumber: 1 });
  await registry.setAlias("foo", "Zero", -3);
  t.equal(registry.resolve("foo", "champion").versionNumber, 1);
  await registry.setAlias("foo", "champion", 2);
  t.equal(registry.resolve("foo", "champion").versionNumber, 2);
  t.equal(registry.resolve("foo", "latest").versionNumber, 3);
  t.equal(registry.resolve("foo", 3).versionNumber, 3);
  t.same(
    registry.aliases("foo").map(({ alias, versionNumber }) => [alias, versionNumber]),
    [
      ["Zero", 1],
      ["champion", 2],
    ],
  );
  await registry.deleteVersion("foo", 2, { force: false });
  t.throws(() => registry.resolve("foo", "champion"), { code: "REGISTRY_ALIAS_UNKNOWN" });
  await registry.setAlias("foo", "champion", 3);
  await registry.removeAlias("foo", "champion");
  await t.rejects(registry.removeAlias("foo", "champion"), { code: "REGISTRY_ALIAS_UNKNOWN" });
  const history = () =>
    rig()
      .aliasHistory("foo", "champion")
      .map(({ versionNumber }) => versionNumber);
  let rig = () => registry;
  t.same(history(), [null, 3, null, 2, 1]);
  await first.close();
  const second = await openRig(t, { dataDir: first.dataDir });
  rig = () => second.registry;
  t.same(history(), [null, 3, null, 2, 1], "also after a restart");
  await second.registry.deleteModel("foo", { force: false });
  await putModel(second.registry, "foo");
  t.throws(history, { code: "REGISTRY_ALIAS_UNKNOWN" }, "another model has none of it");
});

t.test("what cannot be an alias is refused with words", async (t) => {
  const { registry } = await openRig(t);
  await putModel(registry, "foo");
  await push(registry, "foo", "1");
  await push(registry, "foo", "2", { archived: false });
  for (const alias of ["latest", "", "1", "a b", "a/b", `a${"x".repeat(128)}`]) {
    await t.rejects(registry.setAlias("foo", alias, 1), { code: "REGISTRY_ALIAS_INVALID" }, alias);
  }
  await t.rejects(registry.setAlias("foo", "a", 9), { code: "REGISTRY_VERSION_UNKNOWN" });
  await t.rejects(registry.setAlias("bar", "a", 1), { code: "REGISTRY_MODEL_UNKNOWN" });
  await t.rejects(registry.setAlias("foo", "a", 2), { code: "VERSION_TRANSIENT", hint: /archived/ });
  t.throws(() => registry.aliases("bar"), { code: "REGISTRY_MODEL_UNKNOWN" });
  t.throws(() => registry.aliasHistory("foo", "a"), { code: "REGISTRY_ALIAS_UNKNOWN" });
});

t.test("a model has so many aliases, an alias so much history, and no more", async (t) => {
  const { registry } = await openRig(t);
  await putModel(registry, "foo");
  await push(registry, "foo", "1");
  await Promise.all(Array.from({ length: MAX_ALIASES }, (_, each) => registry.setAlias("foo", `a${each}`, 1)));
  await t.rejects(registry.setAlias("foo", "more", 1), { code: "INVALID_PARAMETER" });
  await Promise.all(Array.from({ length: 1_100 }, () => registry.setAlias("foo", "a0", 1)));
  t.equal(registry.aliasHistory("foo", "a0").length, 1_000);
  t.equal(registry.aliases("foo").length, MAX_ALIASES);
});
