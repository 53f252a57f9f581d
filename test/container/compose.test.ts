/** `docker-compose.yaml` as it is: one image, two containers, beside a model server on the network of CogStack ModelServe. */
import { execFile } from "node:child_process";
import { realpathSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import t from "tap";
import { dockerSkipReason, startDocker } from "../helpers/docker.js";
import { buildImage } from "../helpers/image.js";
import { requireOrSkip } from "../helpers/services.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../..", import.meta.url));
const NETWORK = "cogstack-model-serve_cms";
const PROJECT = "sluice-test";
const READY_WITHIN_MS = 60_000;

async function composeSkipReason(): Promise<string | null> {
  const reason = await dockerSkipReason();
  if (reason !== null) return reason;
  return run("docker-compose", ["version"]).then(
    () => null,
    () => "docker-compose is not installed",
  );
}

const SETTINGS = `
discovery: { process: [], probe_interval: 200ms }
`;

t.test("docker compose up: a proxy without, a sidecar with the Docker socket", async (t) => {
  if (!requireOrSkip(t, "docker", await composeSkipReason())) return;
  const daemon = await startDocker();
  t.teardown(() => daemon.stop());
  const docker = daemon.client;
  await buildImage(docker, t.testdir(), "sluice:latest");
  await daemon.createNetwork(NETWORK);
  await daemon.run({
    name: "medcat-test",
    args: ["/app/gazetteer/main.js", "--host", "0.0.0.0", "--port", "8000", "--name", "medcat-test"],
    network: NETWORK,
    labels: { "org.cogstack.model-serve": "medcat-test", "com.docker.compose.project": "cms" },
    binds: [
      `${join(root, "dist/examples/gazetteer")}:/app/gazetteer:ro`,
      `${join(root, "package.json")}:/app/package.json:ro`,
      `${realpathSync(join(root, "node_modules/ws"))}:/app/node_modules/ws:ro`,
    ],
  });

  const settings = join(t.testdirName, "sluice.yaml");
  writeFileSync(settings, SETTINGS);
  const override = join(t.testdirName, "override.yaml");
  const mount = `{ volumes: ["${settings}:/app/config/sluice.yaml:ro"] }`;
  writeFileSync(override, `services:\n  proxy: ${mount}\n  sidecar: ${mount}\n`);
  const compose = (...args: string[]) =>
    run("docker-compose", ["-f", join(root, "docker-compose.yaml"), "-f", override, "-p", PROJECT, ...args], {
      env: {
        ...process.env,
        DOCKER_HOST: `unix://${daemon.socket}`,
        SLUICE_DOCKER_SOCKET: daemon.socket,
        SLUICE_DOCKER_GID: String(statSync(daemon.socket).gid),
        SLUICE_HOST_PORT: "0",
      },
    });
  await compose("up", "-d", "--no-build");
  t.teardown(() => compose("down", "--volumes", "--timeout", "10").catch(() => undefined));

  const inspect = (service: string) => docker.getContainer(`${PROJECT}_${service}_1`).inspect();
  const address = async () => {
    const { NetworkSettings } = await inspect("proxy");
    return `http://${NetworkSettings.Networks[NETWORK]?.IPAddress}:8888`;
  };
  const url = await address();

  await t.test("the model server on CMS's network is found and answers through the proxy", async (t) => {
    const untilMs = performance.now() + READY_WITHIN_MS;
    let names: string[] = [];
    while (!names.includes("medcat-test") && performance.now() < untilMs) {
      const answer = await fetch(`${url}/models/`, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
      const lists =
        answer?.ok === true ? ((await answer.json()) as { running: { name: string; is_running: boolean }[] }) : null;
      names = lists?.running.filter((each) => each.is_running).map(({ name }) => name) ?? [];
      if (!names.includes("medcat-test")) await new Promise((done) => setTimeout(done, 200));
    }
    const status = async () => ((await (await fetch(`${url}/readyz`)).json()) as { status: string }).status;
    while ((await status()) !== "ready" && performance.now() < untilMs)
      await new Promise((done) => setTimeout(done, 200));
    t.strictSame(
      names,
      ["medcat-test"],
      names.length === 0 ? (await compose("logs", "--no-color", "sidecar")).stdout.slice(-1500) : "",
    );
    for (const [path, type, body] of [
      ["process", "text/plain", "Seen on 3 March 2021 by Dr Khan"],
      ["process_bulk", "application/json", '["Seen on 3 March 2021"]'],
    ] as const) {
      const answer = await fetch(`${url}/models/medcat-test/${path}`, {
        method: "POST",
        headers: { "content-type": type },
        body,
        signal: AbortSignal.timeout(30_000),
      });
      t.equal(answer.status, 200, `${path}: ${await answer.text()}`);
    }
  });

  await t.test(
    "the proxy holds neither Docker's socket nor the data; nothing is published wider than loopback",
    async (t) => {
      const proxy = await inspect("proxy");
      const named = ({ Mounts }: typeof proxy) =>
        Mounts.map((each) => each.Name).filter((name) => name?.startsWith(PROJECT));
      t.strictSame(named(proxy), [`${PROJECT}_sluice-socket`]);
      t.notOk(proxy.Mounts.some((each) => each.Destination === "/var/run/docker.sock"));
      t.strictSame(
        proxy.HostConfig.PortBindings["8888/tcp"].map(({ HostIp }: { HostIp: string }) => HostIp),
        ["127.0.0.1"],
      );
      const sidecar = await inspect("sidecar");
      t.ok(sidecar.Mounts.some((each) => each.Destination === "/var/run/docker.sock"));
      t.strictSame(sidecar.HostConfig.PortBindings ?? {}, {});
      for (const { State, Config } of [proxy, sidecar]) {
        t.equal(State.Running, true);
        t.equal(Config.User, "10001:10001");
      }
    },
  );
});
