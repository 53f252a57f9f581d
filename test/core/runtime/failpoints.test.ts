import { spawnSync } from "node:child_process";
import t from "tap";
import { armFailpoints, failpoint, failpointSpec } from "../../../core/runtime/failpoints.js";

t.afterEach(() => armFailpoints(null));

t.test("unarmed places do nothing; an armed one acts on its pass alone", async (t) => {
  failpoint("step.one");
  armFailpoints("step.one=throw:ENOSPC@2, step.two=throw:EIO");
  t.equal(failpointSpec(), "step.one=throw:ENOSPC@2, step.two=throw:EIO");
  failpoint("step.one");
  t.throws(() => failpoint("step.one"), { code: "ENOSPC" });
  failpoint("step.one");
  t.throws(() => failpoint("step.two"), { code: "EIO" });
  t.throws(() => failpoint("step.two"), { code: "EIO" }, "every pass");
  armFailpoints(null);
  failpoint("step.two");
});

t.test("a spec that cannot be read is refused", async (t) => {
  for (const spec of ["", "a", "a=explode", "a=kill@x", "a=throw:"]) t.throws(() => armFailpoints(spec), spec);
});

t.test("a delay blocks and a kill leaves no time for anything", async (t) => {
  armFailpoints("slow=delay:60");
  const startedAt = performance.now();
  failpoint("slow");
  t.ok(performance.now() - startedAt >= 50);
  const module = new URL("../../../core/runtime/failpoints.js", import.meta.url).href;
  const program = `const { armFailpoints, failpoint } = await import("${module}");
    process.on("exit", () => console.log("exit"));
    armFailpoints("now=kill"); failpoint("now"); console.log("after");`;
  const { signal, stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  t.equal(signal, "SIGKILL");
  t.equal(stdout, "");
});
