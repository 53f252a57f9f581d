import t from "tap";
import { isRunOf, pinOf, startUri } from "../../../sidecar/models/pin.js";

t.test("a pin is a version by its number, and nothing else is one", async (t) => {
  t.strictSame(pinOf("sluice://fish%20tank/12"), {
    modelUri: "sluice://fish%20tank/12",
    modelId: "fish tank",
    versionNumber: 12,
  });
  for (const uri of [null, "", "sluice://m/latest", "sluice://m/champion", "sluice://m/0", "models:/m/1", "sluice://m"])
    t.equal(pinOf(uri), null, String(uri));
});

t.test("what leaves its version open is served by any version of its model, and by no other's", async (t) => {
  t.ok(isRunOf("sluice://m/latest", "sluice://m/3"));
  t.ok(isRunOf("sluice://m/champion", "sluice://m/3"));
  t.ok(isRunOf("sluice://m/3", "sluice://m/3"));
  t.ok(isRunOf("sluice://m/latest", "sluice://m/latest"), "it ran without a version");
  t.notOk(isRunOf("sluice://m/2", "sluice://m/3"));
  t.notOk(isRunOf("sluice://m/latest", "sluice://n/3"));
  t.notOk(isRunOf("sluice://m/latest", "models:/m/3"));
  t.notOk(isRunOf("models:/m/latest", "models:/m/3"), "other schemes are compared as they are");
  t.notOk(isRunOf("sluice://m/latest", null));
  t.ok(isRunOf(null, ""), "a container without a URI has an empty label");
});

t.test("a start takes the version or alias that is followed", async (t) => {
  t.equal(startUri({ modelUri: "sluice://m/latest", follow: null }), "sluice://m/latest");
  t.equal(startUri({ modelUri: "sluice://m/latest", follow: "champion" }), "sluice://m/champion");
  t.equal(startUri({ modelUri: "models:/m/1", follow: "latest" }), "models:/m/1");
  t.equal(startUri({ modelUri: null, follow: "latest" }), null);
});
