import t from "tap";
import type { DeploySpec } from "../../../core/contract/model-management.js";
import { MEMORY, memoryBytes, nanoCpus, tidySpec } from "../../../sidecar/models/deploy-spec.js";

t.test("memory is digits, a decimal part and one letter, and nothing else", async (t) => {
  for (const [text, bytes] of [
    ["512m", 512 * 2 ** 20],
    ["512M", 512 * 2 ** 20],
    ["4g", 4 * 2 ** 30],
    ["1.5G", 1.5 * 2 ** 30],
    ["64K", 65_536],
    ["1024", 1024],
    ["0.1k", 102],
  ] as const) {
    t.equal(memoryBytes(text), bytes, text);
    t.ok(MEMORY.test(text));
  }
  const error = { code: "INVALID_PARAMETER", status: 422, message: /is no amount above 0/, hint: /512m/ };
  for (const text of ["4gb", "-1g", "+4g", "4 g", "", "g", "4g\n", "1e3", ".5g", "1.g", "0x10", "４g", "1,5g"]) {
    t.notOk(MEMORY.test(text), JSON.stringify(text));
    t.throws(() => memoryBytes(text), error, JSON.stringify(text));
  }
  for (const text of ["0", "0.0g", "0.5", "9999999999g"]) t.throws(() => memoryBytes(text), error, text);
  t.throws(() => memoryBytes("9".repeat(10_000)), { message: /^memory '9{100}…' / }, "never the whole of it");
});

t.test("processors are a decimal number above 0", async (t) => {
  for (const [text, nano] of [
    ["2", 2e9],
    ["2.0", 2e9],
    ["0.5", 5e8],
    ["0.000000001", 1],
    [" 1.5 ", 1.5e9],
  ] as const) {
    t.equal(nanoCpus(text), nano, text);
  }
  for (const text of ["0", "-1", "", "two", "1e3", "NaN", "Infinity", "0x2", "0.0000000001", "99999999999999"]) {
    t.throws(() => nanoCpus(text), { code: "INVALID_PARAMETER", message: /is no number above 0/ }, text);
  }
});

t.test("a spec is kept without nulls at any level, and without what nobody knows", async (t) => {
  const loose = (spec: unknown) => tidySpec(spec as DeploySpec | null);
  t.equal(loose(null), null);
  t.same(loose({}), {});
  t.same(loose({ resources: null }), {});
  t.same(loose({ resources: { limits: null } }), { resources: {} });
  t.same(
    loose({
      resources: {
        limits: { memory: "4g", cpus: null, disk: "1g" },
        reservations: { memory: null, cpus: "1", gpus: "all" },
      },
      image: "any",
    }),
    { resources: { limits: { memory: "4g" }, reservations: { cpus: "1", gpus: "all" } } },
  );
});
