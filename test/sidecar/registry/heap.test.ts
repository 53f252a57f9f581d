import t from "tap";
import { growthPercent } from "../../../sidecar/registry/heap.js";

const MIB = 2 ** 20;

t.test("a heap may grow by 64 MiB, or by as much as it holds, or by eight times that", (t) => {
  t.equal(growthPercent(16 * MIB), 400);
  t.equal(growthPercent(500 * MIB), 100);
  t.equal(growthPercent(MIB), 800);
  t.end();
});
