import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import t from "tap";
import { runSluice } from "../cli/programs/run-sluice.js";
import { TestDirectory } from "../helpers/directory.js";
import { makeFolder } from "../helpers/folder.js";
import { connectRegistry } from "../helpers/registry-client.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";

const portOf = (sluice: RunningSluice) => Number(sluice.registry.split(":")[1]);

async function metricsOf({ url }: RunningSluice): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith("sluice_registry_"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

async function componentsOf({ url }: RunningSluice): Promise<{ status: number; components: Record<string, string> }> {
  const answer = await fetch(`${url}/health`);
  const body = (await answer.json()) as {
    components?: Record<string, string>;
    detail?: { components: Record<string, string> };
  };
  return { status: answer.status, components: body.components ?? body.detail!.components };
}

t.test(
  "'sluice serve' says where the registry listens, and a killed sidecar comes back there with what was kept",
  async (t) => {
    const sluice = await startSluice(t);
    t.match(sluice.registry, /^127\.0\.0\.1:\d+$/);
    const port = portOf(sluice);
    const client = connectRegistry(t, { port });
    await client.createModel("medcat");
    await client.createVersion({ model_id: "medcat", archived: true }, "weights");
    await client.createVersion({ model_id: "medcat" }, "a moment");
    t.equal(String(await client.data("medcat", 1)), "weights");
    const watch = client.watch("medcat");
    await watch.until(2);

    const metrics = await metricsOf(sluice);
    const expected: [string, number][] = [
      ["sluice_registry_models", 1],
      ['sluice_registry_versions{kind="archived"}', 1],
      ['sluice_registry_versions{kind="transient"}', 1],
      ['sluice_registry_bytes{kind="archived"}', 7],
      ['sluice_registry_bytes{kind="transient"}', 8],
      ['sluice_registry_uploads_total{kind="archived"}', 1],
      ['sluice_registry_uploaded_bytes_total{kind="transient"}', 8],
      ["sluice_registry_uploads", 0],
      ["sluice_registry_downloads_total", 1],
      ["sluice_registry_evictions_total", 0],
      ["sluice_registry_watchers", 1],
      ["sluice_registry_connections", 1],
      ['sluice_registry_calls_total{method="CreateVersion",status="OK"}', 2],
    ];
    for (const [name, value] of expected) t.equal(metrics.get(name), value, name);
    t.notOk([...metrics.keys()].some((name) => name.includes("medcat") || name.includes("directory")));
    t.match(await componentsOf(sluice), { status: 200, components: { registry: "healthy" } });

    const restarted = sluice.nextEvent("restarted");
    process.kill(sluice.pids().sidecar, "SIGKILL");
    await restarted;
    const again = connectRegistry(t, { port });
    t.equal(String(await again.data("medcat", 1)), "weights");
    t.equal((await again.createVersion({ model_id: "medcat", archived: true }, "more")).version_number, 3);
    again.close();
    client.close();
    t.equal(await sluice.stop(), 0);
  },
);

t.test("a directory is named by /health and changes nothing else; a reload takes over what it may", async (t) => {
  const directory = await TestDirectory.start(t);
  const config = {
    registry: { host: "127.0.0.1", directory_endpoint: directory.endpoint, log_level: "error" },
    proxy: { timeouts: { drain: "1s" } },
  } as const;
  const registered = directory.next("registered");
  const sluice = await startSluice(t, { config });
  await registered;
  t.match(directory.services, [{ port: portOf(sluice), answered: true }]);
  const untilMs = Date.now() + 15_000;
  const until = async (verdict: string) => {
    for (;;) {
      const health = await componentsOf(sluice);
      if (health.components.directory === verdict) return health;
      if (Date.now() > untilMs) throw new Error(`the directory stays ${health.components.directory}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  t.equal((await until("healthy")).status, 200);
  t.equal((await metricsOf(sluice)).get("sluice_registry_directory_registered"), 1);

  const client = connectRegistry(t, { port: portOf(sluice) });
  await client.createModel("m");
  await client.createVersion({ model_id: "m", archived: true }, "0123456789");
  const edited = JSON.parse(readFileSync(sluice.configFile, "utf8"));
  edited.registry = {
    ...edited.registry,
    sent_version_chunk_size: 3,
    max_version_size: 10,
    log_level: "debug",
    port: 1,
  };
  const reloaded = sluice.nextEvent("config_reloaded");
  writeFileSync(sluice.configFile, JSON.stringify(edited));
  t.same((await reloaded).needsRestart, ["registry.port"]);
  t.same((await client.pieces("m", 1)).map(String), ["012", "345", "678", "9"]);
  await t.rejects(client.createVersion({ model_id: "m" }, "0123456789x"), { code: "RESOURCE_EXHAUSTED" });
  t.ok(sluice.lines.some((line) => line.includes("registry-call") && line.includes("RetrieveVersionData")));

  client.close();
  const left = directory.next("deregistered");
  t.equal(await sluice.stop(), 0);
  await left;
  t.same(directory.services, []);
});

t.test("a taken registry port stops the start with its name", async (t) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  t.teardown(() => new Promise((resolve) => taken.close(resolve)));
  const { port } = taken.address() as { port: number };
  const serve = (registryPort: number, proxyPort = 0) =>
    runSluice(["serve", "--data-dir", join(makeFolder(t), "data"), "--port", String(proxyPort)], {
      env: { SLUICE_REGISTRY_PORT: String(registryPort), SLUICE_DISCOVERY_DOCKER_ENABLED: "false" },
    });
  const ended = await serve(port);
  t.equal(ended.code, 1);
  t.match(ended.stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: port ${port} is taken`));
  t.match(ended.stderr, /registry\.port \(SLUICE_REGISTRY_PORT, COGMENT_MODEL_REGISTRY_PORT\)/);
  const same = await serve(18_999, 18_999);
  t.equal(same.code, 2);
  t.match(same.stderr, /registry\.port 18999 is one of the proxy's ports/);
});
