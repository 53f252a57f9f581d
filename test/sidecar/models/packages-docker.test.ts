/** Containers out of the registry: real ones, whose program runs as nobody in particular. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { CONTAINER_NETWORK, containerConfig } from "../../e2e/container-rig.js";
import { NODE_IMAGE, startDockerFor, type TestDocker } from "../../helpers/docker.js";
import { fastClock } from "../../helpers/fast-clock.js";
import { filesIn, openRig, push, putModel } from "../registry/local-rig.js";
import { deployRequest, startManaged, WAIT_MS } from "./managed-rig.js";
import { folderOf } from "./support.js";

const docker = await startDockerFor(t, CONTAINER_NETWORK);
if (docker !== null) tests(docker);

/** A gazetteer that knows one word. */
const knowing = (word: string) =>
  JSON.stringify({
    format: "gazetteer/1",
    name: "terms",
    model_type: "medcat_snomed",
    version: 1,
    terms: [{ surface: word, id: `id-${word}`, name: word, category: "trained", seen: 1 }],
  });

function tests(docker: TestDocker): void {
  const image = "sluice-test-nobody:latest";
  const deployment = (modelUri: string) => ({ ...deployRequest(-1), model_uri: modelUri });
  const parts = (registry: Awaited<ReturnType<typeof openTerms>>["registry"]) => ({ clock: fastClock(4), registry });

  async function openTerms(t: Test) {
    const rig = await openRig(t, { dataDir: join(folderOf(t), "registry") });
    await putModel(rig.registry, "terms");
    await push(rig.registry, "terms", knowing("florb"));
    return rig;
  }

  function configOf(...switches: string[]): ConfigInput {
    const given = containerConfig(docker);
    return { ...given, cms: { ...given.cms, image, command: [...given.cms!.command!, ...switches] } };
  }

  async function finds(url: string, word: string): Promise<boolean> {
    const headers = { "content-type": "text/plain" };
    const answer = await fetch(`${url}/process`, { method: "POST", headers, body: `A ${word}.` });
    return (await answer.text()).includes(`id-${word}`);
  }

  t.before(async () => {
    const made = await docker.client.createContainer({ Image: NODE_IMAGE, Cmd: ["--version"] });
    await made.commit({ repo: "sluice-test-nobody", tag: "latest", changes: "USER 65534:65534" } as object);
    await made.remove();
  });

  t.test(
    "the version's file is there, read-only, and another user reads it; a restart knows which it is",
    async (t) => {
      const { registry } = await openTerms(t);
      const config = configOf("--model-path={model_path}");
      const dataDir = join(folderOf(t), "data");
      const first = await startManaged(t, config, dataDir, parts(registry));
      const deployed = await first.management.deploy("one", deployment("sluice://terms/latest"));
      t.equal(deployed.model_uri, "sluice://terms/1");
      const { url } = await first.catalogue.ensureReady("one", WAIT_MS);
      t.ok(await finds(url!, "florb"));
      const { Mounts, Config } = await docker.client.getContainer(deployed.container_id).inspect();
      t.match(
        Mounts.find(({ Destination }) => Destination.startsWith("/app/model/package/")),
        { Type: "bind", RW: false, Destination: /^\/app\/model\/package\/v0*1\.data$/ },
      );
      t.match(Config, { User: "65534:65534", Labels: { "org.cogstack.model-serve.uri": "sluice://terms/1" } });
      await first.close();

      await push(registry, "terms", knowing("glorp"));
      const second = await startManaged(t, config, dataDir, parts(registry));
      const found = await second.catalogue.ensureReady("one", WAIT_MS);
      t.match(found, { serverId: deployed.container_id, modelUri: "sluice://terms/1" });
      await t.rejects(registry.deleteVersion("terms", 1, { force: false }), { code: "REGISTRY_IN_USE" });
      await second.management.stop("one");
      await registry.deleteVersion("terms", 1, { force: false });
      const next = await second.catalogue.ensureReady("one", WAIT_MS);
      t.equal(next.modelUri, "sluice://terms/2");
      t.ok(await finds(next.url!, "glorp"));
      await second.management.remove("one", false);
      await second.close();
    },
  );

  t.test("by its URI a container gets the same file; one that is damaged starts nothing", async (t) => {
    const { registry, archiveDir } = await openTerms(t);
    const rig = await startManaged(t, configOf("--model-path={model_uri}"), undefined, parts(registry));
    await rig.management.deploy("two", deployment("sluice://terms/1"));
    const { url } = await rig.catalogue.ensureReady("two", WAIT_MS);
    t.ok(await finds(url!, "florb"));
    await rig.management.remove("two", false);

    await push(registry, "terms", knowing("glorp"));
    const file = join(archiveDir, filesIn(archiveDir).at(-1)!);
    chmodSync(file, 0o600);
    writeFileSync(file, "x");
    await t.rejects(rig.management.deploy("two", deployment("sluice://terms/latest")), { code: "VERSION_DAMAGED" });
    const all = await docker.client.listContainers({ all: true });
    t.notOk(all.some(({ Names }) => Names.includes("/two")));
    await rig.close();
  });
}
