/** The configuration's edits as an operator sees them: `sluice serve` with its real parts, a file, SIGHUP and the log. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { RunningServe } from "./programs/running-serve.js";

const MAIN = fileURLToPath(new URL("../../cli/main.js", import.meta.url));

t.test(
  "an edit that asks for a restart is said as long as it stands, and no longer once it is taken back",
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "sluice.yaml");
    const write = (idle: string) => writeFileSync(file, `proxy: { timeouts: { idle: ${idle} } }\n`);
    write("60s");
    const args = ["serve", "--data-dir", join(folder, "data"), "--port", "0", "--config", file];
    const running = new RunningServe(MAIN, args, { SLUICE_DISCOVERY_DOCKER_ENABLED: "false" });
    t.teardown(() => running.end());
    await running.ready();
    const reloads = () => running.lines.filter((line) => line.event === "config_reloaded");
    const reload = async () => {
      const before = reloads().length;
      running.child.kill("SIGHUP");
      await running.line(() => reloads().length > before, 5_000);
      return reloads()[before];
    };

    write("61s");
    t.same((await reload())?.needsRestart, ["proxy.timeouts.idle"]);
    t.same((await reload())?.needsRestart, ["proxy.timeouts.idle"], "still so, although nothing changed since");
    write("60s");
    t.equal((await reload())?.needsRestart, undefined, "as it was at the start");

    rmSync(file);
    running.child.kill("SIGHUP");
    const refused = await running.line((line) => line.event === "config_refused", 5_000);
    t.same(refused.faults, [`${file} does not exist`], "a fault of the whole file has no setting's name before it");
  },
);
