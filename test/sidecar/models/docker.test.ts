import { readFileSync, realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { dockerSkipReason, startDocker, type TestDocker } from "../../helpers/docker.js";
import { requireOrSkip } from "../../helpers/services.js";
import { folderOf, PROGRAM, startCatalogue, startServer, until } from "./support.js";

const LABEL = "org.cogstack.model-serve";
const PROJECT = "com.docker.compose.project";
const WAIT_MS = 20_000;
const NETWORK = "sluice-test-cms";

const PACKAGE_ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const GAZETTEER = join(PACKAGE_ROOT, "dist/examples/gazetteer");

const reason = await dockerSkipReason();
if (requireOrSkip(t, "docker", reason)) {
  const docker = await startDocker();
  t.teardown(() => docker.stop());
  await docker.createNetwork(NETWORK);
  tests(docker);
}

function configFor(docker: TestDocker, more: ConfigInput["discovery"] = {}): ConfigInput {
  return {
    discovery: { docker: { enabled: "auto", socket: docker.socket, network: NETWORK, project: "cms" }, ...more },
  };
}

/** A model server in a container, removed with the test. */
async function runModel(
  t: Test,
  docker: TestDocker,
  name: string,
  labels: Record<string, string> = {},
  network = NETWORK,
) {
  const container = await docker.run({
    name,
    args: ["/app/model-server.mjs", "--port", "8000", "--host", "0.0.0.0"],
    labels: { [LABEL]: "medcat_snomed", [PROJECT]: "cms", ...labels },
    network,
    stopSignal: "SIGKILL",
    binds: [`${PROGRAM}:/app/model-server.mjs:ro`],
  });
  t.teardown(() => container.remove({ force: true }).catch(() => undefined));
  return container;
}

function tests(docker: TestDocker): void {
  t.test("containers are found by their labels and reached by their address on the network", async (t) => {
    await runModel(t, docker, "c1", { "com.docker.compose.service": "medcat-snomed", [`${LABEL}.uri`]: "models:/s/1" });
    await runModel(t, docker, "c2");
    await runModel(t, docker, "c3", { [PROJECT]: "dev-cms" });
    const { catalogue } = await startCatalogue(t, configFor(docker));
    await until(() => catalogue.list().length === 2, "two models");
    const entry = await catalogue.ensureReady("medcat-snomed", WAIT_MS);
    t.match(entry, { state: "ready", source: "docker", modelUri: "models:/s/1", onDemand: false });
    t.equal(entry.url, `http://${entry.address}:8000`);
    t.equal((await fetch(`${entry.url}/healthz`)).status, 200);
    t.equal(catalogue.get(entry.address!)?.name, "medcat-snomed", "its address is another name");
    t.match(await catalogue.ensureReady("c2", WAIT_MS), { state: "ready" });
    t.equal(catalogue.get("c3"), undefined);
  });

  t.test("the example server runs in a container and answers a real note", async (t) => {
    const container = await docker.run({
      name: "gazetteer",
      args: ["/app/gazetteer/main.js", "--host", "0.0.0.0", "--port", "8000"],
      labels: { [LABEL]: "gazetteer", [PROJECT]: "cms" },
      network: NETWORK,
      stopSignal: "SIGKILL",
      binds: [
        `${GAZETTEER}:/app/gazetteer:ro`,
        `${join(PACKAGE_ROOT, "package.json")}:/app/package.json:ro`,
        // Its one library.
        `${realpathSync(join(PACKAGE_ROOT, "node_modules/ws"))}:/app/node_modules/ws:ro`,
      ],
    });
    t.teardown(() => container.remove({ force: true }));
    const { catalogue } = await startCatalogue(t, configFor(docker));
    await until(() => catalogue.get("gazetteer"), "known");
    const { url } = await catalogue.ensureReady("gazetteer", WAIT_MS);
    const notes = JSON.parse(readFileSync(join(PACKAGE_ROOT, "test/data/sample_texts.json"), "utf8")) as string[];
    const body = notes[0]!;
    const headers = { "content-type": "text/plain" };
    const answer = await fetch(`${url}/process`, { method: "POST", headers, body });
    t.equal(answer.status, 200);
    t.type(((await answer.json()) as { annotations: unknown }).annotations, Array);
  });

  t.test("what starts, pauses, stops or goes is followed at once", async (t) => {
    const { catalogue } = await startCatalogue(t, configFor(docker));
    const container = await runModel(t, docker, "c4");
    const isReady = () => catalogue.get("c4")?.state === "ready";
    const isGone = () => catalogue.get("c4") === undefined;
    await until(isReady, "started");
    await container.pause();
    await until(isGone, "paused");
    await container.unpause();
    await until(isReady, "unpaused");
    await container.kill();
    await until(isGone, "killed");
    await container.start();
    await until(isReady, "started again");
    const states: string[] = [];
    t.teardown(catalogue.onChange((models) => states.push(models.find(({ name }) => name === "c4")?.state ?? "gone")));
    await container.restart({ t: 0 });
    await until(() => states.length > 0 && isReady(), "restarted");
    t.not(states[0], "ready", "a container that was started anew is checked before it is routed to");
    await container.remove({ force: true });
    await until(isGone, "removed");
  });

  t.test("a container outside the network is known but not routable until it joins", async (t) => {
    await docker.createNetwork("sluice-test-other");
    const container = await runModel(t, docker, "c5", {}, "sluice-test-other");
    const { catalogue } = await startCatalogue(t, configFor(docker));
    await until(() => catalogue.get("c5"), "known");
    t.match(catalogue.get("c5"), { url: null, problem: /not on the network/ });
    await t.rejects(catalogue.ensureReady("c5", 10), { code: "MODEL_NOT_READY", message: /not on the network/ });
    await docker.client.getNetwork(NETWORK).connect({ Container: container.id });
    await until(() => catalogue.get("c5")?.state === "ready", "ready after it joined");
    t.equal(catalogue.get("c5")?.problem, null);
  });

  t.test("a static model keeps its name; the container that has it too is told of once", async (t) => {
    const { url } = await startServer(t);
    await runModel(t, docker, "c6");
    await runModel(t, docker, "c7");
    const { catalogue, lines } = await startCatalogue(t, configFor(docker, { static: [{ name: "c6", url }] }));
    await catalogue.ensureReady("c6", WAIT_MS);
    await until(() => catalogue.get("c7")?.state === "ready", "the other container");
    t.match(catalogue.get("c6"), { source: "static", url });
    t.equal(lines.filter(({ message }) => message.includes("two models have one name")).length, 1);
  });

  t.test(
    "with the daemon gone what runs stays routable, and everything is followed again when it is back",
    async (t) => {
      const container = await runModel(t, docker, "c8");
      const { catalogue, lines } = await startCatalogue(t, configFor(docker));
      await until(() => catalogue.get("c8"), "known");
      const { url } = await catalogue.ensureReady("c8", WAIT_MS);
      await docker.kill();
      await until(() => lines.some(({ event }) => event === "docker_away"), "the loss is noticed");
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      t.match(catalogue.get("c8"), { state: "ready", url }, "the container itself lives on");
      t.equal((await fetch(`${url}/healthz`)).status, 200);
      await docker.start();
      await until(() => lines.some(({ event }) => event === "docker_back"), "the return is noticed", 15_000);
      t.equal(lines.filter(({ event }) => event === "docker_away").length, 1, "told once");
      await container.start().catch(() => undefined);
      await until(() => catalogue.get("c8")?.state === "ready", "ready");
      await container.kill();
      await until(() => catalogue.get("c8") === undefined, "events flow again");
    },
  );

  t.test("a daemon that hangs holds nothing up", async (t) => {
    const { url } = await startServer(t);
    const given = { docker: { socket: await silentSocket(t) }, static: [{ name: "s", url }] };
    const { catalogue } = await startCatalogue(t, configFor(docker, given));
    t.match(await catalogue.ensureReady("s", WAIT_MS), { state: "ready" });
    const began = Date.now();
    await catalogue.stop(began + 1_000);
    t.ok(Date.now() - began < 5_000);
  });

  t.test("without a socket, auto is quiet and true says so once", async (t) => {
    const socket = join(folderOf(t), "none.sock");
    const quiet = await startCatalogue(
      t,
      configFor(docker, { docker: { enabled: "auto", socket } }),
      join(folderOf(t), "1"),
    );
    const loud = await startCatalogue(
      t,
      configFor(docker, { docker: { enabled: true, socket } }),
      join(folderOf(t), "2"),
    );
    await until(() => loud.lines.some(({ event }) => event === "docker_away"), "the warning");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    t.equal(loud.lines.length, 1);
    t.strictSame(quiet.lines, []);
  });
}

/** Accepts connections and never says a word. A socket's path must be short. */
async function silentSocket(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-"));
  const server = createServer(() => {});
  const path = join(folder, "silent.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });
  return path;
}
