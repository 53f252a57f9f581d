import { join } from "node:path";
import t from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { NODE_IMAGE, startDockerFor, type TestDocker } from "../../helpers/docker.js";
import { fastClock } from "../../helpers/fast-clock.js";
import { deployRequest, onDemand, startManaged, WAIT_MS } from "./managed-rig.js";
import { folderOf, PROGRAM, until } from "./support.js";

const NETWORK = "sluice-test-managed";

const docker = await startDockerFor(t, NETWORK);
if (docker !== null) tests(docker);

function tests(docker: TestDocker): void {
  const config: ConfigInput = {
    discovery: { docker: { enabled: true, socket: docker.socket } },
    models: { deployment: { auto: { health_check_timeout: "10m" } } },
    cms: {
      network: NETWORK,
      image: NODE_IMAGE,
      command: ["/app/model-server.mjs", "--host", "0.0.0.0", "--port", "{port}"],
      volumes: { [PROGRAM]: "/app/model-server.mjs" },
    },
  };

  /** A container as CogStack Model Gateway, or the stack's own compose file, has started it. */
  function runOther(name: string, more: Record<string, string>) {
    return docker.run({
      name,
      args: ["/app/model-server.mjs", "--host", "0.0.0.0", "--port", "8000"],
      binds: [`${PROGRAM}:/app/model-server.mjs:ro`],
      network: NETWORK,
      stopSignal: "SIGKILL",
      labels: {
        "com.docker.compose.project": "cms",
        "com.docker.compose.service": name,
        "org.cogstack.model-serve": name,
        ...more,
      },
    });
  }

  const ofCmg = (type: string, ttl: number) => ({
    "org.cogstack.model-serve.uri": "models:/m/1",
    "org.cogstack.model-gateway.managed-by": "cmg",
    "org.cogstack.model-gateway.deployment-type": type,
    "org.cogstack.model-gateway.ttl": String(ttl),
  });

  const isThere = (name: string) =>
    docker.client
      .getContainer(name)
      .inspect()
      .then(
        () => true,
        () => false,
      );

  t.test(
    "without a word a daemon that answers runs what is deployed, and a restart of the sidecar finds it",
    async (t) => {
      const dataDir = join(folderOf(t), "data");
      const first = await startManaged(t, config, dataDir, { clock: fastClock(4) });
      const { container_id } = await first.management.deploy("deployed", deployRequest(-1));
      t.match(container_id, /^[0-9a-f]{64}$/);
      t.match(await first.catalogue.ensureReady("deployed", WAIT_MS), { source: "docker", serverId: container_id });
      await first.close();
      t.ok(await isThere("deployed"), "it runs on");
      const second = await startManaged(t, config, dataDir, { clock: fastClock(4) });
      t.match(await second.catalogue.ensureReady("deployed", WAIT_MS), { serverId: container_id, source: "docker" });
      await second.management.remove("deployed", false);
      t.notOk(await isThere("deployed"));
      await second.close();
    },
  );

  t.test("containers that CogStack Model Gateway left are kept as what their labels say", async (t) => {
    await runOther("manual", ofCmg("manual", 3_600));
    await runOther("auto", ofCmg("auto", 600));
    const rig = await startManaged(t, config, undefined, { clock: fastClock(4) });
    const { catalogue, store, management } = rig;
    await until(() => ["manual", "auto"].every((name) => catalogue.get(name)?.state === "ready"), "both", 30_000);
    t.match(store.deployment("manual"), { deploymentType: "manual", ttlSeconds: 3_600, modelUri: "models:/m/1" });
    t.match(store.deployment("auto"), { deploymentType: "auto", idleTtlSeconds: 600, ttlSeconds: null });
    t.match(catalogue.get("manual"), { deploymentType: "manual", serverId: /^[0-9a-f]{64}$/ });
    await management.remove("manual", false);
    t.notOk(await isThere("manual"));
    await management.remove("auto", false);
    t.strictSame(store.deployments(), []);
    await rig.close();
  });

  t.test(
    "a container of the stack is removed when told to, and wins over an on-demand model of its name",
    async (t) => {
      await runOther("stack", {});
      const rig = await startManaged(t, config, undefined, { clock: fastClock(4) });
      const { catalogue, management } = rig;
      await management.onDemand.create(onDemand("stack"));
      await until(() => catalogue.get("stack")?.state === "ready", "it", 30_000);
      t.match(catalogue.get("stack"), { deploymentType: "static", onDemand: false });
      await t.rejects(management.deploy("stack", deployRequest()), { code: "MODEL_ALREADY_RUNNING" });
      const release = catalogue.lease("stack", "a request");
      await t.rejects(management.remove("stack", false), { code: "MODEL_IN_USE" });
      release();
      await management.remove("stack", false);
      t.notOk(await isThere("stack"));
      await until(() => catalogue.get("stack")?.onDemand === true, "the on-demand model of its name");
      await rig.close();
    },
  );

  t.test("a paused container of the stack runs: it is woken, ends in its own way and is removed", async (t) => {
    await runOther("paused", {});
    await runOther("held", {});
    await docker.client.getContainer("held").pause();
    const rig = await startManaged(t, config, undefined, { clock: fastClock(4) });
    const { catalogue, management } = rig;
    await until(() => catalogue.get("paused")?.state === "ready", "it", 30_000);
    await docker.client.getContainer("paused").pause();
    await management.remove("paused", false);
    t.notOk(await isThere("paused"));
    await management.remove("held", true);
    t.notOk(await isThere("held"), "also where it was paused before anybody looked");
    await rig.close();
  });
}
