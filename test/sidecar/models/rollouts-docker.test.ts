import { join } from "node:path";
import t from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { NODE_IMAGE, startDockerFor, type TestDocker } from "../../helpers/docker.js";
import { onDemand, startManaged, WAIT_MS } from "./managed-rig.js";
import { folderOf, PROGRAM, until } from "./support.js";
import { VersionsToFollow } from "./versions-to-follow.js";

const NETWORK = "sluice-test-rollouts";

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
  const isThere = (name: string) =>
    docker.client
      .getContainer(name)
      .inspect()
      .then(
        () => true,
        () => false,
      );

  t.test(
    "a followed version's container is started beside the present one, and found again in its place",
    async (t) => {
      const folder = folderOf(t);
      const dataDir = join(folder, "data");
      const versions = await VersionsToFollow.open(dataDir, t);
      await versions.add("m");
      const first = await startManaged(t, config, dataDir, { registry: versions.registry });
      await first.management.onDemand.create(onDemand("roll", { model_uri: "sluice://m/latest", follow: true }));
      const before = await first.catalogue.ensureReady("roll", WAIT_MS);
      t.match(before, { source: "docker", modelUri: "sluice://m/1" });
      await versions.add("m");
      await until(() => first.catalogue.get("roll")?.modelUri === "sluice://m/2", "the new version", 20_000);
      const after = first.catalogue.get("roll")!;
      t.match(after, { state: "ready" });
      t.ok(await isThere("roll.sluice-1"));
      await until(async () => !(await isThere("roll")), "the former container's end", 20_000);
      await first.close();

      const second = await startManaged(t, config, dataDir, { registry: versions.registry });
      const found = await second.catalogue.ensureReady("roll", WAIT_MS);
      t.equal(found.serverId, after.serverId, "the same container");
      await second.management.stop("roll");
      t.notOk(await isThere("roll.sluice-1"));
    },
  );
}
