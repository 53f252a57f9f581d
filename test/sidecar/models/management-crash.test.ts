import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { startManaged, templateOf, WAIT_MS } from "./managed-rig.js";
import { folderOf, isAlive, linesOf, until } from "./support.js";

const PROGRAM = fileURLToPath(new URL("./manage-and-die.js", import.meta.url));

function startSidecar(t: Test, failpoints: string) {
  const starts = join(folderOf(t), "starts");
  const config = templateOf(["--starts", starts]);
  const dataDir = join(folderOf(t), "data");
  const child = spawn(process.execPath, [PROGRAM, dataDir, JSON.stringify(config), failpoints], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => {
    for (const pid of linesOf(starts)) if (isAlive(Number(pid))) process.kill(Number(pid), "SIGKILL");
  });
  return { child, config, dataDir, starts };
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

t.test(
  "killed between a deployment's row and its start, the next sidecar has the deployment and starts it when asked",
  async (t) => {
    const { child, config, dataDir, starts } = startSidecar(t, "deploy.after_row=kill");
    const [, signal] = await once(child, "exit");
    t.equal(signal, "SIGKILL");
    t.equal(linesOf(starts).length, 0, "nothing was started");
    const { catalogue, store } = await startManaged(t, config, dataDir);
    t.match(catalogue.get("m"), { state: "absent", onDemand: true, deploymentType: "manual" });
    t.equal(store.deployment("m")?.ttlSeconds, 600);
    t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
  },
);

t.test(
  "killed between a removal's stop and its row, the next sidecar removes what does not run when told to",
  async (t) => {
    const { child, config, dataDir, starts } = startSidecar(t, "remove.after_stop=kill");
    await once(child, "exit");
    await until(() => !isAlive(Number(linesOf(starts)[0])), "its end");
    const { catalogue, management, store } = await startManaged(t, config, dataDir);
    t.match(catalogue.get("m"), { state: "absent", deploymentType: "manual" });
    await t.rejects(management.remove("m", false), { code: "MODEL_UNKNOWN", message: /force/ });
    await management.remove("m", true);
    t.equal(store.deployment("m"), null);
  },
);

t.test("a deployed server outlives a killed sidecar, and the next one finds it by what is stored", async (t) => {
  const { child, config, dataDir, starts } = startSidecar(t, "");
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  await end(child);
  const { catalogue, management } = await startManaged(t, config, dataDir);
  t.match(await catalogue.ensureReady("m", WAIT_MS), { serverId: line.toString().trim(), deploymentType: "manual" });
  t.equal(linesOf(starts).length, 1);
  await management.remove("m", false);
  t.notOk(isAlive(Number(linesOf(starts)[0])));
});
