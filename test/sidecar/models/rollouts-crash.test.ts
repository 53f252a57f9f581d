import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { startManaged, WAIT_MS } from "./managed-rig.js";
import { command, folderOf, isAlive, linesOf, until } from "./support.js";
import { VersionsToFollow } from "./versions-to-follow.js";

const PROGRAM = fileURLToPath(new URL("./roll-and-die.js", import.meta.url));

const BESIDE = {};
const ALONE = { memory: { budget: "100MiB", default: "60MiB" } } as const;

/** Where it is killed, and which version the next sidecar finds running. */
const PLACES = [
  ["rollout.before_start=kill", BESIDE, "sluice://m/1"],
  ["rollout.after_ready=kill", BESIDE, "sluice://m/1"],
  // The first is of the version that was ready before.
  ["rollout.before_commit=kill@2", BESIDE, "sluice://m/1"],
  ["rollout.after_commit=kill", BESIDE, "sluice://m/2"],
  ["rollout.after_switch=kill", BESIDE, "sluice://m/2"],
  ["rollout.after_stop=kill", ALONE, null],
] as const;

for (const [failpoint, deployment, found] of PLACES) {
  t.test(`killed at ${failpoint}, the next sidecar ends with the newest version alone`, async (t) => {
    const folder = folderOf(t);
    const starts = join(folder, "starts");
    const dataDir = join(folder, "data");
    t.teardown(() => {
      for (const pid of linesOf(starts)) if (isAlive(Number(pid))) process.kill(Number(pid), "SIGKILL");
    });
    const run = command("--starts", starts, "--", "{model_uri}");
    const config: ConfigInput = {
      discovery: { process: [{ name: "m", command: run, model_uri: "sluice://m/latest", follow: "latest" }] },
      models: { deployment: { auto: { health_check_timeout: "10m" }, ...deployment } },
    };
    const child = spawn(process.execPath, [PROGRAM, dataDir, JSON.stringify(config), failpoint], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const [, signal] = await once(child, "exit");
    t.equal(signal, "SIGKILL");
    const versions = await VersionsToFollow.open(dataDir, t);
    const { catalogue } = await startManaged(t, config, dataDir, { registry: versions.registry });
    if (found !== null) {
      await until(() => catalogue.get("m")?.serverId, "what runs");
      t.equal(catalogue.get("m")!.modelUri, found);
    }
    t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
    await until(
      () => catalogue.get("m")?.state === "ready" && catalogue.get("m")?.modelUri === "sluice://m/2",
      "the newest",
    );
    await until(() => linesOf(starts).filter((pid) => isAlive(Number(pid))).length === 1, "one alone");
    t.equal(catalogue.get("m")?.serverId, `process-${linesOf(starts).find((pid) => isAlive(Number(pid)))}`);
  });
}
