import t from "tap";
import { modelIdsOf } from "../../../sidecar/registry/model-ids.js";
import { openRig, putModel } from "./local-rig.js";

t.test("a model that goes while the ids are read moves no other one out of sight", async (t) => {
  const { registry } = await openRig(t);
  const ids = Array.from({ length: 250 }, (_, index) => `m${String(index).padStart(3, "0")}`);
  await Promise.all(ids.map((id) => putModel(registry, id)));
  const found: string[] = [];
  for (const page of modelIdsOf(registry)) {
    found.push(...page);
    if (found.length === page.length) await registry.deleteModel("m000", { force: false });
  }
  t.strictSame(found, ids);
});
